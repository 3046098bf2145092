"""What the plant really is: opened by the emulator and the evaluation, never by the loop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twin.config.errors import PlantError
from twin.config.plant import Name, Plant, Sourced, Spec


class TrueStation(Spec):
    """Where one station differs from its description.

    ``parameters`` replace those of the nominal model; ``effects`` are parameters that the nominal
    model does not have at all; ``drift_per_h`` moves a parameter by that share each hour.
    """

    parameters: dict[Name, Sourced] = {}
    effects: Annotated[dict[Name, Sourced], Field(min_length=1)]
    drift_per_h: dict[Name, float] = {}
    warm_up_s: Sourced | None = None
    idle_kw: Sourced | None = None
    standby_kw: Sourced | None = None
    tool_life_cv: Sourced | None = None
    mean_between_s: dict[Name, Sourced] = {}
    mean_repair_s: dict[Name, Sourced] = {}


class Truth(Spec):
    """The true plant, drawn once from the ranges of the plant file with the seed named here."""

    schema_version: Literal[1]
    plant: Name
    drawn_with_seed: int
    stations: dict[Name, TrueStation]

    def check(self, plant: Plant) -> None:
        """Names must exist in the plant; every station must have its unknown effect."""
        if self.plant != plant.name:
            raise PlantError(("plant",), f"this is the truth of {self.plant!r}, not {plant.name!r}")
        stations = {s.name: s for s in plant.stations}
        for name, true in self.stations.items():
            if name not in stations:
                raise PlantError(("stations", name), f"the plant has no station {name!r}")
            for mode in (*true.mean_between_s, *true.mean_repair_s):
                if mode not in stations[name].failures:
                    raise PlantError(("stations", name), f"{name!r} has no failure {mode!r}")
        for name in stations:
            if name not in self.stations:
                raise PlantError(("stations",), f"the truth about station {name!r} is missing")
