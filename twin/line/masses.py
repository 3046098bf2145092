"""What a part weighs by where it is: the blank or component, and what was put into it or taken off."""

from __future__ import annotations

from twin.config import Plant


def usual_masses_kg(plant: Plant) -> dict[str, float]:
    """By buffer and station, the mass of a part in it; what a process itself adds is left out.

    In a station it has its components already and no piece has come off. Where ways meet, the first in the
    order of the plant file counts. What nothing reaches is missing.
    """
    found = {plant.source.gives_to: float(plant.source.blank_kg)}
    for supply in plant.supplies:
        found.setdefault(supply.gives_to, float(supply.component_kg))
    for _ in plant.buffers:  # each round reaches one station further
        for station in plant.stations:
            needed = (station.takes_from, *(c.takes_from for c in station.also_takes))
            if not all(name in found for name in needed):
                continue
            components_kg = sum(c.parts * found[c.takes_from] for c in station.also_takes)
            found[station.name] = whole_kg = found[station.takes_from] + components_kg
            for piece in station.also_gives:
                found.setdefault(piece.gives_to, whole_kg * piece.mass_share)
            gone = sum(piece.parts * piece.mass_share for piece in station.also_gives)
            found.setdefault(station.gives_to, whole_kg * (1.0 - gone))
        for element in plant.elements:
            if element.takes_from in found:
                found[element.name] = found[element.takes_from]
                found.setdefault(element.gives_to, found[element.takes_from])
    return found
