"""The station layer of a conveyor oven: zones, fan and setback, decided from carrier to carrier.

Once a carrier's step (a minute or more) the optimal-control problem of ``oven_problem`` is solved
from the estimated state of all that is inside and the carriers on their way; in between, setpoints
follow the plan, ahead of it by the lag of the zones. The conveyor goes as fast as the plan finds
cheapest, but never so slowly that the open orders would not be made in time. When it has run empty and
nothing comes for longer than it takes to win the heat back, it is set back, and woken in time for
the next carrier. A solve that fails leaves the last plan in force, later and later, and then the
setpoints as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.oven_course import STEPS
from controllers.mpc.oven_plan import OvenLimits, OvenNow, OvenPlan
from controllers.mpc.oven_problem import CLEAR_MIN, SLOWEST, OvenProblem
from controllers.mpc.oven_supply import Coming, OvenSupply, entering, repair_s
from controllers.mpc.peak import GridMemory
from controllers.mpc.stations import Prices
from twin.config import PlantError
from twin.config.errors import KeyPath
from twin.cycle import Situation
from twin.line import schema as s
from twin.line.model import Line
from twin.processes import oven
from twin.solves import Solve

ZONE_LAG_S = 90.0
"""By how much a zone follows a moving setpoint late: its heat capacity over the burner's gain."""
RECOVERY_S = 900.0
"""Time to win back a setback's heat; assumption of the plant file."""
WORTH_A_REST = 2.0
"""A gap has to be so many times the recovery: how long a repair takes is a guess, and an oven that
is not set back can take carriers at once, with empty zones at their lowest setpoints anyway."""
SOLVE_EVERY_S = 60.0
STALE_S = 900.0
"""A plan older than this is no longer followed."""
KNOWN_STATES = (s.IDLE, s.PROCESSING, s.BLOCKED, s.DOWN, s.STANDBY, s.WARM_UP)
ROUND_K = 0.05
KEEPS_UP = 1.03
"""A conveyor faster than the stations before it would carry empty places; assumption."""
IN_TIME = 0.85
"""Share of the time left in which the open orders are to be made: the rest is for what may still happen."""
POOR_TRANSFER = 0.88
"""Heat transfer to carriers, as a share of the model's, for which the pace is still safe: the lower
end of the plant file's range."""


@dataclass(slots=True, eq=False)
class _Memory:
    solved_s: float = -math.inf
    tried_s: float = -math.inf
    plan: OvenPlan | None = None
    down: bool = False
    resting: bool = False
    status: str = "oven not yet planned"
    solve: Solve | None = None
    grid: GridMemory = field(default_factory=GridMemory)
    """Of the oven's own meter."""
    zone_c: NDArray[np.float64] | None = None
    """What the zones should come back to after a rest."""


class OvenLayer:
    """One oven of a line."""

    def __init__(self, line: Line, e: int) -> None:
        element, k = line.elements[e], line.k
        assert element.model is not None
        self.name = element.name
        self._spec = line.plant.stations[e - 1]
        ek = s.ELEMENTS_K + e * s.EK
        p_c = k[ek + s.P_C]
        self.p = {q.name: line.c[p_c + n] for n, q in enumerate(element.model.parameters)}
        names = [q.name for q in element.model.states]
        self._x_f = k[ek + s.X_F]
        self._part_x, self._cured_x = names.index("carrier_1_c"), names.index("carrier_1_cured_min")
        self._zones = self._part_x // 2
        self._places, self._places_i = k[ek + s.PLACES], k[ek + s.PLACES_I]
        self._supply = OvenSupply(line, e)
        self._limits = self._limits_of()
        self._problem = OvenProblem(self.p, self._places, self._zones, self._limits)
        self._gas_eur_per_kwh = float(line.plant.energy.gas_eur_per_mwh) * 1e-3
        self._starts_at_h = line.plant.energy.starts_at_h
        self._shift_s = line.plant.shift_h * 3600.0
        self._fastest = self._fastest_m_per_min()
        self._slowest = self._spec.setpoints["conveyor_speed_m_per_min"].operator[0]
        self._memory = _Memory()

    @property
    def status(self) -> str:
        """How the last solve ended."""
        return self._memory.status

    @property
    def solve(self) -> Solve | None:
        """The solve made for this very decision."""
        return self._memory.solve

    def asked(self, situation: Situation, prices: Prices) -> dict[str, float]:
        """Setpoints for this period."""
        memory, name = self._memory, self.name
        memory.solve = None
        kwh = situation.observation[f"{name}.energy_kwh"]
        memory.grid.book(situation.time_s, kwh, 0.0, self._starts_at_h, self._shift_s)
        state = situation.observation[f"{name}.state"]
        if math.isnan(state) or int(state) not in KNOWN_STATES:
            memory.status = "fallback: the oven's state is unknown, setpoints held"
            return {}
        inside = self._supply.inside(situation)
        coming = self._supply.coming(situation)
        asked: dict[str, float] = {}
        rest = self._rests(situation, inside, coming)
        asked[f"{name}.setback"] = 1.0 if rest else 0.0
        if rest and not coming:
            return asked | self._lowest()
        self._replan(situation, prices, inside, coming, int(state) == s.DOWN)
        return asked | self._followed(situation)

    def why(self, situation: Situation, setpoint: str) -> str:
        """In one sentence why one of its setpoints moves: what binds, what it saves, what it risks."""
        memory, p = self._memory, self.p
        if setpoint == "conveyor_speed_m_per_min":
            return self._why_so_fast()
        if memory.resting or memory.plan is None:
            stored = p["zone_heat_capacity_kj_per_k"] * self._zones / 3600.0
            return (
                f"it is empty and nothing is near; saves losses of {stored:.2f} kWh a kelvin kept less;"
                f" risks {RECOVERY_S / 60.0:.0f} min to come back for a carrier that nobody foresaw"
            )
        plan, (lo, hi) = memory.plan, self._limits.cured_min
        cured = plan.cured_min[np.isfinite(plan.cured_min)]
        heat_kw = float(plan.heat_kw[0].sum())
        now_kw = float(plan.heat_kw.mean(axis=0).sum())
        saves = f"{heat_kw:.0f} kW of heat now, {now_kw:.0f} kW over the plan"
        if not len(cured):
            return f"no carrier is near, so losses alone count; {saves}; risks nothing inside"
        near = f"cures from {cured.min():.1f} to {cured.max():.1f} min in a band of {lo:.1f} to {hi:.1f}"
        least = cured.min() - lo < hi - cured.max()
        side = "lo" if least else "hi"
        eur = sum(
            b.price for b in plan.solve.binding if (b.name, b.side) == ("exit_cured_min", side)
        )
        binds = (
            f"the {'least' if least else 'most'} cured carrier binds (a minute more: {eur:.2g} EUR)"
        )
        return f"{binds}; {saves}; risks {near}"

    def _why_so_fast(self) -> str:
        plan, pitch_m = self._memory.plan, 60.0 * self.p["pitch_m"]
        fastest = (
            f"{self._fastest:.2f} m/min, which the station before it and the heaviest carrier allow"
        )
        if plan is None or pitch_m / plan.step_s[0] > self._fastest - 0.005:
            return f"at its fastest: {fastest}; saves hours at full heat; risks the heaviest carrier's cure"
        return (
            f"the cure of what is inside binds, at less than {fastest}; saves faster fans and a new peak;"
            " risks hours at full heat"
        )

    # --- rest ------------------------------------------------------------------------------------

    def _rests(
        self, situation: Situation, inside: NDArray[np.float64], coming: list[Coming]
    ) -> bool:
        """Whether the oven is to be set back: empty, and nothing near enough to need it warm."""
        memory = self._memory
        if inside.any():
            memory.resting = False
            return False
        gap_s = coming[0].after_s if coming else math.inf
        if memory.resting:
            memory.resting = gap_s > self._recovery_s(situation)
        else:
            memory.resting = gap_s > WORTH_A_REST * RECOVERY_S
        return memory.resting

    def _recovery_s(self, situation: Situation) -> float:
        """Time that the zones need to come back to where they were, at their setpoints' rate."""
        if self._memory.zone_c is None:
            return RECOVERY_S
        zones = self._zone_c(situation)
        missing = float(np.max(self._memory.zone_c - zones))
        return max(missing, 0.0) / self._limits.rate_k_per_s + ZONE_LAG_S

    def _lowest(self) -> dict[str, float]:
        """Nothing comes any more: zones and fan as low as they may go; the exhaust is not ours."""
        asked = {
            f"{self.name}.zone_{z + 1}_setpoint_c": float(lo)
            for z, lo in enumerate(self._limits.zone_lo_c)
        }
        asked[f"{self.name}.fan_speed_rel"] = self._limits.fan[0]
        asked[f"{self.name}.conveyor_speed_m_per_min"] = self._fastest
        self._memory.plan = None
        self._problem.forget()
        return asked

    # --- plan ------------------------------------------------------------------------------------

    def _replan(
        self,
        situation: Situation,
        prices: Prices,
        inside: NDArray[np.float64],
        coming: list[Coming],
        down: bool,
    ) -> None:
        memory, now_s = self._memory, situation.time_s
        changed = down != memory.down
        if now_s - memory.tried_s < SOLVE_EVERY_S and not changed:
            return
        memory.tried_s, memory.down = now_s, down
        now = self._now(situation, prices, inside, coming, down)
        if now is None:
            memory.status = "fallback: zone temperatures are unknown, last plan followed"
            return
        plan = self._problem.solve(now)
        memory.solve = plan.solve
        if not plan.usable:
            memory.status = f"fallback: oven {plan.status}, last plan followed"
            return
        memory.plan, memory.solved_s, memory.status = plan, now_s, plan.status
        memory.zone_c = plan.zone_c[1]

    def _now(
        self,
        situation: Situation,
        prices: Prices,
        inside: NDArray[np.float64],
        coming: list[Coming],
        down: bool,
    ) -> OvenNow | None:
        seen, learned = situation.observation, situation.estimate.disturbance
        zone_c = self._zone_c(situation)
        phase, ambient = seen[f"{self.name}.conveyor_phase"], seen["env.ambient_c"]
        fan_rel = situation.active[f"{self.name}.fan_speed_rel"]
        if not np.isfinite(zone_c).all() or math.isnan(phase):
            return None
        step_s = self.p["pitch_m"] / self._fastest * 60.0
        stands_s = repair_s(self._spec) if down else 0.0
        first_s = max((1.0 - phase) * step_s, 5.0) + stands_s
        longest = self._longest(situation, inside)
        before = 1.0 if self._memory.plan is None else self._memory.plan.step_s[0] / step_s
        before = min(before, longest)
        end = self._x_f + self._cured_x + self._places
        x = np.array(situation.estimate.state.floats[self._x_f : end])
        ambient = 25.0 if math.isnan(ambient) else ambient
        part_c = x[self._part_x : self._part_x + self._places]
        gas = min(max(learned.get(f"{self.name}.gas_kwh", 1.0), 0.5), 2.0)
        # After a rest the zones are below all setpoints; the burners bring them back to the lowest
        # ones at once, which no rate limits.
        zone_c = np.clip(zone_c, self._limits.zone_lo_c - 2.0, self._limits.zone_hi_c + 2.0)
        return OvenNow(
            zone_c=zone_c,
            part_c=np.where(inside > 0.0, part_c, ambient),
            cured_min=np.where(inside > 0.0, x[self._cured_x :], 0.0),
            mass_kg=np.array(
                [*inside, *entering(coming, STEPS - self._places, first_s, step_s * before)]
            ),
            ambient_c=ambient,
            first_step_s=first_s,
            step_s=step_s,
            fan_rel=1.0 if math.isnan(fan_rel) else fan_rel,
            heat_transfer=min(max(learned.get(f"{self.name}.heat_transfer", 1.0), 0.5), 1.5),
            cured_offset_min=learned.get(f"{self.name}.exit_cured_min", 0.0),
            gas_eur_per_kwh=self._gas_eur_per_kwh * gas,
            electricity_eur_per_kwh=prices.energy_eur_per_kwh,
            scrap_eur=prices.scrap_eur,
            peak_eur_per_kw=prices.peak_eur_per_kw,
            fan_paid_kw=self._fan_paid_kw(),
            stands_s=stands_s,
            longest=longest,
            longer_before=before,
        )

    def _longest(self, situation: Situation, inside: NDArray[np.float64]) -> float:
        """By how much steps may be longer than the shortest: so that the orders are made in time."""
        seen = situation.observation
        open_now = seen["line.ordered_count"] - seen["line.good_count"]
        steps = max(open_now - np.count_nonzero(inside), 0.0) + self._places
        left_s = self._shift_s - situation.time_s % self._shift_s
        step_s = self.p["pitch_m"] / self._fastest * 60.0
        if math.isnan(steps):
            return 1.0
        slowest = self._fastest / self._slowest
        return min(max(IN_TIME * left_s / (steps * step_s), 1.0), slowest, SLOWEST)

    def _fan_paid_kw(self) -> float:
        """What the circulation fans may take without adding to the shift's highest quarter."""
        least_kw = self.p["fan_floor"] * self.p["fan_power_kw"]
        return max(self._memory.grid.highest_kw - self.p["exhaust_fan_power_kw"], least_kw)

    def _zone_c(self, situation: Situation) -> NDArray[np.float64]:
        return np.array(
            [situation.observation[f"{self.name}.zone_temp_{z + 1}_c"] for z in range(self._zones)]
        )

    def _followed(self, situation: Situation) -> dict[str, float]:
        """Setpoints of this moment by the plan; none if there is no plan that is young enough."""
        memory = self._memory
        age_s = situation.time_s - memory.solved_s
        if memory.plan is None or age_s > STALE_S:
            return {}
        zones = memory.plan.zones_at(age_s + ZONE_LAG_S)
        zones = np.clip(zones, self._limits.zone_lo_c, self._limits.zone_hi_c)
        asked = {
            f"{self.name}.zone_{z + 1}_setpoint_c": round(float(T) / ROUND_K) * ROUND_K
            for z, T in enumerate(zones)
        }
        asked[f"{self.name}.fan_speed_rel"] = round(memory.plan.fan_at(age_s), 3)
        speed = 60.0 * self.p["pitch_m"] / memory.plan.step_at(age_s)
        asked[f"{self.name}.conveyor_speed_m_per_min"] = min(round(speed, 3), self._fastest)
        return asked

    # --- what the plant allows -------------------------------------------------------------------

    def _limits_of(self) -> OvenLimits:
        setpoints, sensors = self._spec.setpoints, self._spec.sensors
        zones = [setpoints[f"zone_{z + 1}_setpoint_c"] for z in range(self._zones)]
        cured, hottest = sensors.get("exit_cured_min"), sensors.get("hottest_c")
        band = cured.band if cured is not None and cured.band else None
        metal_c = hottest.band[1] if hottest is not None and hottest.band else 1e3
        exit_c = sensors.get("exit_c")
        return OvenLimits(
            zone_lo_c=np.array([z.operator[0] for z in zones]),
            # No carrier gets hotter than the air around it.
            zone_hi_c=np.array([min(z.operator[1], metal_c - 3.0) for z in zones]),
            rate_k_per_s=min(z.rate_per_s for z in zones),
            fan=setpoints["fan_speed_rel"].operator,
            cured_min=band or (self.p["cured_least_min"], self.p["cured_most_min"]),
            exit_lo_c=exit_c.band[0] if exit_c is not None and exit_c.band else 0.0,
        )

    def _fastest_m_per_min(self) -> float:
        """The fastest pace that the stations before and the safe cure of the heaviest product allow."""
        spec = self._spec.setpoints["conveyor_speed_m_per_min"]
        lo, hi = spec.operator
        hi = min(hi, 60.0 * self.p["pitch_m"] / (KEEPS_UP * self._supply.slowest_cycle_s))
        least_min = self._limits.cured_min[0] + 2.0 * CLEAR_MIN
        while hi > lo and self._hottest_course_min(hi, self._supply.heaviest_kg) < least_min:
            hi -= 0.01
        return max(hi, lo)

    def _hottest_course_min(self, speed_m_per_min: float, mass_kg: float) -> float:
        """Cure (min) of a carrier at full fan through zones at their upper limits."""
        p = self.p
        dt = 60.0 * p["pitch_m"] / speed_m_per_min / 10.0
        hA = 0.001 * p["heat_transfer_w_per_m2_k"] * p["carrier_area_m2"] * POOR_TRANSFER
        keep = math.exp(-dt * hA / (mass_kg * p["steel_heat_kj_per_kg_k"]))
        E_R = p["activation_kj_per_mol"] / 0.00831446261815324
        T, cured = 25.0, 0.0
        for air in np.repeat(self._limits.zone_hi_c, 10 * self._places // self._zones):
            T = air + (T - air) * keep
            cured += math.exp(-E_R * (1.0 / (T + 273.15) - 1.0 / 443.15)) * dt / 60.0
        return float(cured)


def ovens_of(line: Line) -> tuple[OvenLayer, ...]:
    """The layers of all ovens of a line; those of other continuous stations are ``process_layers``.

    Raises ``PlantError`` for a task in the plant file: this layer has its own.
    """
    found = []
    for e, element in enumerate(line.elements):
        if element.kind == s.CONVEYOR and element.process.module is oven:
            if line.plant.stations[e - 1].mpc is not None:
                at: KeyPath = ("stations", line.plant.row(e - 1), "mpc")
                message = f"{element.name!r} is an oven, whose MPC knows its task"
                raise line.plant.located(PlantError(at, message, "remove mpc"))
            found.append(OvenLayer(line, e))
    return tuple(found)
