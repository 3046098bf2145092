"""Where the bottleneck was, and when: by the periods in which stations were active without a break.

A station is active while it works or is being made able to work (repair, edge change, set-up,
warm-up), and inactive while it waits: for a part, for room, asleep. Whoever limits a line waits for
nobody. The average active period names the bottleneck of a whole shift; the shifting bottleneck
follows it through the shift: at any instant it is the station whose present active period is the
longest. When that period ends, the longest of those then under way takes over, and while the two
overlap the bottleneck is shifting between them; else it is the sole one.

C. Roser, M. Nakano, M. Tanaka, A practical bottleneck detection method, Winter Simulation
Conference 2001; Shifting bottleneck detection, Winter Simulation Conference 2002.

An oven is never without parts and would always seem active. It counts as active while it is not
blocked and a part waits at its entry: known where the buffer was read, so by the reading.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from twin.feedback.study.course import Course
from twin.line import schema as s
from twin.line.journal import Row

Period = tuple[float, float]
"""From and until, seconds of plant time."""

WAITING = frozenset({"off", "standby", "idle", "blocked", "waiting"})
"""States in which a station is not active."""


@dataclass(frozen=True, slots=True)
class Activity:
    """A station in a window: shares of its time, and its mean active period (None: never active).

    ``sole_share`` and ``shifting_share`` say how long it was the bottleneck.
    """

    active_share: float
    mean_active_s: float | None
    sole_share: float
    shifting_share: float

    @property
    def bottleneck_share(self) -> float:
        """How long it was the bottleneck, alone or with another."""
        return self.sole_share + self.shifting_share

    def figures(self) -> dict[str, float]:
        """Those that are defined, by name."""
        found = {
            "active_share": self.active_share,
            "bottleneck_share": self.bottleneck_share,
            "shifting_share": self.shifting_share,
            "sole_share": self.sole_share,
        }
        return (
            found if self.mean_active_s is None else {**found, "mean_active_s": self.mean_active_s}
        )


def activities(course: Course, from_s: float = 0.0) -> dict[str, Activity]:
    """Every station of a shift, from ``from_s`` on. Periods that began before count as a whole."""
    until_s = float(course.times_s[-1])
    periods = periods_of(course)
    length_s = until_s - from_s
    sole, shifting = shifting_bottleneck(periods)
    found = {}
    for name, own in periods.items():
        inside = [end - begin for begin, end in own if end > from_s]
        found[name] = Activity(
            active_share=_within(own, from_s) / length_s,
            mean_active_s=sum(inside) / len(inside) if inside else None,
            sole_share=_within(sole[name], from_s) / length_s,
            shifting_share=_within(shifting[name], from_s) / length_s,
        )
    return found


def periods_of(course: Course) -> dict[str, list[Period]]:
    """The active periods of every station in their order; one under way at the end is cut there."""
    line, until_s = course.line, float(course.times_s[-1])
    index = {line.element(station.name): station for station in line.plant.stations}
    rows: dict[int, list[Row]] = {e: [] for e in index}
    for row in course.rows:
        if row[1] in rows:
            rows[row[1]].append(row)
    found = {}
    for e, station in index.items():
        periods = active_periods(rows[e], until_s)
        if line.elements[e].kind == s.CONVEYOR:
            level = course.series(f"{station.takes_from}.level").tolist()
            ends = pairwise([*course.times_s.tolist(), until_s])
            queued = [span for span, parts in zip(ends, level, strict=True) if parts > 0]
            periods = _both(periods, _joined(queued))
        found[station.name] = periods
    return found


def active_periods(rows: Sequence[Row], until_s: float) -> list[Period]:
    """When one station was active, by its own rows; stays of no length break nothing."""
    if not rows:
        return []
    begins = [0.0, *(row[0] for row in rows), until_s]
    states = [rows[0][2], *(row[3] for row in rows)]
    spans = pairwise(begins)
    return _joined(
        [span for span, state in zip(spans, states, strict=True) if s.STATES[state] not in WAITING]
    )


def shifting_bottleneck(
    periods: Mapping[str, Sequence[Period]],
) -> tuple[dict[str, list[Period]], dict[str, list[Period]]]:
    """When each station was the sole bottleneck, and when one of two that it shifted between.

    Of periods of equal length the station that is named first counts.
    """
    begins = {name: [begin for begin, _ in own] for name, own in periods.items()}
    chain: list[tuple[str, Period]] = []
    now_s = min((own[0] for own in begins.values() if own), default=None)
    while now_s is not None:
        longest: tuple[str, Period] | None = None
        for name, own in periods.items():
            at = bisect_right(begins[name], now_s) - 1
            if at < 0 or own[at][1] <= now_s:
                continue
            if longest is None or _length(own[at]) > _length(longest[1]):
                longest = (name, own[at])
        if longest is not None:
            chain.append(longest)
            now_s = longest[1][1]
        else:  # nobody is active: until somebody is, nothing limits
            later = [b[at] for b in begins.values() if (at := bisect_right(b, now_s)) < len(b)]
            now_s = min(later, default=None)
    return _divided(chain, periods)


def _divided(
    chain: Sequence[tuple[str, Period]], names: Mapping[str, object]
) -> tuple[dict[str, list[Period]], dict[str, list[Period]]]:
    """Each period of the chain without, and within, its overlaps with the ones beside it."""
    sole: dict[str, list[Period]] = {name: [] for name in names}
    shifting: dict[str, list[Period]] = {name: [] for name in names}
    for n, (name, (begin, end)) in enumerate(chain):
        alone_from = max(begin, chain[n - 1][1][1]) if n else begin
        alone_until = min(end, chain[n + 1][1][0]) if n + 1 < len(chain) else end
        if alone_from < alone_until:
            sole[name].append((alone_from, alone_until))
            shared = [(begin, alone_from), (alone_until, end)]
        else:
            shared = [(begin, end)]
        shifting[name] += [span for span in shared if span[0] < span[1]]
    return sole, shifting


def _joined(spans: Sequence[Period]) -> list[Period]:
    """The same stretches, those of no length left out and those that touch made one."""
    found: list[Period] = []
    for begin, end in spans:
        if begin == end:
            continue
        if found and found[-1][1] == begin:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def _both(ours: Sequence[Period], theirs: Sequence[Period]) -> list[Period]:
    """The stretches that lie in both."""
    found, a, b = [], 0, 0
    while a < len(ours) and b < len(theirs):
        begin, end = max(ours[a][0], theirs[b][0]), min(ours[a][1], theirs[b][1])
        if begin < end:
            found.append((begin, end))
        if ours[a][1] < theirs[b][1]:
            a += 1
        else:
            b += 1
    return found


def _within(periods: Sequence[Period], from_s: float) -> float:
    return sum(end - max(begin, from_s) for begin, end in periods if end > from_s)


def _length(period: Period) -> float:
    return period[1] - period[0]
