"""A process model of another package, for tests: a heated tunnel with three places, and a line that has it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from tests.twin.analyze.in_step import plant_of
from twin import processes
from twin.config import Plant
from twin.processes import Kind, ProcessModel, Quantity, output, positions
from twin.processes import maths_numbers as xp

PLACES = 3


def rates(x: Any, u: Any, d: Any, p: Any, dx: Any) -> None:
    air, coil = x[X.zone_1_c], x[X.coil_c]
    blown_kw = p[P.coil_kw_per_k] * (coil - air)
    loss_kw_per_k = p[P.wall_kw_per_k] + p[P.fresh_kw_per_k] * u[U.fresh_air_rel]
    loaded_kw = 0.0 * air
    for k in range(PLACES):
        there = xp.where(d[MASS + k] - 0.5, 1.0, 0.0)
        heated_kw = there * p[P.carrier_kw_per_k] * (air - x[PART + k])
        dx[PART + k] = heated_kw / (0.49 * xp.maximum(d[MASS + k], 1.0))
        loaded_kw = loaded_kw + heated_kw
    dx[X.zone_1_c] = (blown_kw - loss_kw_per_k * (air - d[D.ambient_c]) - loaded_kw) / 200.0
    dx[X.coil_c] = (u[U.heater_kw] - blown_kw) / 40.0


def outputs(x: Any, u: Any, d: Any, p: Any) -> tuple[Any, ...]:
    exit_c = x[PART + PLACES - 1]
    damp = xp.logistic((p[P.dry_c] - exit_c) / 1.0)
    there = xp.where(d[MASS + PLACES - 1] - 0.5, 1.0, 0.0)
    return u[U.heater_kw] + 2.0, 0.0 * u[U.heater_kw], p[P.belt_per_h], exit_c, there * damp


def shift_carriers(x: Any, entering_c: Any) -> None:
    for k in range(PLACES - 1, 0, -1):
        x[PART + k] = x[PART + k - 1]
    x[PART] = entering_c


def entry_open(x: Any, u: Any, p: Any) -> bool:
    is_open: bool = x[X.zone_1_c] > 30.0
    return is_open


A = "assumption"
STATES = (
    Quantity("zone_1_c", "Cel", 0.0, 200.0, 85.0, A),
    Quantity("coil_c", "Cel", 0.0, 400.0, 105.0, A),
    *(Quantity(f"carrier_{k + 1}_c", "Cel", 0.0, 200.0, 25.0, A) for k in range(PLACES)),
)
MVS = (
    Quantity("heater_kw", "kW", 0.0, 100.0, 40.0, A),
    Quantity("fresh_air_rel", "1", 0.1, 1.0, 0.6, A),
    Quantity("lamp_rel", "1", 0.0, 1.0, 0.0, A),
)
DVS = (
    Quantity("ambient_c", "Cel", -10.0, 45.0, 22.0, A),
    Quantity("conveyor_phase", "1", 0.0, 1.0, 0.5, A),
    *(Quantity(f"carrier_{k + 1}_mass_kg", "kg", 0.0, 120.0, 60.0, A) for k in range(PLACES)),
)
PARAMETERS = (
    Quantity("coil_kw_per_k", "kW/K", 0.5, 4.0, 2.0, A),
    Quantity("wall_kw_per_k", "kW/K", 0.1, 1.0, 0.3, A),
    Quantity("fresh_kw_per_k", "kW/K", 0.1, 1.0, 0.4, A),
    Quantity("carrier_kw_per_k", "kW/K", 0.05, 0.5, 0.12, A),
    Quantity("dry_c", "Cel", 40.0, 80.0, 50.0, A),
    Quantity("belt_per_h", "h-1", 10.0, 60.0, 40.0, A),
)
X, U, D, P = (positions(group) for group in (STATES, MVS, DVS, PARAMETERS))
PART, MASS = int(X.carrier_1_c), int(D.carrier_1_mass_kg)
EXIT_OUTPUTS = ("exit_c",)

MODEL = ProcessModel(
    name="dryer",
    kind=Kind.CONTINUOUS,
    states=STATES,
    mvs=MVS,
    dvs=DVS,
    parameters=PARAMETERS,
    outputs=(
        output("power_kw", "kW", 0.0, 120.0, "heater and fan"),
        output("gas_kw", "kW", 0.0, 1.0, "none"),
        output("carriers_per_h", "h-1", 0.0, 60.0, "belt"),
        output("exit_c", "Cel", 0.0, 200.0, "carrier in the last place"),
        output("defect_probability", "1", 0.0, 1.0, "carrier in the last place"),
    ),
    module=sys.modules[__name__],
    step_s=10.0,
)

SETPOINTS = {
    "heater_kw": {"start": 40, "operator": (5, 80), "rate_per_s": 0.5},
    "fresh_air_rel": {"start": 0.6, "operator": (0.2, 0.9), "rate_per_s": 0.01},
    "lamp_rel": {"start": 0, "operator": (0, 1), "rate_per_s": 1, "discrete": True},
}


def offer(monkeypatch: pytest.MonkeyPatch, module: str = __name__) -> None:
    """As if a package offered the model."""
    point = EntryPoint("dryer", module, processes.ENTRY_POINT_GROUP)
    monkeypatch.setattr(processes, "entry_points", EntryPoints([point]).select)


def plant_with(
    *, parameters: Mapping[str, float] | None = None, mpc: object = None, **station: Any
) -> Plant:
    """The paint line with the dryer in place of its oven: no failures, no scatter, small noise."""
    data = plant_of("paint_cure_line").model_dump(by_alias=True)
    stations = list(data["stations"])
    stations[0]["failures"] = {}
    limits = {q.name: (q.lo, q.hi) for q in MVS}
    setpoints = {
        name: {**spec, "validity": limits[name], "engineering": limits[name]}
        for name, spec in SETPOINTS.items()
    }
    stations[1] = {
        **stations[1],
        "name": "dryer",
        "title": "Dryer",
        "model": "dryer",
        "places": PLACES,
        "failures": {},
        "parameters": {name: {"value": value} for name, value in (parameters or {}).items()},
        "setpoints": setpoints,
        "sensors": {"zone_temp_c": {"noise_sd": 0.05}},
        "mpc": mpc,
        **station,
    }
    data["stations"] = stations
    data["name"] = "dry_line"
    data["variants"] = {"nominal": {"title": "as described"}}
    cold = {"title": "a gate is left open", "from_h": 0.5, "shift": {"ambient_c": -10.0}}
    data["scenarios"] = {"nominal": {"title": "as planned"}, "cold": cold}
    plant = Plant.model_validate(data)
    plant.check()
    return plant
