from __future__ import annotations

import numpy as np
import pytest

from benchmarks.reactors import polymerisation, stirred
from twin.optim.linearised import Linearised
from twin.optim.result import Floats
from twin.optim.transition import Transition
from twin.processes import ProcessModel, load

CASES = [
    (stirred.MODEL, 18.0, ("feed_warmer_k", "feed_a"), ("b_mol_per_l", "jacket_c")),
    (polymerisation.MODEL, 50.0, ("rate_k0",), ("temperature_k", "product_kg")),
    (load("cutting"), 60.0, ("hardness_rel", "bias.roughness_um"), ("energy_kwh", "roughness_um")),
]


def differences(f: object, z: Floats, span: Floats) -> Floats:
    """Central differences of a function of one vector, column by column."""
    columns = []
    for n, size in enumerate(span):
        step = np.zeros(len(z))
        step[n] = 1e-5 * size
        columns.append((f(z + step) - f(z - step)) / (2e-5 * size))  # type: ignore[operator]
    return np.array(columns).T


@pytest.mark.parametrize(("model", "step_s", "disturbances", "measured"), CASES)
def test_slopes_are_those_of_the_values(
    model: ProcessModel, step_s: float, disturbances: tuple[str, ...], measured: tuple[str, ...]
) -> None:
    linear = Linearised(Transition(model, step_s, disturbances), measured)
    at = model.point()
    z = np.concatenate(
        (at.x + 0.01 * np.array([q.hi - q.lo for q in model.states]), [0.0] * len(disturbances))
    )
    z_span = np.array([q.hi - q.lo for q in model.states] + [0.1] * len(disturbances))
    u_span = np.array([q.hi - q.lo for q in model.mvs])
    for of in (linear.ahead, linear.measured):
        value, by_z, by_u = of(z, at.u, at.d)
        for slope, difference, span in (
            (by_z, differences(lambda v, of=of: of(v, at.u, at.d)[0], z, z_span), z_span),
            (by_u, differences(lambda v, of=of: of(z, v, at.d)[0], at.u, u_span), u_span),
        ):
            scale = np.abs(slope * span).max() + 1e-12
            assert np.abs((slope - difference) * span).max() < 1e-5 * scale
        assert len(value) == len(by_z)
