"""How fast and how slow an oven's conveyor may go: safe cures, the line before it, orders in time."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.oven_plan import OvenLimits
from controllers.mpc.oven_problem import CLEAR_MIN, SLOWEST_REL
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
        self.fastest_m_per_min = self._fastest()
        self.shortest_s = p["pitch_m"] / self.fastest_m_per_min * 60.0

    def longest_rel(
        self, situation: Situation, inside: NDArray[np.float64], coming: list[Coming], down: bool
    ) -> float:
        """By how much steps may be longer than the shortest, if open orders are to be made in time.

        Where orders come evenly, those still to come are not known: no step may be longer.
        """
        seen = situation.observation
        missing = seen["line.ordered_count"] - seen["line.good_count"]
        if math.isnan(missing) or self._comes_evenly:
            return 1.0
        left_s = self._shift_s - situation.time_s % self._shift_s
        left_s -= repair_s(self._spec) if down else 0.0
        left_s -= coming[0].after_s if coming else 0.0
        steps = max(missing - np.count_nonzero(inside), 0.0) + self._places
        may_be = IN_TIME * left_s / (steps * self.shortest_s)
        return min(max(may_be, 1.0), self.fastest_m_per_min / self.slowest_m_per_min, SLOWEST_REL)

    def _fastest(self) -> float:
        """The fastest pace that the stations before and the safe cure of the heaviest product allow."""
        spec = self._spec.setpoints["conveyor_speed_m_per_min"]
        lo, hi = spec.operator
        hi = min(hi, 60.0 * self._p["pitch_m"] / (KEEPS_UP * self._supply.slowest_cycle_s))
        least_min = self._limits.cured_min[0] + 2.0 * CLEAR_MIN
        while hi > lo and self._hottest_course_min(hi, self._supply.heaviest_kg) < least_min:
            hi -= 0.01
        return max(hi, lo)

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
