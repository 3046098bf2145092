"""The station layer of a conveyor oven: zones, fan and setback, decided from carrier to carrier.

Once a carrier's step (a minute or more) the optimal-control problem of ``oven_problem`` is solved
from the estimated state of all that is inside and the carriers on their way; in between, setpoints
follow the plan, ahead of it by the lag of the zones. The conveyor keeps its declared pace while
orders are open: what an oven loses by its walls it loses by the hour. When it has run empty and
nothing comes for longer than it takes to win the heat back, it is set back, and woken in time for
the next carrier. A solve that fails leaves the last plan in force, later and later, and then the
setpoints as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.oven_problem import STEPS, OvenLimits, OvenNow, OvenPlan, OvenProblem
from controllers.mpc.stations import Prices
from twin.config import StationSpec, TunedPoint
from twin.cycle import Situation
from twin.line import schema as s
from twin.line.model import Line

ZONE_LAG_S = 90.0
"""By how much a zone follows a moving setpoint late: its heat capacity over the burner's gain."""
RECOVERY_S = 900.0
"""Time to win back a setback's heat; also the shortest rest that is worth one."""
SOLVE_EVERY_S = 60.0
STALE_S = 900.0
"""A plan older than this is no longer followed."""
KNOWN_STATES = (s.IDLE, s.PROCESSING, s.BLOCKED, s.DOWN, s.STANDBY, s.WARM_UP)
ROUND_K = 0.05


@dataclass(slots=True, eq=False)
class _Memory:
    solved_s: float = -math.inf
    tried_s: float = -math.inf
    plan: OvenPlan | None = None
    step_s: float = 0.0
    down: bool = False
    resting: bool = False
    status: str = "oven not yet planned"
    zone_c: NDArray[np.float64] | None = None
    """What the zones should come back to after a rest."""


@dataclass(frozen=True, slots=True)
class Coming:
    """A carrier on its way: when it can enter, seconds from now, and its mass."""

    after_s: float
    mass_kg: float


class OvenLayer:
    """One oven of a line."""

    def __init__(self, line: Line, e: int, tuned: TunedPoint) -> None:
        element, k = line.elements[e], line.k
        assert element.model is not None
        self.name, self._line, self._e = element.name, line, e
        self._spec = line.plant.stations[e - 1]
        ek = k[s.K_ELEMENT_K] + e * s.EK
        p_c = k[ek + s.P_C]
        self.p = {q.name: line.c[p_c + n] for n, q in enumerate(element.model.parameters)}
        names = [q.name for q in element.model.states]
        self._x_f = k[ek + s.X_F]
        self._part_x, self._cured_x = names.index("carrier_1_c"), names.index("carrier_1_cured_min")
        self._zones = self._part_x // 2
        self._places, self._places_i = k[ek + s.PLACES], k[ek + s.PLACES_I]
        self._ways = _upstream(line, self._spec.takes_from)
        self._limits = self._limits_of()
        self._problem = OvenProblem(self.p, self._places, self._zones, self._limits)
        self._mass_from = line.plant.source.mixed_by
        self._gas_eur_per_kwh = float(line.plant.energy.gas_eur_per_mwh) * 1e-3
        self._speed = self._declared_speed(tuned)
        self._memory = _Memory()

    @property
    def status(self) -> str:
        """How the last solve ended."""
        return self._memory.status

    def asked(self, situation: Situation, prices: Prices) -> dict[str, float]:
        """Setpoints for this period."""
        memory, name = self._memory, self.name
        state = situation.observation[f"{name}.state"]
        if math.isnan(state) or int(state) not in KNOWN_STATES:
            memory.status = "fallback: the oven's state is unknown, setpoints held"
            return {}
        inside = self._inside(situation)
        coming = self._coming(situation)
        asked = {f"{name}.conveyor_speed_m_per_min": self._speed}
        rest = self._rests(situation, inside, coming)
        asked[f"{name}.setback"] = 1.0 if rest else 0.0
        if rest and not coming:
            return asked | self._lowest()
        self._replan(situation, prices, inside, coming, int(state) == s.DOWN)
        return asked | self._followed(situation)

    # --- what is there and what comes ------------------------------------------------------------

    def _inside(self, situation: Situation) -> NDArray[np.float64]:
        """Masses by place, 0 where the place is empty."""
        return np.array(
            [
                _mass(self._line, situation, self._i(situation, self._places_i + n))
                for n in range(self._places)
            ]
        )

    def _i(self, situation: Situation, at: int) -> int:
        return situation.estimate.state.ints[at]

    def _coming(self, situation: Situation) -> list[Coming]:
        """The carriers before the oven, nearest first, as far as the problem looks ahead.

        Stations before it work at their last cycle; a broken one is expected to come back after the
        mean of its repairs.
        """
        seen, found, after_s, cycle_s = situation.observation, [], 0.0, 0.0
        for buffer, station in self._ways:
            for mass in _masses_in(self._line, situation, buffer):
                found.append(Coming(after_s, mass))
                after_s += cycle_s
            if station is None:
                break
            at = station.name
            last = seen[f"{at}.last_cycle_s"]
            cycle_s = last if last > 0.0 else _cycle_s(self._line, station)
            state, elapsed = seen[f"{at}.state"], seen[f"{at}.elapsed_work_s"]
            left = max(cycle_s - (0.0 if math.isnan(elapsed) else elapsed), 0.0)
            if state == s.DOWN:
                left += _repair_s(station)
            elif state in (s.STANDBY, s.WARM_UP, s.OFF):
                left = float(station.warm_up_s)
            elif state == s.BLOCKED:
                left = 0.0
            after_s = max(after_s, left)
            slot = situation.estimate.state.ints[_element(self._line, at) * s.E_INTS + s.SLOT]
            if slot >= 0:
                found.append(Coming(after_s, _mass(self._line, situation, slot)))
            after_s += cycle_s
        takt_s = max(seen["line.takt_s"], cycle_s)
        released = seen["line.released_count"] - seen["line.scrap_count"]
        opened = seen["line.ordered_count"] - released
        mass = self._present_mass(situation)
        for n in range(int(min(max(opened, 0.0), STEPS))):
            found.append(Coming(after_s + n * takt_s, mass))
        return found

    def _present_mass(self, situation: Situation) -> float:
        """Mass of the product that is hung on now."""
        mass = math.nan
        if self._mass_from is not None:
            mass = situation.observation[f"env.{self._mass_from}"]
        return 60.0 if math.isnan(mass) else mass

    def _entering(self, coming: list[Coming], first_s: float, step_s: float) -> list[float]:
        """Masses of those that enter at the end of each step ahead; 0 for a place that stays empty."""
        masses, next_one = [], 0
        for step in range(STEPS - self._places):
            time_s = first_s + step * step_s
            if next_one < len(coming) and coming[next_one].after_s <= time_s:
                masses.append(coming[next_one].mass_kg)
                next_one += 1
            else:
                masses.append(0.0)
        return masses

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
            memory.resting = gap_s > 2.0 * RECOVERY_S
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
        if not np.isfinite(zone_c).all() or math.isnan(phase):
            return None
        step_s = self.p["pitch_m"] / self._speed * 60.0
        first_s = max((1.0 - phase) * step_s, 5.0) + (_repair_s(self._spec) if down else 0.0)
        x = np.array(situation.estimate.state.floats[self._x_f : self._x_f + self._cured_x + self._places])
        ambient = 25.0 if math.isnan(ambient) else ambient
        part_c = x[self._part_x : self._part_x + self._places]
        gas = min(max(learned.get(f"{self.name}.gas_kwh", 1.0), 0.5), 2.0)
        return OvenNow(
            zone_c=zone_c,
            part_c=np.where(inside > 0.0, part_c, ambient),
            cured_min=np.where(inside > 0.0, x[self._cured_x :], 0.0),
            mass_kg=np.array([*inside, *self._entering(coming, first_s, step_s)]),
            ambient_c=ambient,
            first_step_s=first_s,
            step_s=step_s,
            fan_rel=situation.active[f"{self.name}.fan_speed_rel"],
            heat_transfer=min(max(learned.get(f"{self.name}.heat_transfer", 1.0), 0.5), 1.5),
            cured_offset_min=learned.get(f"{self.name}.exit_cured_min", 0.0),
            gas_eur_per_kwh=self._gas_eur_per_kwh * gas,
            electricity_eur_per_kwh=prices.energy_eur_per_kwh,
            scrap_eur=prices.scrap_eur,
        )

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

    def _declared_speed(self, tuned: TunedPoint) -> float:
        name = "conveyor_speed_m_per_min"
        spec = self._spec.setpoints[name]
        return float(tuned.setpoints.get(f"{self.name}.{name}", spec.start))


def _upstream(line: Line, buffer: str) -> list[tuple[str, StationSpec | None]]:
    """Buffers and stations against the flow, nearest first, as far as there is one way only."""
    ways: list[tuple[str, StationSpec | None]] = []
    while True:
        before = [st for st in line.plant.stations if st.gives_to == buffer]
        ways.append((buffer, before[0] if len(before) == 1 else None))
        if len(before) != 1:
            return ways
        buffer = before[0].takes_from


def _element(line: Line, name: str) -> int:
    return next(n for n, element in enumerate(line.elements) if element.name == name)


def _mass(line: Line, situation: Situation, slot: int) -> float:
    """Mass of the part in a slot as the twin knows it; 0 without a part."""
    if slot < 0:
        return 0.0
    return situation.estimate.state.floats[line.k[s.K_PART_F] + slot * s.P_FLOATS + s.PRODUCT]


def _masses_in(line: Line, situation: Situation, buffer: str) -> list[float]:
    """Masses of the parts in a buffer, oldest first."""
    i, k = situation.estimate.state.ints, line.k
    b = line.buffers.index(buffer)
    at = k[s.K_BUFFER_I] + b * s.B_INTS
    room, ring = max(k[k[s.K_BUFFER_K] + 2 * b], 1), k[s.K_RING_I] + k[k[s.K_BUFFER_K] + 2 * b + 1]
    slots = [i[ring + (i[at + s.HEAD] + n) % room] for n in range(i[at + s.LEVEL])]
    return [_mass(line, situation, slot) for slot in slots]


def _repair_s(station: StationSpec) -> float:
    """Mean time to repair over the station's failures, weighted by how often they come."""
    failures = station.failures.values()
    rates = [1.0 / float(f.mean_between_s) for f in failures]
    if not rates:
        return 0.0
    repairs = [float(f.mean_repair_s) for f in failures]
    return sum(r * t for r, t in zip(rates, repairs, strict=True)) / sum(rates)


def _cycle_s(line: Line, station: StationSpec) -> float:
    """The nominal cycle of a per-part station at its start setpoints, as a first guess."""
    e = _element(line, station.name)
    model, k = line.elements[e].model, line.k
    assert model is not None
    p_c = k[k[s.K_ELEMENT_K] + e * s.EK + s.P_C]
    point = model.point()
    u = np.array([station.setpoints[q.name].start for q in model.mvs])
    p = np.array(line.c[p_c : p_c + len(model.parameters)])
    return float(model.numbers()(point.x, u, point.d, p)[0])
