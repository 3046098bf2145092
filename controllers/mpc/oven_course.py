"""What zones, carriers and burners of an oven do along a plan: the equations of ``oven_problem``.

In each step every carrier moves on by one place. The steps of a block are of one length; only the
first one is what is left of the step under way, with what is left of a stop. Letters as there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from twin.optim.smooth import Expression
from twin.processes import oven
from twin.processes.bind import symbolic
from twin.processes.maths_symbols import exp, power

NODES = (0, 3, 6, 9, 13, 17, 21, 26, 32)
"""Steps at which zone temperatures are chosen; 3 to 6 carriers apart."""
STEPS = NODES[-1]
BLOCKS = len(NODES) - 1
STRADDLE = 0.125
"""Mean share of a carrier in the neighbouring zone while it is in the first or last place of one."""


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """A plan as expressions: zones by node (Cel), fan by block (1 at full speed), the lengths of steps."""

    T: list[list[Expression]]
    fan: list[Expression]
    first_s: Expression
    """The first step, with what is left of a stop."""
    steps_s: list[Expression]
    """All others, by block."""

    @property
    def duration_s(self) -> list[Expression]:
        """Of each block."""
        first = self.first_s + (NODES[1] - 1) * self.steps_s[0]
        return [first, *((NODES[b + 1] - NODES[b]) * self.steps_s[b] for b in range(1, BLOCKS))]


class Carriers(NamedTuple):
    """What becomes of the carriers, those inside first, in the order of their places."""

    taken_kj: list[list[Expression]]
    """Heat taken up, by block and zone."""
    cured_min: list[Expression]
    exit_c: list[Expression]
    present: list[Expression]


class OvenCourse:
    """The equations of one oven; ``p`` are the model's declared parameters by name."""

    def __init__(self, p: Mapping[str, float], places: int, zones: int) -> None:
        self._p, self._places, self._zones = dict(p), places, zones
        self._vector = [p[q.name] for q in oven.PARAMETERS]
        self._laws = symbolic(oven)

    def carriers(
        self,
        moves: Moves,
        part_c: Sequence[Expression],
        done_min: Sequence[Expression],
        mass_kg: Sequence[Expression],
        now: Mapping[str, Expression],
    ) -> Carriers:
        """Of all inside, and of those that enter early enough to leave within the horizon."""
        p, zones, places = self._p, self._zones, self._places
        ambient, laws = now["ambient_c"], self._laws
        air = [self._air(j, moves, ambient) for j in range(STEPS)]
        hA = [
            now["heat_transfer"] * laws["heat_transfer_kw_per_k"](speed, self._vector)
            for speed in moves.fan
        ]
        taken: list[list[Expression]] = [[0.0] * zones for _ in range(BLOCKS)]
        found = Carriers(taken, [], [], [])
        for k in range(STEPS):
            inside = k < places
            # Places count from the entry; the carrier in the last place is the first to leave.
            m = mass_kg[k]
            is_there = 1.0 / (1.0 + exp(-(m - 0.5) * 40.0))
            m = m + (1.0 - is_there) * 60.0
            kJ_per_k = m * p["steel_heat_kj_per_kg_k"]
            load = is_there * kJ_per_k * laws["hanger_factor"](m, self._vector)
            slot, begin = (k, 0) if inside else (0, k - places + 1)
            temperature, cure = (part_c[k], done_min[k]) if inside else (ambient, 0.0)
            for j in range(begin, begin + places - slot):
                place, b = slot + j - begin, _block(j)
                dt = moves.first_s if j == 0 else moves.steps_s[b]
                half = exp(-0.5 * dt * hA[b] / kJ_per_k)
                around = air[j][place]
                middle = around + (temperature - around) * half
                after = around + (middle - around) * half
                rate = self._hot(temperature) + 4.0 * self._hot(middle) + self._hot(after)
                cure = cure + rate * dt / 360.0
                taken[b][place * zones // places] += load * (after - temperature)
                temperature = after
            found.cured_min.append(cure + now["cured_offset_min"])
            found.exit_c.append(temperature)
            found.present.append(is_there)
        return found

    def _air(self, j: int, moves: Moves, ambient: Expression) -> list[Expression]:
        """Temperature around each place in the middle of a step."""
        b = _block(j)
        share = (j + 0.5 - NODES[b]) / (NODES[b + 1] - NODES[b])
        if b == 0:
            first_s = moves.first_s
            middle_s = 0.5 * first_s if j == 0 else first_s + (j - 0.5) * moves.steps_s[0]
            share = middle_s / moves.duration_s[0]
        zone = [
            T + share * (T_next - T) for T, T_next in zip(moves.T[b], moves.T[b + 1], strict=True)
        ]
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

    def heat_kw(
        self, moves: Moves, taken_kj: list[list[Expression]], ambient: Expression
    ) -> list[list[Expression]]:
        """Mean heat that each zone's burner has to give, by block."""
        p, zones = self._p, self._zones
        C, G_mix = p["zone_heat_capacity_kj_per_k"], p["zone_exchange_kw_per_k"]
        G = self._laws["zone_loss_kw_per_k"](p["exhaust_nm3_per_h"], self._vector)
        G_opening = self._laws["opening_loss_kw_per_k"](self._vector)
        T, duration_s = moves.T, moves.duration_s
        heat = []
        for b in range(BLOCKS):
            mean = [0.5 * (T[b][z] + T[b + 1][z]) for z in range(zones)]
            fan_kw = p["fan_heat_share"] * p["fan_power_kw"] * power(moves.fan[b], 3.0) / zones
            row = []
            for z in range(zones):
                Q = (C * (T[b + 1][z] - T[b][z]) + taken_kj[b][z]) / duration_s[b] - fan_kw
                Q = Q + G * (mean[z] - ambient)
                Q += G_mix * (mean[z] - mean[z - 1]) if z > 0 else G_opening * (mean[z] - ambient)
                last = z == zones - 1
                Q += G_opening * (mean[z] - ambient) if last else G_mix * (mean[z] - mean[z + 1])
                row.append(Q)
            heat.append(row)
        return heat


def _block(j: int) -> int:
    """The block that a step lies in."""
    return next(b for b in range(BLOCKS) if j < NODES[b + 1])
