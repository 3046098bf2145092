"""What the plant really is: opened by the emulator and the evaluation, never by the loop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twin.config.errors import PlantError
from twin.config.plant import Plant, StopTime
from twin.config.values import Document, Name, Sourced, SourcedNotNegative, Spec


class TrueStation(Spec):
    """Where one station differs from its description.

    ``parameters`` replace those of the nominal model; ``effects`` are parameters that the nominal
    model does not have at all; ``drift_per_h`` moves a parameter by that share each hour.
    """

    parameters: dict[Name, Sourced] = {}
    effects: Annotated[dict[Name, Sourced], Field(min_length=1)]
    drift_per_h: dict[Name, float] = {}
    warm_up_s: SourcedNotNegative | None = None
    idle_kw: SourcedNotNegative | None = None
    standby_kw: SourcedNotNegative | None = None
    tool_life_cv: SourcedNotNegative | None = None
    mean_between_s: dict[Name, StopTime] = {}
    mean_repair_s: dict[Name, StopTime] = {}


class Truth(Document):
    """The true plant, drawn once from the ranges of the plant file with the seed named here."""

    schema_version: Literal[1]
    plant: Name
    drawn_with_seed: int
    stations: dict[Name, TrueStation]

    def check(self, plant: Plant) -> None:
        """Names must exist in the plant; every station must have its unknown effect."""
        if self.plant != plant.name:
            message = f"this is the truth of {self.plant!r}, not of {plant.name!r}"
            raise PlantError(("plant",), message, f"write plant: {plant.name}, if it is meant")
        stations = {s.name: s for s in plant.stations}
        for name, true in self.stations.items():
            if name not in stations:
                message, hint = (
                    f"the plant has no station {name!r}",
                    f"known: {', '.join(stations)}",
                )
                raise PlantError(("stations", name), message, hint)
            known = stations[name].failures
            for key, modes in (
                ("mean_between_s", true.mean_between_s),
                ("mean_repair_s", true.mean_repair_s),
            ):
                for mode in modes:
                    if mode not in known:
                        message = f"{name!r} has no failure {mode!r}"
                        hint = f"known: {', '.join(known) or 'none'}"
                        raise PlantError(("stations", name, key, mode), message, hint)
        for name in stations:
            if name not in self.stations:
                message = f"the truth about station {name!r} is missing"
                hint = f"add {name}: with at least one effect"
                raise PlantError(("stations",), message, hint)
