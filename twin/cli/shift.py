"""One stretch of plant time on one line: all that the equipment and its judge must agree on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.problems import Problem, pick

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from twin.config import Plant, TunedPoint
    from twin.equipment.plc import Plc
    from twin.line.model import Line
    from twin.loop import ControlLoop
    from twin.plugins import ControllerFactory


ENGINES = ("auto", "simpy", "compiled")
TWIN_SEED = 0
"""Keys the twin's own luck, whatever the plant's seed: that never reaches a loop."""


@dataclass(frozen=True)
class Shift:
    """What is run. ``hours`` is how far ahead the plant's disturbances are laid out."""

    place: str
    """Name or path of the plant, as given."""
    seed: int = 1
    hours: float = 8.0
    scenario: str = "nominal"
    variant: str = "nominal"
    utilisation: float | None = None
    disturbances: tuple[Path, ...] = ()
    engine: str = "simpy"
    """Which engine moves line and twin: see ``twin.line.engine``. It changes nothing but the speed."""

    def check(self) -> None:
        """Refuse names that the plant does not have."""
        pick(self.scenario, self.plant.scenarios, "scenario")
        pick(self.variant, self.plant.variants, "variant")
        pick(self.engine, ENGINES, "engine")

    @cached_property
    def plant(self) -> Plant:
        """The plant file, validated."""
        from twin.config import load_plant

        return load_plant(self.place)

    @cached_property
    def nominal_line(self) -> Line:
        """The line as its file describes it: all that the loop may know."""
        from twin.line.model import build_line

        return build_line(self.plant, variant=self.variant)

    @property
    def demanded(self) -> float:
        """The utilisation in force."""
        return self.plant.demand.utilisation if self.utilisation is None else self.utilisation

    def loop(self, factory: ControllerFactory, tuned: TunedPoint) -> ControlLoop:
        """A fresh loop over the nominal line."""
        from twin.loop import ControlLoop

        line = self.nominal_line
        return ControlLoop(line, factory(line, tuned), TWIN_SEED, self.engine)

    def plc(self) -> Plc:
        """The true line with its PLC, at plant time 0: for the emulator and for runs in process."""
        from twin.config import load_truth
        from twin.equipment.plc import Plc
        from twin.line.model import build_line
        from twin.line.scenario import scenario_of

        self.has_truth()
        truth = load_truth(self.place, self.plant)
        course = scenario_of(self.plant, self.scenario)
        line = build_line(self.plant, truth, self.variant, course.model_mismatch)
        return Plc(line, self.table(), self.seed, course, self.engine)

    def table(self) -> list[float]:
        """All that comes to the plant from outside: disturbances, orders, failure rates."""
        from twin.kernels import draws
        from twin.line.scenario import build_table

        return build_table(
            self.plant,
            self.seed,
            draws.PLANT,
            self.hours,
            self.scenario,
            self.utilisation,
            self.recorded(),
        )

    def recorded(self) -> dict[str, NDArray[np.float64]] | None:
        """The columns that the plant's recorded disturbances are replayed from, if any."""
        if not self.disturbances:
            return None
        from twin.store.recorded import read_recorded

        return read_recorded(self.disturbances, self.plant)

    def arguments(self) -> list[str]:
        """The same shift as arguments of ``twin emulate``, for another process."""
        found = [self.place, "--seed", str(self.seed), "--hours", f"{self.hours * 3600.0!r}s"]
        found += ["--scenario", self.scenario, "--variant", self.variant, "--engine", self.engine]
        if self.utilisation is not None:
            found += ["--utilisation", repr(self.utilisation)]
        for path in self.disturbances:
            found += ["--disturbances", str(path)]
        return found

    def facts(self) -> dict[str, object]:
        """What distinguishes this shift from others, for records: no paths, no times of day."""
        return {
            "plant": self.plant.name,
            "plant_hash": self.plant.config_hash,
            "seed": self.seed,
            "scenario": self.scenario,
            "variant": self.variant,
            "utilisation": self.demanded,
            "recorded_disturbances": [
                {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
                for path in self.disturbances
            ],
        }

    def has_truth(self) -> None:
        """Refuse a plant without its truth file."""
        from twin.config import find_plant

        path = find_plant(self.place)
        truth = path.with_name(f"{path.stem}.truth.yaml")
        if not truth.is_file():
            hint = "write it, as docs/how-to/your-own-plant.md shows, or begin by `twin init`"
            msg = f"the line as it really is needs its truth: {truth} is missing"
            raise Problem("plant", msg, hint)
