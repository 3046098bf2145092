"""How fast and how slow an oven's conveyor may go: safe cures, the line before it, orders in time."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.oven_plan import Longest, OvenLimits, OvenPlan
from controllers.mpc.oven_problem import CLEAR_MIN, FREE_REL, PACE_CHANGE_REL, SLOWEST_REL
from controllers.mpc.oven_supply import Coming, OvenSupply, repair_s
from twin.config import Plant, StationSpec
from twin.cycle import Situation
from twin.processes import oven

KEEPS_UP = 1.03
"""A conveyor faster than the stations before it would carry empty places; assumption."""
IN_TIME = 0.85
"""Share of the time left in which the open orders are to be made: the rest is for what may still happen."""
POOR_TRANSFER = 0.88
"""Heat transfer to carriers, as a share of the model's, for which the pace is still safe: the lower
end of the plant file's range."""
NEAR_REL = 0.005
"""A step this near a limit is at it."""
ORDERS = "time for the orders"


class OvenPace:
    """The speeds of one oven's conveyor, m/min, and the shortest time (s) in which it moves by a place."""

    def __init__(
        self,
        plant: Plant,
        spec: StationSpec,
        p: Mapping[str, float],
        limits: OvenLimits,
        supply: OvenSupply,
        places: int,
    ) -> None:
        self._p, self._spec, self._limits = p, spec, limits
        self._supply, self._places = supply, places
        self._comes_evenly = plant.demand.arrive == "evenly"
        self._shift_s = plant.shift_h * 3600.0
        self.slowest_m_per_min = spec.setpoints["conveyor_speed_m_per_min"].operator[0]
        self.fastest_m_per_min, self.fastest_by = self._fastest()
        self.shortest_s = p["pitch_m"] / self.fastest_m_per_min * 60.0

    def longest(
        self, situation: Situation, inside: NDArray[np.float64], coming: list[Coming], down: bool
    ) -> Longest | None:
        """By how much steps may be longer than the shortest, if open orders are to be made in time.

        Where orders come evenly, those still to come are not known: no step may be longer. None where
        the counters do not tell.
        """
        if self._comes_evenly:
            return Longest(1.0, "orders still to come")
        seen = situation.observation
        missing = seen["line.ordered_count"] - seen["line.good_count"]
        if math.isnan(missing):
            return None
        left_s = self._shift_s - situation.time_s % self._shift_s
        left_s -= repair_s(self._spec) if down else 0.0
        left_s -= coming[0].after_s if coming else 0.0
        steps = max(missing - np.count_nonzero(inside), 0.0) + self._places
        limits = [
            (IN_TIME * left_s / (steps * self.shortest_s), ORDERS),
            (self.fastest_m_per_min / self.slowest_m_per_min, "slowest conveyor speed"),
            (SLOWEST_REL, "longest step that is planned"),
        ]
        rel, by = min(limits)
        return Longest(max(rel, 1.0), by)

    def binds(self, plan: OvenPlan, age_s: float) -> str:
        """What keeps the plan from another pace at this moment; empty where it would not choose another."""
        longest = plan.longest
        if longest.rel < FREE_REL:
            return longest.by
        rel, before_rel = (step / self.shortest_s for step in plan.steps_around(age_s))
        if rel < 1.0 + NEAR_REL:
            return self.fastest_by
        if rel > longest.rel - NEAR_REL:
            return longest.by
        if abs(rel - before_rel) > PACE_CHANGE_REL - NEAR_REL:
            return "the most by which the pace may change"
        return ""

    def _fastest(self) -> tuple[float, str]:
        """The fastest pace that the stations before and the safe cure of the heaviest product allow, and why."""
        lo, hi = self._spec.setpoints["conveyor_speed_m_per_min"].operator
        supplied = 60.0 * self._p["pitch_m"] / (KEEPS_UP * self._supply.slowest_cycle_s)
        hi, by = min((hi, "fastest conveyor speed"), (supplied, "pace of the stations before it"))
        least_min = self._limits.cured_min[0] + 2.0 * CLEAR_MIN
        while hi > lo and self._hottest_course_min(hi, self._supply.heaviest_kg) < least_min:
            hi, by = hi - 0.01, "cure of the heaviest carrier"
        return (hi, by) if hi > lo else (lo, "slowest conveyor speed")

    def _hottest_course_min(self, speed_m_per_min: float, mass_kg: float) -> float:
        """Cure (min) of a carrier at full fan through zones at their upper limits."""
        p = self._p
        dt = 60.0 * p["pitch_m"] / speed_m_per_min / 10.0
        vector = [p[q.name] for q in oven.PARAMETERS]
        hA = POOR_TRANSFER * oven.heat_transfer_kw_per_k(1.0, vector)
        keep = math.exp(-dt * hA / (mass_kg * p["steel_heat_kj_per_kg_k"]))
        T, cured = 25.0, 0.0
        for air in np.repeat(
            self._limits.zone_hi_c, 10 * self._places // len(self._limits.zone_hi_c)
        ):
            T = air + (T - air) * keep
            cured += oven.cure_rate(T, vector) * dt / 60.0
        return float(cured)
