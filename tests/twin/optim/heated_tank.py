"""A small process model for tests: water flows through a heated tank."""

from __future__ import annotations

import sys
from typing import Any

from twin.processes import Kind, ProcessModel, Quantity, output, positions


def rates(x: Any, u: Any, d: Any, p: Any, dx: Any) -> None:
    kg = p[P.full_kg]
    inflow = u[U.inflow_kg_per_s]
    loss_kw = p[P.loss_kw_per_k] * (x[X.water_c] - 20.0)
    warming = inflow * 4.2 * (d[D.inlet_c] - x[X.water_c]) + u[U.heater_kw] - loss_kw
    dx[X.water_c] = warming / (4.2 * kg)
    dx[X.wall_c] = (x[X.water_c] - x[X.wall_c]) / 30.0


def outputs(x: Any, u: Any, d: Any, p: Any) -> tuple[Any, ...]:
    return x[X.wall_c], u[U.heater_kw], u[U.inflow_kg_per_s]


A = "assumption"
STATES = (
    Quantity("water_c", "Cel", 0.0, 100.0, 40.0, A),
    Quantity("wall_c", "Cel", 0.0, 100.0, 40.0, A),
)
MVS = (
    Quantity("heater_kw", "kW", 0.0, 100.0, 42.0, A),
    Quantity("inflow_kg_per_s", "kg/s", 0.1, 2.0, 0.5, A),
    Quantity("lamp_kw", "kW", 0.0, 1.0, 0.0, A),
)
DVS = (Quantity("inlet_c", "Cel", 0.0, 40.0, 20.0, A),)
PARAMETERS = (
    Quantity("full_kg", "kg", 10.0, 50.0, 20.0, A),
    Quantity("loss_kw_per_k", "kW/K", 0.0, 1.0, 0.0, A),
)
X, U, D, P = (positions(group) for group in (STATES, MVS, DVS, PARAMETERS))

MODEL = ProcessModel(
    name="heated_tank",
    kind=Kind.CONTINUOUS,
    states=STATES,
    mvs=MVS,
    dvs=DVS,
    parameters=PARAMETERS,
    outputs=(
        output("outlet_c", "Cel", 0.0, 100.0, "wall of the outlet"),
        output("power_kw", "kW", 0.0, 100.0, "heater"),
        output("flow_kg_per_s", "kg/s", 0.0, 2.0, "through"),
    ),
    module=sys.modules[__name__],
    step_s=10.0,
)
