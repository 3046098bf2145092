"""A line and stores that note everything the runtime does to them, in its order."""

from __future__ import annotations

from collections.abc import Mapping

from tests.twin.analyze.in_step import loop_of, nominal, plc_of
from twin.cycle import Acknowledgement, Action, Batch, Cycle, Decision, Reading, Situation
from twin.equipment.simulated import SimulatedEquipment
from twin.protocols import Clock
from twin.runtime import EquipmentClock, Runtime
from twin.signals import Quality

PERIOD_US = 30_000_000
TAKT = "line.takt_s"


class Noted(SimulatedEquipment):
    """The simulated machining line; ``failing`` maps a method to what it raises."""

    def __init__(self) -> None:
        self.plc = plc_of(nominal("machining_line"))
        super().__init__(self.plc)
        self.log: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.failing_inputs = Quality.GOOD

    def note(self, what: str) -> None:
        self.log.append(what)
        failure = self.failing.get(what.partition(" ")[0])
        if failure is not None:
            raise failure

    async def read(self) -> Reading:
        self.note("read")
        reading = await super().read()
        reading.status[[s.critical for s in self.plc.signals]] |= int(self.failing_inputs)
        return reading

    async def write(self, batch: Batch) -> Acknowledgement:
        self.note(f"write {batch.sequence}" if batch.setpoints else "beat")
        return await super().write(batch)

    async def command(self, verb: str, argument: float = 0.0) -> None:
        if verb != "Advance":
            self.note(verb)
        await super().command(verb, argument)


class Stores:
    """Historian and audit that write into the log of their line."""

    def __init__(self, line: Noted) -> None:
        self.line = line
        self.readings: list[Reading] = []
        self.gaps: list[tuple[int, int, str]] = []
        self.cycles: list[Cycle] = []
        self.outcomes: list[Acknowledgement] = []
        self.intended: list[Batch] = []

    def append(self, reading: Reading, received_us: int) -> None:
        assert received_us >= reading.time_us  # plant time, as that of the reading
        assert received_us < reading.time_us + PERIOD_US
        self.readings.append(reading)

    def record_gap(self, from_us: int, until_us: int, reason: str) -> None:
        self.gaps.append((from_us, until_us, reason))

    def intend(self, decision: Decision, utc: str) -> None:
        assert decision.batch is not None
        self.line.note(f"intend {decision.batch.sequence}")
        self.intended.append(decision.batch)

    def conclude(self, acknowledgement: Acknowledgement, utc: str) -> None:
        self.line.note(f"conclude {acknowledgement.sequence}")
        self.outcomes.append(acknowledgement)

    def record_cycle(self, cycle: Cycle) -> None:
        self.cycles.append(cycle)


class Asking:
    """Asks for one second more of takt in every situation, so that each turn has a write."""

    def __init__(self) -> None:
        self.asked: Mapping[str, float] | None = None

    def decide(self, situation: Situation) -> Action:
        if self.asked is not None:
            return Action(self.asked)
        return Action({TAKT: situation.active[TAKT] + 1.0}, "slower")


def driven(clock: Clock | None = None, *, paced: bool = False) -> tuple[Runtime, Noted, Stores]:
    """A runtime at plant time 0 with all that it touches."""
    line = Noted()
    stores = Stores(line)
    runtime = Runtime(
        loop_of(Asking()),
        line,
        clock or EquipmentClock(line),
        samples=stores,
        record=stores,
        paced=paced,
    )
    return runtime, line, stores
