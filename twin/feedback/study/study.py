"""A study: independent shifts of one line, reduced one by one to what can be said of them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twin.config import Plant
from twin.feedback.kpi import Kpis
from twin.feedback.study.bottleneck import Activity, activities
from twin.feedback.study.course import Course, Stock
from twin.feedback.study.intervals import Interval, interval, intervals
from twin.feedback.study.stopping import Precision, Stopping
from twin.feedback.study.warm_up import WarmUp

SHOWN_OF = ("throughput_parts_per_h", "energy_kwh_per_good_part")
"""What a study is watched by where nobody says otherwise: output, and what it takes."""

OF_ORDERS = ("ordered_parts", "backlog_end", "stock_change_eur", "cost_eur_per_good_part")
"""Figures that mean nothing where orders are without end."""


@dataclass(frozen=True, slots=True)
class Lead:
    """The station that was the bottleneck most of the time, the next one, and the gap between.

    ``gap`` is the mean paired difference of their shares of time; ``is_clear`` says that its
    interval lies above zero.
    """

    first: str
    second: str | None
    gap: Interval

    @property
    def is_clear(self) -> bool:
        """Whether the first is the bottleneck beyond what chance explains."""
        return self.gap.half_width is not None and self.gap.mean > self.gap.half_width


class Study:
    """Takes in shift after shift. The first one's course is kept: it is what pictures show.

    Where orders are ``endless``, figures that mean nothing then (``OF_ORDERS``) are left out.
    """

    def __init__(
        self,
        plant: Plant,
        warm_up: WarmUp | None = None,
        precision: Precision | None = None,
        *,
        endless: bool = False,
    ) -> None:
        self.plant = plant
        self.warm_up = warm_up or WarmUp()
        self.precision = precision
        self.shown: Course | None = None
        self.kpis: list[Kpis] = []
        self._left_out = OF_ORDERS if endless else ()
        self.is_precise = False
        """Whether the intervals are as narrow as asked for."""
        self._stopping = Stopping(precision) if precision is not None else None
        self._activities: list[dict[str, Activity]] = []
        self._stocks: list[dict[str, Stock]] = []

    @property
    def from_s(self) -> float:
        """Where the books begin, seconds of plant time."""
        return round(self.warm_up.hours * 3600.0, 6)

    @property
    def shifts(self) -> int:
        """Shifts taken in."""
        return len(self.kpis)

    def book(self, course: Course) -> None:
        """Take in the next shift, simulated with luck of its own.

        Raises ``KeyError`` with the reason if a figure that must be precise is not defined in it.
        """
        self.shown = self.shown or course
        kpis = course.kpis(self.from_s)
        self.kpis.append(kpis)
        self._activities.append(activities(course, self.from_s))
        self._stocks.append(dict(course.stocks(self.from_s)))
        if self._stopping is not None and self.precision is not None:
            watched = {name: kpis[name] for name in self.precision.of}
            self.is_precise = self._stopping.book(watched)

    def expected(self) -> int | None:
        """About how many shifts the wanted precision takes; None as long as nothing is known."""
        return None if self._stopping is None else self._stopping.expected()

    def figures(self) -> dict[str, Interval]:
        """Every figure over the shifts in which it is defined."""
        found = intervals([{kpi.name: kpi.value for kpi in kpis.values} for kpis in self.kpis])
        return {name: of for name, of in found.items() if name not in self._left_out}

    def values(self, name: str) -> list[float]:
        """One figure in each shift in which it is defined, in their order."""
        return [kpis[name] for kpis in self.kpis if name in kpis]

    @property
    def units(self) -> dict[str, str]:
        """The unit of every figure."""
        return {kpi.name: kpi.unit for kpis in self.kpis for kpi in kpis.values}

    def activity(self) -> dict[str, dict[str, Interval]]:
        """How active each station was, and how long it was the bottleneck."""
        return {
            station.name: intervals([shift[station.name].figures() for shift in self._activities])
            for station in self.plant.stations
        }

    def lead(self) -> Lead | None:
        """Which station the bottleneck is; None if none was ever active."""
        shares = {
            station.name: [shift[station.name].bottleneck_share for shift in self._activities]
            for station in self.plant.stations
        }
        first, *rest = sorted(shares, key=lambda name: -sum(shares[name]))
        if not any(shares[first]):
            return None
        second = rest[0] if rest else None
        behind = shares[second] if second else [0.0] * len(shares[first])
        gaps = [ours - theirs for ours, theirs in zip(shares[first], behind, strict=True)]
        return Lead(first, second, interval(gaps))

    def stocks(self) -> dict[str, dict[str, Interval]]:
        """How full each buffer was at the readings."""
        return {
            buffer.name: intervals(
                [
                    {
                        "empty_share": shift[buffer.name].empty_share,
                        "full_share": shift[buffer.name].full_share,
                        "mean_parts": shift[buffer.name].mean_parts,
                    }
                    for shift in self._stocks
                ]
            )
            for buffer in self.plant.buffers
        }

    def widest(self) -> float | None:
        """The largest half-width among the figures that must be precise, as a share of its mean."""
        if self.precision is None:
            return None
        shares = [interval(self.values(name)).share for name in self.precision.of]
        known = [share for share in shares if share is not None]
        return max(known) if len(known) == len(shares) else None

    def record(self) -> dict[str, Any]:
        """All of it as plain data; the same shifts give the same record."""
        units, lead = self.units, self.lead()
        capacities = {buffer.name: float(buffer.capacity) for buffer in self.plant.buffers}
        return {
            "shifts": self.shifts,
            "warm_up": {
                "hours": self.warm_up.hours,
                "chosen": self.warm_up.chosen,
                "pilot_hours": self.warm_up.pilot_hours,
                "settled_after_s": dict(self.warm_up.after_s),
            },
            "precision": self.precision
            and {
                "wanted_share": self.precision.share,
                "of": list(self.precision.of),
                "reached_share": self.widest(),
                "is_reached": self.is_precise,
            },
            "kpis": {
                name: {**found.record(), "unit": units[name]}
                for name, found in self.figures().items()
            },
            "bottleneck": lead
            and {
                "station": lead.first,
                "next": lead.second,
                "lead": lead.gap.record(),
                "is_clear": lead.is_clear,
            },
            "stations": _records(self.activity()),
            "buffers": {
                name: {**found, "capacity": capacities[name]}
                for name, found in _records(self.stocks()).items()
            },
        }


def running(values: Sequence[float]) -> list[Interval]:
    """The interval as it was after the second shift, the third, and so on: at most 200 of them."""
    step = -(-len(values) // 200)
    ends = [*range(2, len(values), step), len(values)] if len(values) > 1 else []
    return [interval(values[:n]) for n in ends]


def _records(found: dict[str, dict[str, Interval]]) -> dict[str, dict[str, Any]]:
    return {name: {key: one.record() for key, one in of.items()} for name, of in found.items()}
