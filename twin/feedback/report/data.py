"""What a report is made from: plain data, gathered by the caller from its stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from twin.config import Plant
from twin.cycle import Clip, Event
from twin.feedback.kpi import Kpis
from twin.signals import Role, Signal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Series: TypeAlias = "tuple[NDArray[np.float64], NDArray[np.float64]]"
"""The course of a signal: plant time in seconds, rising, and values in the signal's unit."""

METERS = ("line.energy_kwh", "env.site_load_kw")
"""What is drawn of the baselines."""


@dataclass(frozen=True, slots=True)
class ClipAt:
    """A change that the guard made to what was asked, and when."""

    time_s: float
    clip: Clip


@dataclass(frozen=True, slots=True)
class ModeSince:
    """From when on the loop was in a mode, and why."""

    time_s: float
    mode: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ReportData:
    """One run of one controller, and the figures of the runs that it is compared with.

    ``kpis`` has the shifts of each controller in the same order, ``controller``'s own among them;
    the courses in ``series`` (by signal name) and ``events`` are of one shift. ``facts`` go into
    the header as they are (seed, scenario, utilisation, variant), and so do ``versions`` and
    ``hashes``. ``statuses`` counts decisions by the solver's word, ``outcomes`` writes by theirs.
    """

    plant: Plant
    signals: Sequence[Signal]
    controller: str
    kpis: Mapping[str, Sequence[Kpis]]
    series: Mapping[str, Series]
    baseline_series: Mapping[str, Mapping[str, Series]] = field(default_factory=dict)
    events: Sequence[Event] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    clips: Sequence[ClipAt] = ()
    modes: Sequence[ModeSince] = ()
    decisions: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    limitations: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.kpis.get(self.controller):
            msg = f"no figures of {self.controller!r}: kpis must hold those of the run itself"
            raise ValueError(msg)
        for name, (times_s, values) in self.series.items():
            if times_s.shape != values.shape or times_s.ndim != 1:
                msg = f"series {name}: times {times_s.shape} and values {values.shape} differ"
                raise ValueError(f"{msg}; give two rows of equal length")

    @property
    def baselines(self) -> tuple[str, ...]:
        """The other controllers, in the order given."""
        return tuple(name for name in self.kpis if name != self.controller)


def wanted_signals(plant: Plant, signals: Sequence[Signal]) -> tuple[str, ...]:
    """The signals that a report draws: ask a historian for these."""
    wanted = {*METERS, *(f"{b.name}.level" for b in plant.buffers)}
    wanted |= {f"{st.name}.{what}" for st in plant.stations for what in ("state", "op_count")}
    drawn = (Role.MV, Role.CV, Role.DV)
    return tuple(s.name for s in signals if s.name in wanted or s.role in drawn)
