"""The optimal-control problem of a conveyor oven: where its zones go until those who come now have left.

The grid is that of the conveyor: in each *step* every carrier moves on by one place, so that which
zone a carrier is in at which step never changes, and only the length of the steps does. Zone
temperatures are linear in time between a few nodes; they are the unknowns, with the fan speed and
the length of a step of each block between nodes. A faster conveyor saves hours at full heat; a
slower one spares the fans while heavy carriers are inside, or zones have yet to get hot for them.
The burners' controllers hold the zones to their setpoints, and the heat that they need follows from
the balance of each zone:

    Q = C dT/dt + (G_wall + G_exhaust)(T - T_amb) + openings, exchange + heat taken up by carriers
        - heat of the fans
    T_part <- T_air + (T_part - T_air) exp(-h A dt / (m c))        cure <- cure + hot(T_part) dt

    min  gas Q / eta + electricity fan^3 - value of the heat stored at the end
         + price of the highest quarter of an hour beyond what is paid for
         + defects expected of each carrier that leaves + penalties on Q < 0 and on moves
    s.t. |dT/dt| <= rate, limits of the setpoints, a pace for which the open orders leave time

A part counts as lost at the rate at which its cure comes near an edge of the band, which ranks
quality above energy: a part is worth a hundred times its heat. Costs are squares of residuals where
they bend, for the Gauss-Newton method. Letters as in ``twin.processes.oven``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.oven_course import BLOCKS, NODES, STEPS, Carriers, Moves, OvenCourse
from controllers.mpc.oven_plan import OvenLimits, OvenNow, OvenPlan
from twin.optim.expressions import column, unknowns
from twin.optim.nlp import NlpProblem
from twin.optim.realtime import RealTimeSqp
from twin.optim.result import Solution
from twin.optim.smooth import Expression, SmoothProblem
from twin.processes.maths_symbols import exp, log, power, softplus, sqrt
from twin.solves import Solve

QUARTER_STEPS = 9
"""At least so many steps stand for the quarter of an hour over which the grid meter takes its mean: 11 to 16
minutes at the fastest pace of the shipped line, and more where the conveyor is slower."""
SLOWEST_REL = 2.0
"""No step is longer than so many of the shortest; assumption."""
PACE_CHANGE_REL = 0.25
"""The most by which steps change from block to block; assumption: at 0.002 m/min a second, the conveyor of
the shipped line takes half a block for it."""
FREE_REL = 1.01
"""Where steps may be longer by less than this there is no choice of pace, and the prices of its two limits
say nothing, for they hold each other."""
PEAK_KW = 1.0
"""Over so much the price of a new peak sets in, and for a level fan some 2 kW before it is due: no plan
knows where the clock's quarter will begin, nor what else the line will draw in it."""
NUMBERS = (
    "ambient_c", "first_step_s", "step_s", "stands_s", "longest_rel", "longer_before_rel",
    "fan_rel", "fan_paid_kw", "heat_transfer", "cured_offset_min",
    "gas_eur_per_kwh", "electricity_eur_per_kwh", "peak_eur_per_kw", "scrap_eur",
)  # fmt: skip
"""Parameters of a solve that stand before those of zones and carriers; fields of `OvenNow`."""
LEAST_SQUARE = 1e-9
"""Keeps roots smooth at nothing."""
MIDDLE_C, SPAN_K = 160.0, 20.0
"""Scaling of the temperatures among the unknowns."""
CLEAR_MIN, SOFT_MIN = 1.0, 0.4
"""Distance from the band of cure that costs little, and over which it rises; assumption: several
standard deviations of sensor, model and what may still happen to the carrier on its way."""
CLEAR_K = 1.5
NEGATIVE_KW = 3.0
ITERATIONS = 8
DAMPING = 1e-2
"""Of the first step from a cold start: tasks whose carriers are all safe are nearly flat."""
BINDS_EUR = 1e-6
"""A limit of which a unit saves less than that does not bind."""


class OvenProblem:
    """The problem of one oven, built once; ``p`` are the model's declared parameters by name."""

    def __init__(self, p: Mapping[str, float], places: int, zones: int, limits: OvenLimits) -> None:
        self._p, self._places, self._zones, self._limits = dict(p), places, zones, limits
        self._course = OvenCourse(p, places, zones)
        self._warm: Solution | None = None
        self._fallback: NlpProblem | None = None
        x = unknowns("x", BLOCKS * (zones + 2))
        q = unknowns("p", len(NUMBERS) + zones + 2 * places + STEPS)
        self._build(x, q)

    def solve(self, now: OvenNow) -> OvenPlan:
        """The best plan found from here; ``usable`` says whether it may be followed."""
        p = self._numbers(now)
        lo, hi = self._box()
        start = np.clip(self._start(now), lo, hi)
        damping = DAMPING if self._warm is None else self._warm.damping
        solution = self._problem.solve(start, p, iterations=ITERATIONS, damping=damping)
        if not solution.usable:
            # From the last plan it went wrong: once more from where the zones are, IPOPT behind it.
            self._warm = None
            start = np.clip(self._start(now), lo, hi)
            solution = self._problem.solve(start, p, iterations=2 * ITERATIONS, damping=DAMPING)
            if not solution.usable:
                solution = self._by_ipopt(start, p)
        self._warm = solution if solution.usable else None
        return self._plan(now, solution, p)

    def _by_ipopt(self, start: NDArray[np.float64], p: Sequence[float]) -> Solution:
        """The same problem by IPOPT, built when it is first needed: that takes seconds."""
        stated = self._problem.problem
        if self._fallback is None:
            self._fallback = NlpProblem(
                stated.x, stated.f, stated.g, stated.p, x_lo=stated.x_lo, x_hi=stated.x_hi,
                g_lo=-1.0, g_hi=1.0, feasibility_tolerance=1e-4,
            )  # fmt: skip
        return self._fallback.solve(start, p)

    def forget(self) -> None:
        """Start the next solve cold: what the oven is used for has changed."""
        self._warm = None

    # --- statement of the problem --------------------------------------------------------------

    def _build(self, x: Expression, q: Expression) -> None:
        zones, places, limits, p = self._zones, self._places, self._limits, self._p
        now: dict[str, Expression] = {name: q[k] for k, name in enumerate(NUMBERS)}
        at = len(NUMBERS)
        T = [[q[at + z] for z in range(zones)]]
        T += [[MIDDLE_C + SPAN_K * x[b * zones + z] for z in range(zones)] for b in range(BLOCKS)]
        fan = [x[BLOCKS * zones + b] for b in range(BLOCKS)]
        longer = [x[BLOCKS * (zones + 1) + b] for b in range(BLOCKS)]
        before = [now["longer_before_rel"], *longer[:-1]]
        moving_s = (now["first_step_s"] - now["stands_s"]) * longer[0]
        steps_s = [now["step_s"] * w for w in longer]
        moves = Moves(T, fan, now["stands_s"] + moving_s, steps_s)
        at += zones
        part, done, mass = (
            q[at : at + places],
            q[at + places : at + 2 * places],
            q[at + 2 * places :],
        )
        carriers = self._course.carriers(moves, part, done, mass, now)
        duration = moves.duration_s
        heat = self._course.heat_kw(moves, carriers.taken_kj, now["ambient_c"])
        gas = sum(heat[b][z] * duration[b] for b in range(BLOCKS) for z in range(zones))
        stored = p["zone_heat_capacity_kj_per_k"] * sum(T[BLOCKS][z] for z in range(zones))
        cost = now["gas_eur_per_kwh"] * (gas - stored) / (3600.0 * p["burner_efficiency"])
        r = [0.3 * softplus(-heat[b][z] / NEGATIVE_KW) for b in range(BLOCKS) for z in range(zones)]
        for b in range(BLOCKS):
            fan_kwh = p["fan_power_kw"] * duration[b] / 3600.0
            r.append(sqrt(2.0 * now["electricity_eur_per_kwh"] * fan_kwh) * power(fan[b], 1.5))
            r.append(0.1 * (fan[b] - (fan[b - 1] if b else now["fan_rel"])))
            r.append(0.3 * (longer[b] - before[b]))
            r += [0.02 * (T[b + 1][z] - T[b][z]) / SPAN_K for z in range(zones)]
        excess_kw = self._excess_kw(moves, now["fan_paid_kw"])
        r.append(sqrt(2.0 * now["peak_eur_per_kw"] * excess_kw + LEAST_SQUARE))
        r += self._risks(carriers, now)
        rows = [w / now["longest_rel"] for w in longer]
        rows += [(w - w0) / PACE_CHANGE_REL for w, w0 in zip(longer, before, strict=True)]
        rows += [
            (T[b + 1][z] - T[b][z]) / (limits.rate_k_per_s * duration[b])
            for b in range(BLOCKS)
            for z in range(zones)
        ]
        lo_x, hi_x = self._box()
        self._problem = RealTimeSqp(
            x, column(*r), cost, column(*rows), q, x_lo=lo_x, x_hi=hi_x, g_lo=-1.0, g_hi=1.0,
            tolerance=1e-5, feasibility_tolerance=1e-4,
        )  # fmt: skip
        told = column(*carriers.cured_min, *carriers.exit_c, *[h for row in heat for h in row])
        self._told = SmoothProblem(x, 0.0, told, q)

    def _risks(self, carriers: Carriers, now: Mapping[str, Expression]) -> list[Expression]:
        """Residuals of carriers that leave near an edge of the band."""
        lo, hi = self._limits.cured_min
        r, weight = [], sqrt(1.2 * now["scrap_eur"])
        for k, (cured, exit_c) in enumerate(zip(carriers.cured_min, carriers.exit_c, strict=True)):
            worth = carriers.present[k] * weight
            r.append(worth * softplus((lo + CLEAR_MIN - cured) / SOFT_MIN))
            r.append(worth * softplus((cured - hi + CLEAR_MIN) / SOFT_MIN))
            cold = (self._limits.exit_lo_c + CLEAR_K - exit_c) / CLEAR_K
            r.append(0.2 * worth * softplus(cold))
        return r

    def _excess_kw(self, moves: Moves, paid_kw: Expression) -> Expression:
        """By how much the fans' highest quarter of an hour exceeds what is paid for; smooth."""
        duration, above = moves.duration_s, 0.0
        for first, last in _quarters():
            whole = sum(duration[first:last])
            cubes = sum(duration[b] * power(moves.fan[b], 3.0) for b in range(first, last)) / whole
            above = above + exp((self._p["fan_power_kw"] * cubes - paid_kw) / PEAK_KW)
        return PEAK_KW * log(1.0 + above)

    # --- numbers -------------------------------------------------------------------------------

    def _box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        limits, blocks = self._limits, BLOCKS
        # Below its floor the fan draws no less, so it is not run there.
        floor = max(limits.fan[0], self._p["fan_floor"] ** (1.0 / 3.0))
        lo = [(limits.zone_lo_c - MIDDLE_C) / SPAN_K] * blocks + [np.full(blocks, floor)]
        hi = [(limits.zone_hi_c - MIDDLE_C) / SPAN_K] * blocks + [np.full(blocks, limits.fan[1])]
        return np.concatenate([*lo, np.full(blocks, 1.0)]), np.concatenate(
            [*hi, np.full(blocks, SLOWEST_REL)]
        )

    def _start(self, now: OvenNow) -> NDArray[np.float64]:
        if self._warm is not None:
            return self._warm.x
        zone = (now.zone_c - MIDDLE_C) / SPAN_K
        fan, longer = np.full(BLOCKS, 0.8), np.full(BLOCKS, now.longer_before_rel)
        return np.concatenate([np.tile(zone, BLOCKS), fan, longer])

    def _numbers(self, now: OvenNow) -> list[float]:
        numbers = [getattr(now, name) for name in NUMBERS]
        return [*numbers, *now.zone_c, *now.part_c, *now.cured_min, *now.mass_kg]

    def _plan(self, now: OvenNow, solution: Solution, p: Sequence[float]) -> OvenPlan:
        zones, blocks = self._zones, BLOCKS
        x = solution.x
        T = MIDDLE_C + SPAN_K * x[: zones * blocks].reshape(blocks, zones)
        steps_s = now.step_s * x[-blocks:]
        first_s = now.stands_s + (now.first_step_s - now.stands_s) * x[-blocks]
        durations_s = np.diff(NODES) * steps_s
        durations_s[0] += first_s - steps_s[0]
        times = np.concatenate([[0.0], np.cumsum(durations_s)])
        known = bool(np.isfinite(x).all())
        count = 2 * STEPS + zones * blocks
        g = self._told.values(x, np.array(p))[1] if known else np.full(count, math.nan)
        return OvenPlan(
            times,
            np.vstack([now.zone_c, T]),
            x[zones * blocks : -blocks],
            steps_s,
            now.step_s * now.longer_before_rel,
            now.longest,
            np.where(now.mass_kg > 0.0, g[:STEPS], math.nan),
            g[2 * STEPS :].reshape(blocks, zones),
            solution.usable,
            self._solve(now, solution, times, g),
        )

    def _solve(
        self,
        now: OvenNow,
        solution: Solution,
        times: NDArray[np.float64],
        g: NDArray[np.float64],
    ) -> Solve:
        """How it ended, and what a unit more of each limit would save along the plan.

        Bands are penalties here: the price of an edge is their slope by it.
        """
        zones, blocks, limits = self._zones, BLOCKS, self._limits
        prices: list[tuple[str, float]] = []
        lam, lam_x = solution.multipliers, solution.bound_multipliers
        if solution.usable and lam is not None and lam_x is not None:
            names = [f"zone_{z + 1}_setpoint_c" for _ in range(blocks) for z in range(zones)]
            rate = limits.rate_k_per_s
            if now.longest_rel > FREE_REL:
                prices += [(now.longest.by, float(v) / now.longest_rel) for v in lam[:blocks]]
                prices += [("conveyor_step_rel", float(v)) for v in lam_x[-blocks:]]
            change = lam[blocks : 2 * blocks]
            prices += [("conveyor_step_rel change", float(v) / PACE_CHANGE_REL) for v in change]
            prices += [
                (f"{name} rate", float(v) / rate)
                for name, v in zip(names, lam[2 * blocks :], strict=True)
            ]
            units = [*[SPAN_K] * len(names), *[1.0] * blocks]
            names += ["fan_speed_rel"] * blocks
            inner = zip(names, units, lam_x[:-blocks], strict=True)
            prices += [(name, float(v) / unit) for name, unit, v in inner]
            prices += self._edges(now, g)
        return solution.solve((name, v) for name, v in prices if abs(v) > BINDS_EUR)

    def _edges(self, now: OvenNow, g: NDArray[np.float64]) -> list[tuple[str, float]]:
        """EUR by which a minute, or a kelvin, more room in the bands of each carrier would lower its risk."""
        lo, hi = self._limits.cured_min
        there = now.mass_kg > 0.0
        cured, exit_c = (g[n * STEPS : (n + 1) * STEPS][there] for n in range(2))
        worth = 1.2 * now.scrap_eur
        below = worth / SOFT_MIN * _slope((lo + CLEAR_MIN - cured) / SOFT_MIN)
        above = worth / SOFT_MIN * _slope((cured - hi + CLEAR_MIN) / SOFT_MIN)
        cold = (
            0.04 * worth / CLEAR_K * _slope((self._limits.exit_lo_c + CLEAR_K - exit_c) / CLEAR_K)
        )
        found = [("exit_cured_min", -float(below.sum())), ("exit_cured_min", float(above.sum()))]
        return [*found, ("exit_c", -float(cold.sum()))]


def _slope(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slope of half the square of softplus(z)."""
    return np.asarray(np.logaddexp(0.0, z) * 0.5 * (1.0 + np.tanh(0.5 * z)))


def _quarters() -> list[tuple[int, int]]:
    """First block and the one after the last of each run of blocks about a quarter of an hour long."""
    ends = [
        next((e for e in range(b + 1, BLOCKS + 1) if NODES[e] - NODES[b] >= QUARTER_STEPS), None)
        for b in range(BLOCKS)
    ]
    return [(b, end) for b, end in enumerate(ends) if end is not None]
