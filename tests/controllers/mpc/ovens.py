"""An oven's optimal-control problem in the middle of a campaign, and the layer on the true line, for their tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from controllers.mpc.controller import Mpc
from controllers.mpc.oven_course import STEPS
from controllers.mpc.oven_layer import OvenLayer
from controllers.mpc.oven_plan import OvenLimits, OvenNow, OvenPlan
from controllers.mpc.oven_problem import OvenProblem
from controllers.mpc.stations import Prices
from twin.config import Plant, load_plant, load_truth, untuned
from twin.cycle import Action, Situation
from twin.equipment.plc import Plc
from twin.equipment.simulated import SimulatedEquipment
from twin.kernels import draws
from twin.line.model import Line, build_line
from twin.line.scenario import build_table, scenario_of
from twin.loop import ControlLoop
from twin.protocols import Controller
from twin.runtime import EquipmentClock, Runtime
from twin.state import LineState

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


def layer() -> OvenLayer:
    line: Line = build_line(load_plant(NAME))
    return OvenLayer(line, line.element("oven"))


@cache
def problem() -> OvenProblem:
    return OvenProblem(layer().p, 20, 4, LIMITS)


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


class Recipe:
    """Constant setpoints: the recipe, or others."""

    def __init__(self, setpoints: Mapping[str, float]) -> None:
        self._setpoints = dict(setpoints)

    def decide(self, situation: Situation) -> Action:
        return Action(self._setpoints)


class Watched:
    """Passes on to a controller and keeps what it saw and asked, and the plant's last state."""

    def __init__(self, inner: Controller) -> None:
        self.inner = inner
        self.plant: LineState | None = None
        self.last: Situation | None = None
        self.actions: list[Action] = []

    def decide(self, situation: Situation) -> Action:
        self.last = situation
        self.actions.append(self.inner.decide(situation))
        return self.actions[-1]


def plant_of(shift_h: float) -> Plant:
    """The line with its orders due after so many hours."""
    return load_plant(NAME).model_copy(update={"shift_h": shift_h})


def shift(
    controller: Controller,
    hours: float,
    *,
    seed: int = 1001,
    utilisation: float = 0.8,
    shift_h: float = 8.0,
) -> tuple[dict[str, float], Watched]:
    """The true line under a controller; its meters at the end."""
    plant = plant_of(shift_h)
    line = build_line(plant)
    true = build_line(plant, load_truth(NAME, plant))
    table = build_table(plant, seed, draws.PLANT, hours + 1.0, utilisation=utilisation)
    plc = Plc(true, table, seed, scenario_of(plant, "nominal"))
    equipment = SimulatedEquipment(plc)
    watched = Watched(controller)
    runtime = Runtime(ControlLoop(line, watched, seed), equipment, EquipmentClock(equipment))
    runtime.command("close", "test")
    asyncio.run(runtime.run(0, round(hours * 3.6e9), lambda _: None))
    watched.plant = plc.state
    values = plc.tags.read(plc.state, (0.0,) * 7)
    return {n: float(values[at]) for n, at in plc.tags.index.items()}, watched


def mpc(shift_h: float = 8.0) -> Mpc:
    plant = plant_of(shift_h)
    return Mpc(build_line(plant), untuned(plant))


@cache
def watched_recipe() -> Watched:
    _, watched = shift(Recipe({"line.takt_s": 60.0}), 1.6)
    return watched


def situation() -> Situation:
    seen = watched_recipe().last
    assert seen is not None
    return seen
