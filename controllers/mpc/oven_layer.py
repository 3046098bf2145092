"""The station layer of a conveyor oven: zones, fan and setback, decided from carrier to carrier.

Once a carrier's step (a minute or more) the optimal-control problem of ``oven_problem`` is solved
from the estimated state of all that is inside and the carriers on their way; in between, setpoints
follow the plan, ahead of it by the lag of the zones. The conveyor goes as fast as the plan finds
cheapest, but fast enough that the orders which are open when the plan is made take 85 % of the time
left at most. When it has run empty and nothing comes for longer than it takes to win the heat back,
it is set back, and woken in time for the next carrier. A solve that fails leaves the last plan in
force, later and later, and then the setpoints as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.oven_course import STEPS
from controllers.mpc.oven_pace import OvenPace
from controllers.mpc.oven_plan import Longest, OvenLimits, OvenNow, OvenPlan
from controllers.mpc.oven_problem import FREE_REL, OvenProblem
from controllers.mpc.oven_supply import Coming, OvenSupply, entering, repair_s
from controllers.mpc.peak import QUARTER_S
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
FAR_KW = 30.0
"""So far above the fans' power a paid peak is as good as none."""


@dataclass(slots=True, eq=False)
class _Memory:
    solved_s: float = -math.inf
    tried_s: float = -math.inf
    plan: OvenPlan | None = None
    down: bool = False
    resting: bool = False
    status: str = "oven not yet planned"
    solve: Solve | None = None
    others_kw: float = math.nan
    """What the line's other stations draw, as a mean over about the last quarter of an hour."""
    seen_s: float = 0.0
    longest: Longest = field(default_factory=Longest)
    """How long a step may be; the last that was known, for as long as a plan may be followed."""
    longest_s: float = -math.inf
    """When that was."""
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
        self._others = tuple(
            f"{st.name}.power_kw" for st in line.plant.stations if st.name != self.name
        )
        self._pace = OvenPace(
            line.plant, self._spec, self.p, self._limits, self._supply, self._places
        )
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
        self._see_others(situation)
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
        down = int(state) == s.DOWN
        longest = self._pace.longest(situation, inside, coming, down)
        if longest is not None:
            memory.longest, memory.longest_s = longest, situation.time_s
        elif situation.time_s - memory.longest_s > STALE_S:
            memory.longest = Longest()
        self._replan(situation, prices, inside, coming, down)
        return asked | self._followed(situation)

    def why(self, situation: Situation, setpoint: str) -> str:
        """In one sentence why one of its setpoints moves: what binds, what it saves, what it risks."""
        memory = self._memory
        if setpoint == "conveyor_speed_m_per_min":
            return self._why_so_fast(situation.time_s - memory.solved_s)
        if setpoint == "setback" or memory.plan is None:
            return self._why_at_rest(situation)
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

    def _why_at_rest(self, situation: Situation) -> str:
        """Why it is set back and as cold as may be; or warm again, which needs no plan."""
        kwh_per_k = self.p["zone_heat_capacity_kj_per_k"] * self._zones / 3600.0
        if not self._memory.resting:
            return (
                "a carrier is inside or near; saves its wait for heat;"
                f" risks {kwh_per_k:.2f} kWh a kelvin in vain if none comes"
            )
        coming = self._supply.coming(situation)
        nearest = (
            f"the next carrier is {coming[0].after_s / 60.0:.0f} min away"
            if coming
            else "nothing comes"
        )
        return (
            f"it is empty and {nearest}; saves losses of {kwh_per_k:.2f} kWh a kelvin kept less;"
            f" risks {RECOVERY_S / 60.0:.0f} min to come back for a carrier that nobody foresaw"
        )

    def _why_so_fast(self, age_s: float) -> str:
        plan, pace = self._memory.plan, self._pace
        if plan is None:
            return "nothing is inside and nothing comes; saves the next one's wait; risks nothing"
        limit, step_s = pace.binds(plan, age_s), plan.step_at(age_s)
        binds = f"{limit} binds" if limit else "no limit binds"
        more, fastest = step_s / pace.shortest_s, pace.fastest_m_per_min
        if more < 1.0 + 0.01:
            return f"{binds}, at {fastest:.2f} m/min; saves hours at full heat; risks that cures come out short"
        fan_rel = plan.fan_at(age_s)
        faster_rel = min(fan_rel * more ** (1.0 / self.p["fan_heat_exponent"]), 1.0)
        full_kw = self.p["fan_power_kw"]
        return (
            f"{binds}; saves fans of up to {full_kw * faster_rel**3:.1f} instead of"
            f" {full_kw * fan_rel**3:.1f} kW at {fastest:.2f} m/min;"
            f" risks {100.0 * (more - 1.0):.0f} % more time at full heat"
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
        asked[f"{self.name}.conveyor_speed_m_per_min"] = self._pace.fastest_m_per_min
        self._memory.plan, self._memory.status = None, "oven at rest: nothing comes"
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
        changed = down != memory.down or self._is_too_slow(now_s)
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

    def _is_too_slow(self, now_s: float) -> bool:
        """Whether orders have become urgent since the plan was made: a faster pace needs another plan.

        Its zones and fan would not cure what goes faster. Once a solve has failed, it waits for its turn.
        """
        memory, plan = self._memory, self._memory.plan
        if plan is None or memory.tried_s > memory.solved_s:
            return False
        longest_s = FREE_REL * memory.longest.rel * self._pace.shortest_s
        return plan.step_at(now_s - memory.solved_s) > longest_s

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
        step_s = self._pace.shortest_s
        stands_s = repair_s(self._spec) if down else 0.0
        moves_s = max((1.0 - phase) * step_s, 5.0)
        speed = situation.active[f"{self.name}.conveyor_speed_m_per_min"]
        before = 1.0 if math.isnan(speed) else self._pace.fastest_m_per_min / max(speed, 1e-3)
        longest = self._memory.longest
        before = min(max(before, 1.0), longest.rel)
        enter = entering(coming, STEPS - self._places, stands_s + moves_s * before, step_s * before)
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
            mass_kg=np.array([*inside, *enter]),
            ambient_c=ambient,
            first_step_s=stands_s + moves_s,
            step_s=step_s,
            fan_rel=1.0 if math.isnan(fan_rel) else fan_rel,
            heat_transfer=min(max(learned.get(f"{self.name}.heat_transfer", 1.0), 0.5), 1.5),
            cured_offset_min=learned.get(f"{self.name}.exit_cured_min", 0.0),
            gas_eur_per_kwh=self._gas_eur_per_kwh * gas,
            electricity_eur_per_kwh=prices.energy_eur_per_kwh,
            scrap_eur=prices.scrap_eur,
            peak_eur_per_kw=prices.peak_eur_per_kw,
            fan_paid_kw=self._fan_paid_kw(prices),
            stands_s=stands_s,
            longest=longest,
            longer_before_rel=before,
        )

    def _see_others(self, situation: Situation) -> None:
        """Keep the mean of what the other stations draw, as far as all of it is known."""
        memory, seen = self._memory, situation.observation
        now_kw = sum(float(seen[name]) for name in self._others)
        if math.isnan(now_kw):
            return
        passed = min(max(situation.time_s - memory.seen_s, 0.0) / QUARTER_S, 1.0)
        before_kw = now_kw if math.isnan(memory.others_kw) else memory.others_kw
        memory.others_kw = before_kw + passed * (now_kw - before_kw)
        memory.seen_s = situation.time_s

    def _fan_paid_kw(self, prices: Prices) -> float:
        """What the circulation fans may draw over a quarter of an hour without a new peak of the line."""
        least_kw = self.p["fan_floor"] * self.p["fan_power_kw"]
        far_kw = self.p["fan_power_kw"] + FAR_KW
        others_kw = self._memory.others_kw + self.p["exhaust_fan_power_kw"]
        if math.isnan(others_kw):
            return far_kw
        return min(max(prices.paid_kw - others_kw, least_kw), far_kw)

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
        speed = round(60.0 * self.p["pitch_m"] / memory.plan.step_at(age_s), 3)
        asked[f"{self.name}.conveyor_speed_m_per_min"] = min(speed, self._pace.fastest_m_per_min)
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
