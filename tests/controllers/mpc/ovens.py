"""An oven's optimal-control problem in the middle of a campaign, for the tests of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from controllers.mpc.oven_course import STEPS
from controllers.mpc.oven_layer import OvenLayer
from controllers.mpc.oven_plan import OvenLimits, OvenNow, OvenPlan
from controllers.mpc.oven_problem import OvenProblem
from controllers.mpc.stations import Prices
from twin.config import load_plant
from twin.line.model import build_line

NAME = "paint_cure_line"
RECIPE_C = np.array([145.0, 180.0, 175.0, 170.0])
LIMITS = OvenLimits(
    zone_lo_c=np.array([120.0, 160.0, 155.0, 150.0]),
    zone_hi_c=np.array([170.0, 195.0, 195.0, 195.0]),
    rate_k_per_s=0.05,
    fan=(0.6, 1.0),
    cured_min=(10.0, 24.0),
    exit_lo_c=150.0,
)
PRICES = Prices(0.18, 15.0, 60.0)


@cache
def problem() -> OvenProblem:
    line = build_line(load_plant(NAME))
    layer = OvenLayer(line, line.element("oven"))
    return OvenProblem(layer.p, 20, 4, LIMITS)


def now(mass_kg: float = 60.0, **other: object) -> OvenNow:
    """A full oven in the middle of a campaign at the recipe, and more of the same to come."""
    start = OvenNow(
        zone_c=RECIPE_C.copy(),
        part_c=np.linspace(30.0, 168.0, 20),
        cured_min=np.linspace(0.0, 1.0, 20) ** 3 * 14.0,
        mass_kg=np.full(STEPS, mass_kg),
        ambient_c=22.0,
        first_step_s=40.0,
        step_s=90.0,
        fan_rel=1.0,
        heat_transfer=1.0,
        cured_offset_min=0.0,
        gas_eur_per_kwh=0.055,
        electricity_eur_per_kwh=0.18,
        scrap_eur=15.0,
    )
    return replace(start, **other)  # type: ignore[arg-type]


def solved(start: OvenNow) -> OvenPlan:
    problem().forget()
    plan = problem().solve(start)
    assert plan.usable, plan.status
    return plan
