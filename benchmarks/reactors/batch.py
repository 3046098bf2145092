"""A fed-batch bioreactor that makes penicillin: biomass eats what is fed, and gives product.

Letters: X biomass, S substrate, Q product (g/l), V volume (l), mu growth rate, Y yields.
"""

from __future__ import annotations

import sys
from typing import Any

from twin.processes import Kind, ProcessModel, Quantity, output, positions

STEP_S, HORIZON = 60.0, 20
BIOMASS_MOST, PRODUCT_MOST, SUBSTRATE_LEAST = 3.7, 3.0, -0.01


def rates(x: Any, u: Any, d: Any, p: Any, dx: Any) -> None:
    """Write the derivatives, per second, into ``dx``; the constants are per minute."""
    X_s, S, Q, V = x[X.biomass], x[X.substrate], x[X.product], x[X.volume_l]
    dilution = u[U.feed_l_per_min] / V
    mu = 0.02 * S / (0.05 + S + S * S / 5.0)
    dx[X.biomass] = (mu * X_s - dilution * X_s) / 60.0
    eaten = mu * X_s / p[P.biomass_yield] + 0.004 * X_s / 1.2
    dx[X.substrate] = (dilution * (p[P.feed_g_per_l] - S) - eaten) / 60.0
    dx[X.product] = (0.004 * X_s - dilution * Q) / 60.0
    dx[X.volume_l] = u[U.feed_l_per_min] / 60.0


def outputs(x: Any, u: Any, d: Any, p: Any) -> tuple[Any, ...]:
    """Return all that is limited or wanted."""
    return x[X.product], x[X.biomass], x[X.substrate]


_S = "Srinivasan et al., Computers chem. Engng 27 (2003) 27; do-mpc's documented batch reactor"
STATES = (
    Quantity("biomass", "g/L", 0.0, 5.0, 1.0, _S),
    Quantity("substrate", "g/L", -0.02, 2.0, 0.5, _S),
    Quantity("product", "g/L", 0.0, 4.0, 0.0, _S),
    Quantity("volume_l", "L", 100.0, 160.0, 120.0, _S),
)
MVS = (Quantity("feed_l_per_min", "L/min", 0.0, 0.2, 0.05, _S),)
PARAMETERS = (
    Quantity("biomass_yield", "1", 0.3, 0.6, 0.5, _S),
    Quantity("feed_g_per_l", "g/L", 180.0, 220.0, 200.0, _S),
)
X, U, P = positions(STATES), positions(MVS), positions(PARAMETERS)

MODEL = ProcessModel(
    name="batch_reactor",
    kind=Kind.CONTINUOUS,
    states=STATES,
    mvs=MVS,
    dvs=(),
    parameters=PARAMETERS,
    outputs=(
        output("product_g_per_l", "g/L", 0.0, 4.0, "product"),
        output("biomass_g_per_l", "g/L", 0.0, 5.0, "biomass"),
        output("substrate_g_per_l", "g/L", -0.1, 2.0, "substrate"),
    ),
    module=sys.modules[__name__],
    step_s=30.0,
)
