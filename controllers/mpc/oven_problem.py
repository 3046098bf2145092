"""The optimal-control problem of a conveyor oven: where its zones go over the next half hour.

The grid is that of the conveyor: in each *step* every carrier moves on by one place, so that which
zone a carrier is in at which step never changes, and only the length of the steps does. Zone
temperatures are linear in time between a few nodes; they are the unknowns, with the fan speed of
each block between nodes. The burners' controllers hold the zones to them, and the heat that they
need follows from the balance of each zone:

    Q = C dT/dt + (G_wall + G_exhaust)(T - T_amb) + openings, exchange + heat taken up by carriers
        - heat of the fans
    T_part <- T_air + (T_part - T_air) exp(-h A dt / (m c))        cure <- cure + hot(T_part) dt

    min  gas Q / eta + electricity fan^3 - value of the heat stored at the end
         + defects expected of each carrier that leaves + penalties on Q < 0 and on moves
    s.t. |dT/dt| <= rate, limits of the setpoints

A part counts as lost at the rate at which its cure comes near an edge of the band, which ranks
quality above energy: a part is worth a hundred times its heat. Costs are squares of residuals where
they bend, for the Gauss-Newton method. Letters as in ``twin.processes.oven``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.oven_plan import OvenLimits, OvenNow, OvenPlan
from twin.optim.expressions import column, unknowns
from twin.optim.nlp import NlpProblem
from twin.optim.realtime import RealTimeSqp
from twin.optim.result import Solution
from twin.optim.smooth import Expression, SmoothProblem
from twin.processes import oven
from twin.processes.bind import symbolic
from twin.processes.maths_symbols import exp, power, softplus, sqrt
from twin.solves import Solve

NODES = (0, 3, 6, 9, 13, 17, 21, 26, 32)
"""Steps at which zone temperatures are chosen; 3 to 6 carriers, that is 4 to 8 minutes, apart."""
STEPS = NODES[-1]
HEAD = 9
"""Parameters of a solve that stand before those of zones and carriers."""
MIDDLE_C, SPAN_K = 160.0, 20.0
"""Scaling of the temperatures among the unknowns."""
STRADDLE = 0.125
"""Mean share of a carrier in the neighbouring zone while it is in the first or last place of one."""
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
        self._vector = [p[q.name] for q in oven.PARAMETERS]
        self._laws = symbolic(oven)
        self._blocks = len(NODES) - 1
        # Those that leave within the horizon: all inside, and who enters early enough.
        self._carriers = STEPS
        self._warm: Solution | None = None
        self._fallback: NlpProblem | None = None
        n_t = self._blocks * zones
        x = unknowns("x", n_t + self._blocks)
        q = unknowns("p", HEAD + zones + 2 * places + self._carriers)
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
        zones, blocks = self._zones, self._blocks
        ambient, first_s, step_s, fan_before, _, _, gas_eur, power_eur, scrap_eur = (
            q[k] for k in range(HEAD)
        )
        T = [[q[HEAD + z] for z in range(zones)]]
        T += [[MIDDLE_C + SPAN_K * x[b * zones + z] for z in range(zones)] for b in range(blocks)]
        fan = [x[blocks * zones + b] for b in range(blocks)]
        duration = [
            (NODES[b + 1] - NODES[b] - (b == 0)) * step_s + (first_s if b == 0 else 0.0)
            for b in range(blocks)
        ]
        taken, cured, exit_c, present = self._carriers_through(q, T, fan)
        heat = self._heat(T, fan, duration, taken, ambient)
        p = self._p
        gas = sum(heat[b][z] * duration[b] for b in range(blocks) for z in range(zones))
        stored = p["zone_heat_capacity_kj_per_k"] * sum(T[blocks][z] for z in range(zones))
        cost = gas_eur * (gas - stored) / (3600.0 * p["burner_efficiency"])
        r = [0.3 * softplus(-heat[b][z] / NEGATIVE_KW) for b in range(blocks) for z in range(zones)]
        for b in range(blocks):
            fan_kwh = p["fan_power_kw"] * duration[b] / 3600.0
            r.append(sqrt(2.0 * power_eur * fan_kwh) * power(fan[b], 1.5))
            r.append(0.1 * (fan[b] - (fan[b - 1] if b else fan_before)))
            r += [0.02 * (T[b + 1][z] - T[b][z]) / SPAN_K for z in range(zones)]
        lo, hi = self._limits.cured_min
        weight = sqrt(1.2 * scrap_eur)
        for k in range(self._carriers):
            worth = present[k] * weight
            r.append(worth * softplus((lo + CLEAR_MIN - cured[k]) / SOFT_MIN))
            r.append(worth * softplus((cured[k] - hi + CLEAR_MIN) / SOFT_MIN))
            cold = (self._limits.exit_lo_c + CLEAR_K - exit_c[k]) / CLEAR_K
            r.append(0.2 * worth * softplus(cold))
        rows = [
            (T[b + 1][z] - T[b][z]) / (self._limits.rate_k_per_s * duration[b])
            for b in range(blocks)
            for z in range(zones)
        ]
        lo_x, hi_x = self._box()
        self._problem = RealTimeSqp(
            x, column(*r), cost, column(*rows), q, x_lo=lo_x, x_hi=hi_x, g_lo=-1.0, g_hi=1.0,
            tolerance=1e-5, feasibility_tolerance=1e-4,
        )  # fmt: skip
        self._course = SmoothProblem(
            x, 0.0, column(*cured, *exit_c, *[h for row in heat for h in row]), q
        )

    def _carriers_through(
        self, q: Expression, T: list[list[Expression]], fan: list[Expression]
    ) -> tuple[list[list[Expression]], list[Expression], list[Expression], list[Expression]]:
        """Heat taken up by block and zone (kJ), and each carrier's cure and temperature at the exit."""
        p, zones, places = self._p, self._zones, self._places
        ambient, first_s, step_s, _, h_factor, offset = (q[k] for k in range(6))
        at = HEAD + zones
        part, done = q[at : at + places], q[at + places : at + 2 * places]
        mass = q[at + 2 * places :]
        air = [self._air(j, T, ambient, first_s, step_s) for j in range(STEPS)]
        taken: list[list[Expression]] = [[0.0] * zones for _ in range(self._blocks)]
        cured, exit_c, present = [], [], []
        hA = [h_factor * self._laws["heat_transfer_kw_per_k"](speed, self._vector) for speed in fan]
        for k in range(self._carriers):
            inside = k < places
            # Places count from the entry; the carrier in the last place is the first to leave.
            m = mass[k]
            is_there = 1.0 / (1.0 + exp(-(m - 0.5) * 40.0))
            m = m + (1.0 - is_there) * 60.0
            kJ_per_k = m * p["steel_heat_kj_per_kg_k"]
            load = is_there * kJ_per_k * self._laws["hanger_factor"](m, self._vector)
            slot, begin = (k, 0) if inside else (0, k - places + 1)
            temperature, cure = (part[k], done[k]) if inside else (ambient, 0.0)
            for j in range(begin, begin + places - slot):
                place, b = slot + j - begin, _block(j)
                dt = first_s if j == 0 else step_s
                half = exp(-0.5 * dt * hA[b] / kJ_per_k)
                around = air[j][place]
                middle = around + (temperature - around) * half
                after = around + (middle - around) * half
                rate = self._hot(temperature) + 4.0 * self._hot(middle) + self._hot(after)
                cure = cure + rate * dt / 360.0
                taken[b][place * zones // places] += load * (after - temperature)
                temperature = after
            cured.append(cure + offset)
            exit_c.append(temperature)
            present.append(is_there)
        return taken, cured, exit_c, present

    def _air(
        self, j: int, T: list[list[Expression]], ambient: Expression, first_s: Expression,
        step_s: Expression,
    ) -> list[Expression]:  # fmt: skip
        """Temperature around each place in the middle of a step."""
        b = _block(j)
        middle_s = 0.5 * first_s if j == 0 else first_s + (j - 0.5) * step_s
        begin_s = 0.0 if b == 0 else first_s + (NODES[b] - 1) * step_s
        end_s = first_s + (NODES[b + 1] - 1) * step_s
        share = (middle_s - begin_s) / (end_s - begin_s)
        zone = [T[b][z] + share * (T[b + 1][z] - T[b][z]) for z in range(self._zones)]
        around, per_zone = [], self._places // self._zones
        for place in range(self._places):
            z, beside = place // per_zone, None
            if place % per_zone == 0:
                beside = zone[z - 1] if z > 0 else ambient
            elif (place + 1) % per_zone == 0:
                beside = zone[z + 1] if z < self._zones - 1 else ambient
            own = zone[z]
            around.append(own if beside is None else own + STRADDLE * (beside - own))
        return around

    def _hot(self, part_c: Expression) -> Expression:
        """Equivalent minutes gained per minute."""
        return self._laws["cure_rate"](part_c, self._vector)

    def _heat(
        self,
        T: list[list[Expression]],
        fan: list[Expression],
        duration: list[Expression],
        taken: list[list[Expression]],
        ambient: Expression,
    ) -> list[list[Expression]]:
        """Mean heat that each zone's burner has to give, by block, kW."""
        p, zones = self._p, self._zones
        C, G_mix = p["zone_heat_capacity_kj_per_k"], p["zone_exchange_kw_per_k"]
        G = self._laws["zone_loss_kw_per_k"](p["exhaust_nm3_per_h"], self._vector)
        G_opening = self._laws["opening_loss_kw_per_k"](self._vector)
        heat = []
        for b in range(self._blocks):
            mean = [0.5 * (T[b][z] + T[b + 1][z]) for z in range(zones)]
            fan_kw = p["fan_heat_share"] * p["fan_power_kw"] * power(fan[b], 3.0) / zones
            row = []
            for z in range(zones):
                Q = (C * (T[b + 1][z] - T[b][z]) + taken[b][z]) / duration[b] - fan_kw
                Q = Q + G * (mean[z] - ambient)
                Q += G_mix * (mean[z] - mean[z - 1]) if z > 0 else G_opening * (mean[z] - ambient)
                last = z == zones - 1
                Q += G_opening * (mean[z] - ambient) if last else G_mix * (mean[z] - mean[z + 1])
                row.append(Q)
            heat.append(row)
        return heat

    # --- numbers -------------------------------------------------------------------------------

    def _box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        limits, blocks = self._limits, self._blocks
        # Below its floor the fan draws no less, so it is not run there.
        floor = max(limits.fan[0], self._p["fan_floor"] ** (1.0 / 3.0))
        lo = [(limits.zone_lo_c - MIDDLE_C) / SPAN_K] * blocks + [np.full(blocks, floor)]
        hi = [(limits.zone_hi_c - MIDDLE_C) / SPAN_K] * blocks + [np.full(blocks, limits.fan[1])]
        return np.concatenate(lo), np.concatenate(hi)

    def _start(self, now: OvenNow) -> NDArray[np.float64]:
        if self._warm is not None:
            return self._warm.x
        zone = (now.zone_c - MIDDLE_C) / SPAN_K
        return np.concatenate([np.tile(zone, self._blocks), np.full(self._blocks, 0.8)])

    def _numbers(self, now: OvenNow) -> list[float]:
        return [
            now.ambient_c, now.first_step_s, now.step_s, now.fan_rel, now.heat_transfer,
            now.cured_offset_min, now.gas_eur_per_kwh, now.electricity_eur_per_kwh, now.scrap_eur,
            *now.zone_c, *now.part_c, *now.cured_min, *now.mass_kg,
        ]  # fmt: skip

    def _plan(self, now: OvenNow, solution: Solution, p: Sequence[float]) -> OvenPlan:
        zones, blocks = self._zones, self._blocks
        x = solution.x
        T = MIDDLE_C + SPAN_K * x[: zones * blocks].reshape(blocks, zones)
        times = now.first_step_s + (np.array(NODES) - 1.0) * now.step_s
        times[0] = 0.0
        known = bool(np.isfinite(x).all())
        count = 2 * self._carriers + zones * blocks
        g = self._course.values(x, np.array(p))[1] if known else np.full(count, math.nan)
        return OvenPlan(
            times,
            np.vstack([now.zone_c, T]),
            x[zones * blocks :],
            np.where(now.mass_kg > 0.0, g[: self._carriers], math.nan),
            g[2 * self._carriers :].reshape(blocks, zones),
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
        zones, blocks, limits = self._zones, self._blocks, self._limits
        prices: list[tuple[str, float]] = []
        lam, lam_x = solution.multipliers, solution.bound_multipliers
        if solution.usable and lam is not None and lam_x is not None:
            names = [f"zone_{z + 1}_setpoint_c" for _ in range(blocks) for z in range(zones)]
            rate = limits.rate_k_per_s
            prices += [
                (f"{name} rate", float(v) / rate) for name, v in zip(names, lam, strict=True)
            ]
            units = [*[SPAN_K] * len(names), *[1.0] * blocks]
            names += ["fan_speed_rel"] * blocks
            prices += [
                (name, float(v) / unit) for name, unit, v in zip(names, units, lam_x, strict=True)
            ]
            prices += self._edges(now, g)
        return solution.solve((name, v) for name, v in prices if abs(v) > BINDS_EUR)

    def _edges(self, now: OvenNow, g: NDArray[np.float64]) -> list[tuple[str, float]]:
        """EUR by which a minute, or a kelvin, more room in the bands of each carrier would lower its risk."""
        lo, hi = self._limits.cured_min
        there = now.mass_kg > 0.0
        cured, exit_c = (g[n * self._carriers : (n + 1) * self._carriers][there] for n in range(2))
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


def _block(j: int) -> int:
    """The block that a step lies in."""
    return next(b for b in range(len(NODES) - 1) if j < NODES[b + 1])
