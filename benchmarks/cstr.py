"""The stirred reactor of Klatt and Engell, the example on which MPC toolboxes show themselves.

A -> B -> C and 2 A -> D in a cooled tank; wanted is a concentration of B. States: concentrations of A and B
(mol/l), temperatures of reactor and jacket (degC). Inputs: feed over volume (1/h) and heat removed from the
jacket (kJ/h). Constants: Klatt and Engell, Computers chem. Engng 22 (1998) 491, as do-mpc's example has them.
"""

from __future__ import annotations

from typing import Any

K0_AB, K0_BC, K0_AD = 1.287e12, 1.287e12, 9.043e9
E_AB, E_BC, E_AD = 9758.3, 9758.3, 8560.0
H_AB, H_BC, H_AD = 4.2, -11.0, -41.85
RHO, CP, CP_K = 0.9342, 3.01, 2.0
AREA, VOLUME, JACKET_KG, K_W = 0.215, 10.01, 5.0, 4032.0
FEED_C, FEED_A = 130.0, 5.1
X_LO, X_HI = (0.1, 0.1, 50.0, 50.0), (2.0, 2.0, 180.0, 180.0)
U_LO, U_HI = (5.0, -8500.0), (100.0, 0.0)
X0 = (0.8, 0.5, 134.14, 130.0)
U0 = (50.0, -1000.0)
STEP_H, HORIZON = 0.005, 20
SOFT_C = 140.0
"""The reactor should stay below; beyond it costs by ``WEIGHT_SOFT`` a kelvin."""
WEIGHT_B, WEIGHT_SOFT = 100.0, 10.0
WEIGHT_MOVES = (1e-3, 1e-7)
"""Of the squared error of B, of the kelvins beyond, of the squared moves of both inputs (l/h and kJ/h)."""


def rates(x: Any, u: Any, k0_factor: float, exp: Any) -> list[Any]:
    """Time derivatives, per hour; ``exp`` belongs to the numbers or symbols that are given."""
    c_a, c_b, t_r, t_k = x[0], x[1], x[2], x[3]
    feed, heat = u[0], u[1]
    k1 = k0_factor * K0_AB * exp(-E_AB / (t_r + 273.15))
    k2 = K0_BC * exp(-E_BC / (t_r + 273.15))
    k3 = K0_AD * exp(-E_AD / (t_r + 273.15))
    warmer = t_r - t_k
    reacts = k1 * c_a * H_AB + k2 * c_b * H_BC + k3 * c_a * c_a * H_AD
    return [
        feed * (FEED_A - c_a) - k1 * c_a - k3 * c_a * c_a,
        -feed * c_b + k1 * c_a - k2 * c_b,
        -reacts / (RHO * CP) + feed * (FEED_C - t_r) - K_W * AREA * warmer / (RHO * CP * VOLUME),
        (heat + K_W * AREA * warmer) / (JACKET_KG * CP_K),
    ]
