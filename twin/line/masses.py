"""What a part weighs by where it lies: the blank or component, and what was put into it or taken off."""

from __future__ import annotations

from twin.config import Plant


def usual_masses_kg(plant: Plant) -> dict[str, float]:
    """By buffer, the mass of the parts in it; what a process itself adds is left out.

    Where ways meet, the first in the order of the plant file counts. A buffer that nothing reaches is missing.
    """
    found = {plant.source.gives_to: float(plant.source.blank_kg)}
    for supply in plant.supplies:
        found.setdefault(supply.gives_to, float(supply.component_kg))
    for _ in plant.buffers:  # each round reaches one station further
        for station in plant.stations:
            needed = (station.takes_from, *(c.takes_from for c in station.also_takes))
            if not all(name in found for name in needed):
                continue
            whole_kg = inside_kg(plant, station.name, found)
            for piece in station.also_gives:
                found.setdefault(piece.gives_to, whole_kg * piece.mass_share)
            gone = sum(piece.parts * piece.mass_share for piece in station.also_gives)
            found.setdefault(station.gives_to, whole_kg * (1.0 - gone))
        for element in plant.elements:
            if element.takes_from in found:
                found.setdefault(element.gives_to, found[element.takes_from])
    return found


def inside_kg(plant: Plant, name: str, masses_kg: dict[str, float]) -> float:
    """The mass of a part in work at a station: with its components, before pieces come off."""
    station = next(st for st in plant.stations if st.name == name)
    parts_kg = [c.parts * masses_kg.get(c.takes_from, 0.0) for c in station.also_takes]
    return masses_kg.get(station.takes_from, 0.0) + sum(parts_kg)
