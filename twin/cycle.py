"""The records that flow around the loop: what was seen, known, expected, asked and granted.

``Reading → Observation → Estimate → Forecast → Situation → Action → Decision``, and the ``Cycle``
that holds one whole turn, complete enough to be computed again. All are immutable. Times are
integer microseconds of plant time. Arrays are aligned with the plant's tuple of signals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from twin.solves import Solve, solve_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.signals import Setpoint, Signal
    from twin.state import LineState


class Mode(StrEnum):
    """What the loop is allowed to do; see ``twin.act.modes`` for the transitions."""

    OFF = "OFF"
    ADVISORY = "ADVISORY"
    INIT = "INIT"
    CLOSED = "CLOSED"
    HOLD = "HOLD"
    SHED = "SHED"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened between two readings: a state change, a part finished or scrapped.

    ``before`` and ``after`` are state codes of ``twin.line.schema``; ``part`` is 0 where none is
    concerned.
    """

    time_us: int
    entity: str
    before: int
    after: int
    part: int


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """All signals of the line at one instant, as the equipment reports them.

    ``values`` (float64; NaN where nothing came), ``source_us`` (int64: when the value was taken)
    and ``status`` (int64: bits of ``Quality``) have one entry a signal. ``step`` is the number of
    the lockstep barrier, 0 when paced. ``part_ids`` lists the parts in each buffer, oldest first,
    and those on each conveyor by place, 0 where there is none; beside them stand the other lists of
    whole numbers that a line may have, see ``twin.line.element_tags``.
    """

    time_us: int
    step: int
    values: NDArray[np.float64]
    source_us: NDArray[np.int64]
    status: NDArray[np.int64]
    part_ids: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of plant time, microseconds, of which samples are missing, and why.

    ``was_lost``: the line was out of reach; otherwise only some of its values are missing.
    """

    from_us: int
    until_us: int
    reason: str
    was_lost: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes to the equipment in one write: setpoints with a number, and the heartbeat.

    A batch without setpoints is a heartbeat alone. The equipment refuses it after ``deadline_us``.
    """

    sequence: int
    heartbeat: int
    setpoints: tuple[Setpoint, ...]
    deadline_us: int


TOO_LATE = "too late: the deadline has passed"
"""Why a batch does not leave, or not all of it."""


REFUSED_IN_PART = "refused in part"
"""How the detail of an answer begins where the equipment took some setpoints and refused others for certain."""


class Outcome(StrEnum):
    """What became of a batch. UNKNOWN is not a failure: the write may have landed."""

    NONE = "NONE"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    MISMATCH = "MISMATCH"
    UNKNOWN = "UNKNOWN"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The equipment's answer to a batch, with what it then read back as active.

    ``answered_us`` is the plant time at which it had come, or was no longer waited for.
    """

    sequence: int
    outcome: Outcome
    active: Mapping[str, float] = field(default_factory=dict)
    detail: str = ""
    answered_us: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """A reading after cleaning: implausible values replaced or marked, each mark with its reason."""

    time_us: int
    step: int
    values: NDArray[np.float64]
    quality: NDArray[np.int64]
    part_ids: Mapping[str, tuple[int, ...]]
    events: tuple[Event, ...]
    index: Mapping[str, int]

    def __getitem__(self, name: str) -> float:
        """The value of one signal; NaN if it is not usable."""
        return float(self.values[self.index[name]])


@dataclass(frozen=True, slots=True)
class Health:
    """How far the model of one quantity can be believed: ``trust`` from 1, as expected, to 0, an alarm.

    ``doubt`` says in words why there is an alarm. ``least_scatter`` is the share of a quality's scatter that
    no controller could take away (NaN if it is none, or too few parts were measured).
    """

    trust: float
    doubt: str = ""
    least_scatter: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Where the line is: the twin put in step with it, and what the twin had got wrong.

    ``disturbance`` holds the estimated offset of each model output against the plant
    (``"turning.last_energy_kwh": ratio``), ``drift`` the twin's one-step prediction errors, ``health`` how
    far the model of each of those outputs can be believed.
    """

    state: LineState
    disturbance: Mapping[str, float]
    drift: Mapping[str, float]
    health: Mapping[str, Health] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What comes, on a grid of ``step_s`` from now: mean and an 80 % interval for each series."""

    step_s: float
    mean: Mapping[str, NDArray[np.float64]]
    lower: Mapping[str, NDArray[np.float64]]
    upper: Mapping[str, NDArray[np.float64]]


class Twin(Protocol):
    """A running copy of the line: the live twin, or a fork of it for a what-if."""

    state: LineState

    def advance(self, setpoints: Mapping[str, float], until_s: float) -> Sequence[Event]:
        """Apply setpoints now and run to ``until_s`` (plant time); what happened on the way."""
        ...

    def meters(self) -> Mapping[str, float]:
        """Counters and meters by signal name, read at the state's own time."""
        ...

    def energy_kwh(self) -> float:
        """The meter ``line.energy_kwh`` alone, for who looks at it often."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """All that a controller may see.

    ``active`` are the setpoints in force at the equipment, ``time_s`` the plant time since the
    start of the run. ``fork(k)`` gives an independent twin in the k-th what-if world; it is the
    only access to the twin, and what is done to it never reaches the live one.
    """

    time_s: float
    signals: tuple[Signal, ...]
    observation: Observation
    estimate: Estimate
    forecast: Forecast
    active: Mapping[str, float]
    fork: Callable[[int], Twin]


@dataclass(frozen=True, slots=True)
class Action:
    """What a controller asks for: setpoints by name, and in words why.

    ``status`` is the solver's own word (``"solved"``, ``"fallback: …"``); ``plan`` may carry the
    expected course for display. ``why`` may say of each setpoint that is to move, in one sentence, what
    binds, what the move saves and what it risks. ``solves`` are those made for this very decision, by the
    layer or station that they are for.
    """

    setpoints: Mapping[str, float]
    reason: str = ""
    status: str = "ok"
    plan: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    solves: Mapping[str, Solve] = field(default_factory=dict)

    @property
    def in_words(self) -> str:
        """The reason, then a line for each sentence, with the moves that it is said of."""
        said: dict[str, list[str]] = {}
        for name, sentence in self.why.items():
            said.setdefault(sentence, []).append(f"{name} to {self.setpoints[name]:.6g}")
        lines = [f"{', '.join(names)}: {sentence}" for sentence, names in said.items()]
        return "\n".join([self.reason, *lines])


@dataclass(frozen=True, slots=True)
class Clip:
    """One change that the guard made to what was asked, and why."""

    signal: str
    asked: float
    granted: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is granted: the batch to write (empty unless CLOSED), the mode and all reasons."""

    time_us: int
    mode: Mode
    reasons: tuple[str, ...]
    asked: Action
    batch: Batch | None
    clips: tuple[Clip, ...]
    command: str = ""
    """A request to the equipment that belongs to the mode change: RequestRemote, ReleaseRemote."""

    def in_short(self) -> dict[str, object]:
        """As one line of a log has it."""
        setpoints = () if self.batch is None else self.batch.setpoints
        return {
            "plant_time_s": self.time_us / 1e6,
            "mode": str(self.mode),
            "reasons": list(self.reasons),
            "solver": self.asked.status,
            "setpoints": {one.signal: one.value for one in setpoints},
            "clips": len(self.clips),
        }


@dataclass(frozen=True, slots=True)
class Kpi:
    """A number that people decide by, with its unit and the window it was taken over."""

    name: str
    value: float
    unit: str
    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True, eq=False)
class Cycle:
    """One turn of the loop. From the readings and commands all decisions can be computed again."""

    number: int
    reading: Reading
    commands: tuple[str, ...]
    acknowledged: Acknowledgement | None
    decision: Decision
    drift: Mapping[str, float] = field(default_factory=dict)
    """The twin's one-step errors, empty where the line could not be seen."""

    def to_json(self) -> str:
        """One line of JSON; floats keep all their digits, what is no number becomes null."""
        reading = self.reading
        decision = self.decision
        record: dict[str, Any] = {
            "number": self.number,
            "time_us": reading.time_us,
            "step": reading.step,
            "values": [_number(value) for value in reading.values.tolist()],
            "source_us": reading.source_us.tolist(),
            "status": reading.status.tolist(),
            "part_ids": {name: list(ids) for name, ids in reading.part_ids.items()},
            "events": [[e.time_us, e.entity, e.before, e.after, e.part] for e in reading.events],
            "commands": list(self.commands),
            "acknowledged": None
            if self.acknowledged is None
            else {
                "sequence": self.acknowledged.sequence,
                "outcome": self.acknowledged.outcome,
                "active": {n: _number(value) for n, value in self.acknowledged.active.items()},
                "detail": self.acknowledged.detail,
                "answered_us": self.acknowledged.answered_us,
            },
            "decision": decision_record(decision),
            "drift": {n: error for n, error in self.drift.items() if math.isfinite(error)},
        }
        return json.dumps(record, separators=(",", ":"), allow_nan=False)

    @staticmethod
    def inputs_from_json(text: str) -> tuple[Reading, tuple[str, ...], Acknowledgement | None]:
        """What went into the turn, for replay."""
        record = json.loads(text)
        values = [np.nan if v is None else v for v in record["values"]]
        reading = Reading(
            record["time_us"],
            record["step"],
            np.array(values, dtype=np.float64),
            np.array(record["source_us"], dtype=np.int64),
            np.array(record["status"], dtype=np.int64),
            {name: tuple(ids) for name, ids in record["part_ids"].items()},
            tuple(Event(*event) for event in record["events"]),
        )
        answer = record["acknowledged"]
        acknowledged = answer and Acknowledgement(
            answer["sequence"],
            Outcome(answer["outcome"]),
            {name: math.nan if v is None else v for name, v in answer["active"].items()},
            answer["detail"],
            answer["answered_us"],
        )
        return reading, tuple(record["commands"]), acknowledged


def _number(value: float) -> float | None:
    """The value, or None where it is not finite: JSON has no word for the others."""
    return value if math.isfinite(value) else None


def decision_record(decision: Decision) -> dict[str, Any]:
    """A decision as plain data: what the audit keeps and what replay compares."""
    batch = decision.batch
    return {
        "time_us": decision.time_us,
        "mode": decision.mode,
        "reasons": list(decision.reasons),
        "asked": dict(decision.asked.setpoints),
        "why": decision.asked.in_words,
        "status": decision.asked.status,
        "solves": {name: solve_record(one) for name, one in decision.asked.solves.items()},
        "batch": None
        if batch is None
        else {
            "sequence": batch.sequence,
            "heartbeat": batch.heartbeat,
            "setpoints": {s.signal: s.value for s in batch.setpoints},
            "deadline_us": batch.deadline_us,
        },
        "clips": [[c.signal, c.asked, c.granted, c.reason] for c in decision.clips],
        "command": decision.command,
    }
