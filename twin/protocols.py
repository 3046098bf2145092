"""The seams of the product, all of them: who may plug in what, in one to three methods each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from twin.cycle import (
    Acknowledgement,
    Action,
    Batch,
    Cycle,
    Decision,
    Gap,
    Reading,
    Situation,
    Twin,
)

__all__ = [
    "Clock",
    "Conditional",
    "Controller",
    "Equipment",
    "Interrupted",
    "ProcessModel",
    "Rechecking",
    "Record",
    "Samples",
    "Trainable",
    "Twin",
]


@runtime_checkable
class Equipment(Protocol):
    """A production line, real, emulated or simulated, as the loop sees it.

    ``write`` sends one batch and reads back what is then active. Its answer says what is known:
    ``Outcome.UNKNOWN`` when the line may or may not have taken it. ``command`` calls a method of
    the line by name (``RequestRemote``, ``ReleaseRemote``, ``ResetShed``, ``Advance``). All three
    raise ``ConnectionError`` when the line cannot be reached.
    """

    async def read(self) -> Reading:
        """All signals at one instant."""
        ...

    async def write(self, batch: Batch) -> Acknowledgement:
        """Send setpoints and heartbeat; read back."""
        ...

    async def command(self, verb: str, argument: float = 0.0) -> None:
        """Call a method of the line; ``Advance`` takes the plant time to reach, microseconds."""
        ...


@runtime_checkable
class Clock(Protocol):
    """Plant time as the runtime waits for it."""

    def now_us(self) -> int:
        """Plant time, microseconds."""
        ...

    async def sleep_until(self, time_us: int) -> None:
        """Return when plant time has reached ``time_us``."""
        ...


@runtime_checkable
class Controller(Protocol):
    """Chooses setpoints. It may keep memory between calls, but no access to plant or clock."""

    def decide(self, situation: Situation) -> Action:
        """What to ask for now. Leaving an MV out leaves it where it is."""
        ...


@runtime_checkable
class Trainable(Protocol):
    """A controller that learns from episodes."""

    def train(self, steps: int, seed: int) -> Mapping[str, float]:
        """Learn for a number of control periods; returns training metrics."""
        ...


@runtime_checkable
class ProcessModel(Protocol):
    """Physics of a station: pure functions of state x, setpoints u, disturbances d, parameters p.

    Both methods return the same function over the same argument order: one for numbers (compiled),
    one for CasADi symbols.
    """

    def numbers(self) -> object:
        """The function over float64 arrays."""
        ...

    def symbols(self) -> object:
        """The function over CasADi vectors."""
        ...


class Samples(Protocol):
    """Where readings go: the historian."""

    def append(self, reading: Reading, received_us: int) -> object:
        """Take one reading."""
        ...

    def record_gap(self, from_us: int, until_us: int, reason: str) -> None:
        """Nothing was read in this interval, and why."""
        ...


class Record(Protocol):
    """Where decisions go: the audit. ``intend`` returns when the intent is durable."""

    def intend(self, decision: Decision, utc: str) -> None:
        """A batch is about to leave."""
        ...

    def conclude(self, acknowledgement: Acknowledgement, utc: str) -> None:
        """What became of it."""
        ...

    def record_cycle(self, cycle: Cycle) -> None:
        """A whole turn, for replay."""
        ...


@runtime_checkable
class Interrupted(Protocol):
    """Equipment behind a connection, which may break and be back between two turns."""

    @property
    def losses(self) -> int:
        """How often the line was out of sight so far; counted before it is back."""
        ...

    def drain_gaps(self) -> Sequence[Gap]:
        """The gaps that have ended since the last call, oldest first."""
        ...


@runtime_checkable
class Rechecking(Protocol):
    """Equipment that may need several requests for one batch, and asks before each whether it may leave."""

    def recheck_by(self, refusal: Callable[[Batch, str], str]) -> None:
        """From now on ask this why the setpoint of an MV must not leave any more; empty if it may."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """Equipment that may lack what a loop needs before it may be closed."""

    @property
    def unclosable(self) -> str:
        """Why no loop must be closed on it, whatever an operator says; empty if one may."""
        ...
