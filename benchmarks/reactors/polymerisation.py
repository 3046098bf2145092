"""An industrial semi-batch polymerisation reactor with jacket and external heat exchanger.

Monomer is fed as fast as its heat of reaction can be taken away; the temperature stays in a narrow
band, and so does the one that the reactor would reach if all cooling failed. Letters: m mass, T
temperature, W water, A monomer, P polymer, R reactor, S steel, M jacket, EK exchanger (product side),
AWT exchanger (coolant side), k_K heat transfer, U conversion.
"""

from __future__ import annotations

import sys
from typing import Any

from twin.processes import Kind, ProcessModel, Quantity, output, positions
from twin.processes import maths_numbers as xp

STEP_S, HORIZON = 50.0, 20
BAND_K = (361.15, 365.15)
SAFE_K = 382.15


def rates(x: Any, u: Any, d: Any, p: Any, dx: Any) -> None:
    """Write the derivatives, per second, into ``dx``; the constants below are per hour."""
    m_W, m_A, m_P = x[X.water_kg], x[X.monomer_kg], x[X.polymer_kg]
    T_R, T_S, T_M = x[X.reactor_k], x[X.steel_k], x[X.jacket_k]
    T_EK, T_AWT = x[X.exchanger_k], x[X.coolant_k]
    feed = u[U.feed_kg_per_h]
    dH, k_0 = p[P.reaction_kj_per_kg], p[P.rate_k0]
    m = m_W + m_A + m_P
    conversion = m_P / (m_A + m_P)
    gel = 4.0 * (1.0 - conversion) + 32.0 * conversion
    k_R1 = k_0 * xp.exp(-8500.0 / (8.314 * T_R)) * gel
    k_R2 = k_0 * xp.exp(-8500.0 / (8.314 * T_EK)) * gel
    k_K = (17280.0 * m_W + 3600.0 * m_A + 360.0 * m_P) / m
    m_AWT, flow = 200.0, 20000.0
    reacts_R = k_R1 * (m_A - m_A * m_AWT / m)
    reacts_EK = k_R2 * m_A / m * m_AWT
    dm_W, dm_P = 0.333 * feed, reacts_R + reacts_EK
    dm_A = 0.667 * feed - dm_P
    c_R, c_W, area, alpha = 5.0, 4.2, 65.0, 3.6e6
    heat_R = feed * 3.0 * (298.15 - T_R) - k_K * area * (T_R - T_S)
    dT_R = (heat_R - flow * c_R * (T_R - T_EK) + dH * reacts_R) / (c_R * m)
    heat_EK = flow * c_R * (T_R - T_EK) - alpha * (T_EK - T_AWT) + reacts_EK * dH
    heat_M = 3.0e5 * c_W * (u[U.jacket_in_k] - T_M) + k_K * area * (T_S - T_M)
    heat_AWT = 1.0e5 * c_W * (u[U.exchanger_in_k] - T_AWT) - alpha * (T_AWT - T_EK)
    adiabatic = dH / (m * c_R) * (dm_A - feed * m_A / m)
    dx[X.water_kg] = dm_W / 3600.0
    dx[X.monomer_kg] = dm_A / 3600.0
    dx[X.polymer_kg] = dm_P / 3600.0
    dx[X.reactor_k] = dT_R / 3600.0
    dx[X.steel_k] = k_K * area * (T_R - 2.0 * T_S + T_M) / (0.47 * 39000.0) / 3600.0
    dx[X.jacket_k] = heat_M / (c_W * 5000.0) / 3600.0
    dx[X.exchanger_k] = heat_EK / (c_R * m_AWT) / 3600.0
    dx[X.coolant_k] = heat_AWT / (c_W * 1000.0) / 3600.0
    dx[X.fed_kg] = feed / 3600.0
    dx[X.adiabatic_k] = (adiabatic + dT_R) / 3600.0


def outputs(x: Any, u: Any, d: Any, p: Any) -> tuple[Any, ...]:
    """Return product, both temperatures that count, and what was fed."""
    return x[X.polymer_kg], x[X.reactor_k], x[X.adiabatic_k], x[X.fed_kg]


_S = "Lucia et al., J. Process Control 24 (2014) 1247; do-mpc's documented polymerisation example"
STATES = (
    Quantity("water_kg", "kg", 0.0, 30000.0, 10000.0, _S),
    Quantity("monomer_kg", "kg", 0.0, 5000.0, 853.0, _S),
    Quantity("polymer_kg", "kg", 0.0, 30000.0, 26.5, _S),
    Quantity("reactor_k", "K", 350.0, 380.0, 363.15, _S),
    Quantity("steel_k", "K", 298.0, 400.0, 363.15, _S),
    Quantity("jacket_k", "K", 298.0, 400.0, 363.15, _S),
    Quantity("exchanger_k", "K", 288.0, 400.0, 308.15, _S),
    Quantity("coolant_k", "K", 288.0, 400.0, 308.15, _S),
    Quantity("fed_kg", "kg", 0.0, 31000.0, 300.0, _S),
    Quantity("adiabatic_k", "K", 350.0, 400.0, 378.04, "derived: all monomer reacting at once"),
)
MVS = (
    Quantity("feed_kg_per_h", "kg/h", 0.0, 30000.0, 5000.0, _S),
    Quantity("jacket_in_k", "K", 333.15, 373.15, 353.15, _S),
    Quantity("exchanger_in_k", "K", 333.15, 373.15, 353.15, _S),
)
PARAMETERS = (
    Quantity("reaction_kj_per_kg", "kJ/kg", 600.0, 1300.0, 950.0, _S),
    Quantity("rate_k0", "h-1", 4.0, 10.0, 7.0, _S),
)
X, U, P = positions(STATES), positions(MVS), positions(PARAMETERS)

MODEL = ProcessModel(
    name="polymerisation",
    kind=Kind.CONTINUOUS,
    states=STATES,
    mvs=MVS,
    dvs=(),
    parameters=PARAMETERS,
    outputs=(
        output("product_kg", "kg", 0.0, 30000.0, "polymer"),
        output("temperature_k", "K", 350.0, 380.0, "reactor"),
        output("runaway_k", "K", 350.0, 400.0, "reactor, were all cooling to fail"),
        output("fed_total_kg", "kg", 0.0, 31000.0, "feed so far"),
    ),
    module=sys.modules[__name__],
    step_s=0.5,
    stiff=True,
)
