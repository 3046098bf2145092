"""Wash, inspection, assembly, packing: a station whose cycle nobody sets.

The cycle time and the power are given; there is nothing to manipulate. Two effects are for the truth
only and zero in the nominal model: a cold hall costs power (a washer's bath loses more heat), and a
cycle with manual work grows longer in the course of a shift.
"""

from __future__ import annotations

import sys

from twin.processes import maths_numbers as xp
from twin.processes.model import (
    Kind,
    ProcessModel,
    Quantity,
    Scalar,
    Variant,
    Vector,
    per_part_outputs,
    positions,
)

__all__ = ["MODEL"]


def cycle(x: Vector, u: Vector, d: Vector, p: Vector) -> tuple[Scalar, ...]:
    """Return what one cycle costs; nothing wears."""
    cold_k = xp.maximum(0.0, 20.0 - d[D.ambient_c])
    power_kw = p[P.power_kw] + p[P.cold_power_kw_per_k] * cold_k
    cycle_time_s = p[P.cycle_time_s] * (1.0 + p[P.fatigue_per_h] * d[D.shift_elapsed_h])
    energy_kwh = power_kw * cycle_time_s / 3600.0
    return cycle_time_s, energy_kwh, p[P.material_kg], p[P.defect], 0.0


def _times_and_powers(
    cycle_time_s: float, power_kw: float, lo_kw: float, hi_kw: float, source: str
) -> tuple[Quantity, ...]:
    return (
        Quantity("cycle_time_s", "s", 5.0, 600.0, cycle_time_s, "assumption"),
        Quantity("power_kw", "kW", lo_kw, hi_kw, power_kw, source),
    )


_A = "assumption"
_WASH = _times_and_powers(45.0, 11.0, 8.0, 14.0, "assumption; washers of 8 to 10 kW: MicroCare")

DVS = (
    Quantity("ambient_c", "Cel", -10.0, 45.0, 20.0, _A),
    Quantity("shift_elapsed_h", "h", 0.0, 24.0, 0.0, _A),
)
PARAMETERS = (
    *_WASH,
    Quantity("material_kg", "kg", 0.0, 50.0, 0.0, "assumption: the station adds no material"),
    Quantity("defect", "1", 0.0, 0.2, 0.0, "assumption: causes no defects"),
    Quantity("cold_power_kw_per_k", "kW/K", 0.0, 0.2, 0.0, "truth only; assumption"),
    Quantity("fatigue_per_h", "h-1", 0.0, 0.02, 0.0, "truth only; assumption"),
)
D, P = positions(DVS), positions(PARAMETERS)

MODEL = ProcessModel(
    name="fixed_cycle",
    kind=Kind.PER_PART,
    states=(),
    mvs=(),
    dvs=DVS,
    parameters=PARAMETERS,
    outputs=per_part_outputs(),
    module=sys.modules[__name__],
    variants=(
        Variant("wash", _WASH),
        Variant("inspection", _times_and_powers(40.0, 0.7, 0.5, 1.2, _A)),
        Variant("assembly", _times_and_powers(17.0, 1.6, 0.8, 3.0, _A)),
        Variant("packing", _times_and_powers(16.0, 1.5, 0.8, 3.0, _A)),
    ),
)
