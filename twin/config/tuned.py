"""The best constant setpoints of a plant, as a search found them: ``X.fixed.json`` beside ``X.yaml``."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from twin.config.errors import PlantError
from twin.config.plant import Plant
from twin.config.values import Name, Spec


class TunedTrial(Spec):
    """One evaluated point of the search."""

    setpoints: dict[str, float]
    eur_per_part: float


class TunedPoint(Spec):
    """The winner at one utilisation, and the log of the search that found it."""

    setpoints: dict[str, float]
    eur_per_part: float
    """Mean over the selection seeds."""
    tools_eur_per_part: float
    """Bare price of the edges used, mean over the selection seeds."""
    log: tuple[TunedTrial, ...] = ()


class Tuned(Spec):
    """The tuned setpoints of one plant and variant, by utilisation."""

    schema_version: int = Field(default=1, ge=1, le=1)
    plant: Name
    plant_hash: str
    variant: Name
    seeds: tuple[int, ...]
    selection_seeds: tuple[int, ...]
    versions: Mapping[str, str]
    points: dict[str, TunedPoint]

    def at(self, utilisation: float) -> TunedPoint:
        """The point tuned for the nearest utilisation."""
        nearest = min(self.points, key=lambda key: (abs(float(key) - utilisation), key))
        return self.points[nearest]

    def check(self, plant: Plant) -> None:
        """Setpoints tuned for another plant file are no baseline."""
        if self.plant != plant.name:
            raise PlantError(("plant",), f"tuned for {self.plant!r}, not {plant.name!r}")
        if self.plant_hash != plant.config_hash:
            raise PlantError(
                ("plant_hash",),
                f"tuned for a plant file with hash {self.plant_hash}, this one has "
                f"{plant.config_hash}",
                f"tune again: twin tune {plant.name}",
            )


def untuned(plant: Plant) -> TunedPoint:
    """The recipe as it stands in the plant file, for plants that nobody has tuned yet."""
    setpoints = {"line.takt_s": plant.source.takt_s.start}
    for station in plant.stations:
        for name, spec in station.setpoints.items():
            setpoints[f"{station.name}.{name}"] = spec.start
        if station.standby:
            setpoints[f"{station.name}.standby_after_s"] = station.standby_after_s.start
    budget = float(plant.tooling.budget_eur_per_part) if plant.tooling is not None else 0.0
    return TunedPoint(setpoints=setpoints, eur_per_part=0.0, tools_eur_per_part=budget)
