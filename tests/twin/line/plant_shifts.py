"""A shift of a shipped plant, without equipment, loop or controller: the line alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twin.config import Plant, load_plant, load_truth
from twin.cycle import Event
from twin.kernels import draws
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.scenario import build_table
from twin.line.simulator import Simulator
from twin.line.tags import TagReader
from twin.state import LineState

UNKNOWN_CONTROL = (0.0,) * 7


@dataclass(slots=True)
class Shift:
    """A running line."""

    line: Line
    simulator: Simulator
    state: LineState
    tags: TagReader

    def run(self, hours: float, setpoints: Mapping[str, float] | None = None) -> Sequence[Event]:
        """Go on to that hour of the shift with these setpoints in force from now on."""
        return self.simulator.advance(self.state, setpoints or {}, hours * 3600.0)

    def __getitem__(self, tag: str) -> float:
        values = self.tags.read(self.state, UNKNOWN_CONTROL)
        return float(values[self.tags.index[tag]])

    @property
    def made(self) -> float:
        """Parts that left the line, good or not."""
        return self["line.good_count"] + self["line.scrap_count"]


def begin(
    plant: Plant | str,
    seed: int = 1,
    *,
    utilisation: float | None = None,
    true: bool = False,
    variant: str = "nominal",
    scenario: str = "nominal",
) -> Shift:
    """An empty line at the start of its shift."""
    if isinstance(plant, str):
        plant = load_plant(plant)
    truth = load_truth(plant.name, plant) if true else None
    line = build_line(plant, truth, variant)
    table = build_table(plant, seed, draws.PLANT, plant.shift_h + 1, scenario, utilisation)
    simulator = Simulator(line, table)
    state = initial_state(line, seed, draws.PLANT)
    simulator.prime(state)
    return Shift(line, simulator, state, TagReader(line))


def pushed(plant: Plant | str, seed: int = 1, *, true: bool = False) -> Shift:
    """The same with more orders than it can make, released as fast as it takes them."""
    shift = begin(plant, seed, utilisation=1.5, true=true)
    fastest_s = shift.line.plant.source.takt_s.operator[0]
    shift.run(0.0, {"line.takt_s": fastest_s})
    return shift


def never_failing(plant: Plant) -> Plant:
    """The plant with all failures removed."""
    stations = tuple(s.model_copy(update={"failures": {}}) for s in plant.stations)
    return plant.model_copy(update={"stations": stations})
