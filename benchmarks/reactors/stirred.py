"""The stirred reactor of Klatt and Engell: A -> B -> C and 2 A -> D in a cooled tank.

Wanted is a concentration of B; the reactor should stay below a temperature. Letters: c concentration,
T temperature, r and k reactor and jacket, k_1..3 rate constants, H heat of reaction.
"""

from __future__ import annotations

import sys
from typing import Any

from twin.processes import Kind, ProcessModel, Quantity, output, positions
from twin.processes import maths_numbers as xp

STEP_S, HORIZON = 18.0, 20
SOFT_C = 140.0
START_X = {"c_a": 0.8, "c_b": 0.5, "reactor_c": 134.14, "jacket_c": 130.0}


def rates(x: Any, u: Any, d: Any, p: Any, dx: Any) -> None:
    """Write the derivatives, per second, into ``dx``."""
    c_a, c_b, T_r, T_k = x[X.c_a], x[X.c_b], x[X.reactor_c], x[X.jacket_c]
    F = u[U.feed_per_h]
    k_1 = p[P.k0_ab] * xp.exp(-p[P.e_ab_k] / (T_r + 273.15))
    k_2 = p[P.k0_bc] * xp.exp(-p[P.e_ab_k] / (T_r + 273.15))
    k_3 = p[P.k0_ad] * xp.exp(-p[P.e_ad_k] / (T_r + 273.15))
    heat = k_1 * c_a * p[P.h_ab] + k_2 * c_b * p[P.h_bc] + k_3 * c_a * c_a * p[P.h_ad]
    rho_c = p[P.density_kg_per_l] * p[P.heat_kj_per_kg_k]
    across = p[P.jacket_kj_per_h_m2_k] * p[P.area_m2] * (T_r - T_k)
    feed_c = p[P.feed_c] + d[D.feed_warmer_k]
    dx[X.c_a] = (F * (p[P.feed_a] - c_a) - k_1 * c_a - k_3 * c_a * c_a) / 3600.0
    dx[X.c_b] = (-F * c_b + k_1 * c_a - k_2 * c_b) / 3600.0
    dx[X.reactor_c] = (
        -heat / rho_c + F * (feed_c - T_r) - across / (rho_c * p[P.volume_l])
    ) / 3600.0
    dx[X.jacket_c] = (u[U.heat_kj_per_h] + across) / (10.0 * 3600.0)


def outputs(x: Any, u: Any, d: Any, p: Any) -> tuple[Any, ...]:
    """Return what is measured: B and the reactor's temperature."""
    return x[X.c_b], x[X.reactor_c]


_KE = "Klatt and Engell, Computers chem. Engng 22 (1998) 491; do-mpc's documented CSTR example"
STATES = (
    Quantity("c_a", "mol/L", 0.1, 2.0, 0.8, _KE),
    Quantity("c_b", "mol/L", 0.1, 2.0, 0.5, _KE),
    Quantity("reactor_c", "Cel", 50.0, 180.0, 134.14, _KE),
    Quantity("jacket_c", "Cel", 50.0, 180.0, 130.0, _KE),
)
MVS = (
    Quantity("feed_per_h", "h-1", 5.0, 100.0, 50.0, _KE),
    Quantity("heat_kj_per_h", "kJ/h", -8500.0, 0.0, -1000.0, _KE),
)
DVS = (Quantity("feed_warmer_k", "K", -40.0, 40.0, 0.0, "assumption: feed against its recipe"),)
PARAMETERS = (
    Quantity("k0_ab", "h-1", 1.0e12, 1.6e12, 1.287e12, _KE),
    Quantity("k0_bc", "h-1", 1.0e12, 1.6e12, 1.287e12, _KE),
    Quantity("k0_ad", "L/(mol.h)", 8.0e9, 1.0e10, 9.043e9, _KE),
    Quantity("e_ab_k", "K", 9758.3, 9758.3, 9758.3, _KE),
    Quantity("e_ad_k", "K", 8560.0, 8560.0, 8560.0, _KE),
    Quantity("h_ab", "kJ/mol", 4.2, 4.2, 4.2, _KE),
    Quantity("h_bc", "kJ/mol", -11.0, -11.0, -11.0, _KE),
    Quantity("h_ad", "kJ/mol", -41.85, -41.85, -41.85, _KE),
    Quantity("density_kg_per_l", "kg/L", 0.9, 1.0, 0.9342, _KE),
    Quantity("heat_kj_per_kg_k", "kJ/(kg.K)", 3.0, 3.1, 3.01, _KE),
    Quantity("jacket_kj_per_h_m2_k", "kJ/(h.m2.K)", 3000.0, 5000.0, 4032.0, _KE),
    Quantity("area_m2", "m2", 0.215, 0.215, 0.215, _KE),
    Quantity("volume_l", "L", 10.01, 10.01, 10.01, _KE),
    Quantity("feed_c", "Cel", 100.0, 150.0, 130.0, _KE),
    Quantity("feed_a", "mol/L", 4.0, 6.0, 5.1, _KE),
)
X, U, D, P = positions(STATES), positions(MVS), positions(DVS), positions(PARAMETERS)

MODEL = ProcessModel(
    name="stirred_reactor",
    kind=Kind.CONTINUOUS,
    states=STATES,
    mvs=MVS,
    dvs=DVS,
    parameters=PARAMETERS,
    outputs=(
        output("b_mol_per_l", "mol/L", 0.0, 2.0, "concentration of B"),
        output("temperature_c", "Cel", 50.0, 180.0, "reactor"),
    ),
    module=sys.modules[__name__],
    step_s=9.0,
)
