"""Why each setpoint is to move, in one sentence: what binds, what it saves, what it risks.

Whoever reads this decides whether to follow it, so each number is computed for the move itself: the model
with its learned factors, at the setpoints in force and at those that are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.operating_point import Point
from controllers.mpc.plans import LinePlan
from controllers.mpc.station_layer import BACK_OFF
from controllers.mpc.stations import Cell
from twin.cycle import Situation
from twin.solves import Solve

HAIR = 2e-3
"""Share of an operator's range that is not worth a sentence."""
NEAR = 0.01
"""A limit within this share of its range, or of a time, binds."""


class ContinuousLayer(Protocol):
    """The layer of a continuous station, which knows by itself why its setpoints move."""

    name: str

    @property
    def status(self) -> str:
        """How its last solve ended."""
        ...

    @property
    def solve(self) -> Solve | None:
        """The solve made for this very decision."""
        ...

    def why(self, situation: Situation, setpoint: str) -> str:
        """In one sentence why one of its setpoints moves: what binds, what it saves, what it risks."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What the line layer has in mind: its plan and the block of it that is now, steady point, orders, cycles."""

    plan: LinePlan
    block: int
    block_s: float
    point: Point
    orders: float
    left_s: float
    target_s: Mapping[int, float]
    """The cycle that each station with setpoints should keep."""
    solves: Mapping[int, Solve] = field(default_factory=dict)
    """The last solve of each of them."""
    own_reasons: Mapping[str, str] = field(default_factory=dict)
    """Sentences of setpoints about which the plan has no say, by their name."""


def moving(situation: Situation, asked: Mapping[str, float]) -> dict[str, float]:
    """The setpoints that are to move, each with how it is asked for; a hair's breadth is no move."""
    found = {}
    spans = {q.name: q.operator.hi - q.operator.lo for q in situation.signals if q.operator}
    for name, value in asked.items():
        span = spans.get(name, 1.0)
        if not abs(situation.active.get(name, math.nan) - value) <= HAIR * span:
            found[name] = value
    return found


def station_reason(
    situation: Situation,
    cell: Cell,
    asked: Mapping[str, float],
    target_s: float,
    point: Point,
    solve: Solve | None = None,
) -> str:
    """Why the process setpoints of a station move; ``solve`` tells what its limits cost."""
    before = _part(situation, cell, cell.scaled(dict(situation.active)))
    after = _part(situation, cell, cell.scaled(asked))
    saved_kwh = before.beyond_kwh - after.beyond_kwh
    saves = [
        _change(saved_kwh, "kWh a part", 3),
        _change(before.edges_eur - after.edges_eur, "EUR of edges a part", 3),
    ]
    saves.append(_change(before.cycle_s - after.cycle_s, "s of its cycle", 1))
    binding = () if solve is None else solve.binding
    prices = {one.name: one.price for one in binding if (one.name, one.side) != ("cycle_s", "lo")}
    found = _binding(situation, cell, asked, after, target_s, prices)
    if cell.edge_eur > 0.0 and point.edge_factor > NEAR:
        found.append("the budget of edges")
    if after.defect > 0.0 and point.defect_eur > NEAR:
        found.append("the scrap limit of the line")
    binds = _all_bind(found)
    return f"{binds}; {_listed(saves)}; {_risk(cell, before, after)}"


def _all_bind(names: list[str]) -> str:
    if not names:
        return "nothing binds, it is the cheapest point"
    if len(names) == 1:
        return f"{names[0]} binds"
    return f"{', '.join(names[:-1])} and {names[-1]} bind"


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    cycle_s: float
    beyond_kwh: float
    """Electricity beyond that of waiting for as long."""
    defect: float
    edges_eur: float
    y: NDArray[np.float64]


def _part(situation: Situation, cell: Cell, z: NDArray[np.float64]) -> _Part:
    """What a part takes at scaled setpoints, by the model as it has been learned."""
    u = cell.lo + z * (cell.hi - cell.lo)
    y = np.array(cell.model.numbers()(cell.half_worn, u, cell.disturbances(situation), cell.p))
    cycle_s = y[0] * cell.ratio(situation, "last_cycle_s")
    energy_kwh = y[1] * cell.ratio(situation, "last_energy_kwh")
    known = situation.estimate.disturbance
    offsets = [known.get(f"{cell.name}.{output}", 0.0) for output in cell.outputs]
    edges = y[4] / cell.life_mm if cell.life_mm else 0.0
    return _Part(
        float(cycle_s + edges * cell.change_s),
        float(energy_kwh - cell.idle_kw * cycle_s / 3600.0),
        float(y[3]),
        float(edges * cell.edge_eur),
        y[5 : 5 + len(offsets)] + np.array(offsets),
    )


def _binding(
    situation: Situation,
    cell: Cell,
    asked: Mapping[str, float],
    after: _Part,
    target_s: float,
    prices: Mapping[str, float],
) -> list[str]:
    """What keeps the move from going further at this station; none if it is the cheapest point inside."""
    found = []
    if after.cycle_s > target_s * (1.0 - NEAR):
        if cell.keeps_course:
            whose = "the others their parts" if cell.share < 1.0 else "the buffers time to empty"
            found.append(f"the cycle of {target_s:.1f} s that leaves {whose}")
        else:
            cost = _priced(prices, "cycle_s", "second")
            found.append(f"the cycle of {target_s:.1f} s that keeps the pace{cost}")
    z, before = cell.scaled(asked), cell.scaled(dict(situation.active))
    for n, mv in enumerate(cell.mvs):
        if min(z[n], 1.0 - z[n]) < NEAR:
            side = "lower" if z[n] < 0.5 else "upper"
            found.append(f"the {side} limit of {mv}{_priced(prices, mv, 'unit')}")
        elif abs(z[n] - before[n]) > (1.0 - NEAR) * cell.rates_per_s[n] * target_s:
            found.append(f"how fast {mv} may move")
    for name, value, lo, hi in _bands(cell, after):
        if min(value - lo, hi - value) < NEAR * (hi - lo):
            found.append(f"the band of {name}{_priced(prices, name, 'unit')}")
    return found


def _priced(prices: Mapping[str, float], name: str, unit: str) -> str:
    """What a unit more room would save a part; nothing where that is not known."""
    return f" (a {unit} more: {prices[name]:.2g} EUR a part)" if name in prices else ""


def _bands(cell: Cell, part: _Part) -> list[tuple[str, float, float, float]]:
    """Name, value and the band kept clear of the sensor's noise, for each quality with a band."""
    found = []
    for k, name in enumerate(cell.outputs):
        spec = cell.spec.sensors.get(name)
        if spec is not None and spec.band is not None:
            clear = BACK_OFF * spec.noise_sd
            found.append((name, float(part.y[k]), spec.band[0] + clear, spec.band[1] - clear))
    return found


def _risk(cell: Cell, before: _Part, after: _Part) -> str:
    """What may go wrong: scrap, and the quality that comes nearest to its band."""
    scrap = (
        f"{100.0 * after.defect:.2f} % scrap at this station, {100.0 * before.defect:.2f} % before"
    )
    if after.defect <= before.defect + 5e-5:
        scrap = f"no more scrap than now ({100.0 * after.defect:.2f} %)"
    nearest = min(
        (
            (min(v - lo, hi - v) / (hi - lo), name)
            for name, v, lo, hi in _bands(cell, after)
            if hi > lo
        ),
        default=None,
    )
    near = (
        ""
        if nearest is None
        else f", {nearest[1]} is {100.0 * max(nearest[0], 0.0):.0f} % of its band away from its limit"
    )
    return f"risks {scrap}{near}"


def _change(saved: float, unit: str, digits: int) -> str:
    if abs(saved) < 0.5 * 10.0**-digits:
        return ""
    return f"{'saves' if saved > 0.0 else 'takes'} {abs(saved):.{digits}f} {unit}"


def _listed(parts: list[str]) -> str:
    return ", ".join(part for part in parts if part) or "saves nothing by itself, it makes room"


def takt_reason(plan: LinePlan, pace_s: float, orders: float, left_s: float) -> str:
    """Why parts are released faster or slower."""
    if plan.takt_s > 0.99 * pace_s:
        needs = (
            f"{orders:.0f} open orders in {left_s / 3600.0:.1f} h want a part every {pace_s:.0f} s"
        )
        return f"{needs}; saves parts that wait, and stations awake for them; risks nothing the buffers hold"
    return "nothing binds, the first station sets the pace; saves no time of it; risks full buffers"


def standby_reason(
    cell: Cell, m: int, plan: LinePlan, block: int, block_s: float, asked: float
) -> str:
    """Why a station is sent to sleep, or woken."""
    saved_kw = cell.idle_kw - cell.standby_kw
    if asked < 0.5:
        made = plan.parts[block, m]
        work = (
            f"{made:.0f} parts in the next {block_s / 60.0:.0f} min"
            if made >= 0.5
            else "work is near"
        )
        return f"{work}; takes {saved_kw:.2f} kW more than asleep; risks waiting if parts come late"
    rest = plan.ready[block:, m]
    blocks = int(np.argmax(rest)) if rest.any() else len(rest)
    rest_s = max(blocks, 1) * block_s
    saves_kwh = max(saved_kw * (rest_s - cell.break_even_s), 0.0) / 3600.0
    return (
        f"no work for about {rest_s / 60.0:.0f} min; saves {saves_kwh:.2f} kWh, warm-up included;"
        f" risks {cell.warm_up_s:.0f} s of warm-up for a part that comes sooner"
    )


def time_out_reason(cell: Cell, asked: float) -> str:
    """Why a station may doze off after that time, or may not."""
    if asked >= cell.spec.standby_after_s.operator[1]:
        return "the plan says who sleeps; saves restarts; risks a wait that nobody foresaw awake"
    return (
        f"a rest pays from {cell.break_even_s:.0f} s on; saves {cell.idle_kw - cell.standby_kw:.2f} kW"
        f" of every longer one; risks {cell.warm_up_s:.0f} s of warm-up before the next part"
    )


def explained(
    situation: Situation,
    asked: Mapping[str, float],
    cells: Sequence[Cell],
    processes: Sequence[ContinuousLayer],
    course: Course,
) -> dict[str, str]:
    """A sentence for each setpoint that is to move, by its name."""
    found: dict[str, str] = {}
    by_station: dict[str, str] = {}
    stations = {cell.name: (m, cell) for m, cell in enumerate(cells)}
    by_process = {layer.name: layer for layer in processes}
    for name, value in moving(situation, asked).items():
        owner, _, setpoint = name.partition(".")
        if name in course.own_reasons:
            why = course.own_reasons[name]
        elif owner == "line":
            why = takt_reason(course.plan, course.point.pace_s, course.orders, course.left_s)
        elif owner in by_process:
            why = by_process[owner].why(situation, setpoint)
        elif owner not in stations:
            why = "the tuned setpoints say so; saves what they were tuned for; risks nothing new"
        elif setpoint == "standby":
            m, cell = stations[owner]
            why = standby_reason(cell, m, course.plan, course.block, course.block_s, value)
        elif setpoint == "standby_after_s":
            why = time_out_reason(stations[owner][1], value)
        else:
            m, cell = stations[owner]
            if owner not in by_station:
                by_station[owner] = station_reason(
                    situation,
                    cell,
                    asked,
                    course.target_s[m],
                    course.point,
                    course.solves.get(m),
                )
            why = by_station[owner]
        found[name] = why
    return found
