from __future__ import annotations

from typing import Any

import casadi
import numpy as np
import pytest

from benchmarks.reactors import polymerisation
from tests.twin.optim.heated_tank import MODEL
from twin.optim import ProblemError
from twin.optim.result import Floats
from twin.optim.transition import Transition
from twin.processes import load

ca: Any = casadi


def after(t: Transition, x: Floats, u: Floats, d: Floats, w: Floats) -> Floats:
    names = (("x", t.n_x), ("u", t.n_u), ("d", t.n_d), ("w", t.n_w))
    symbols = [ca.SX.sym(name, n) for name, n in names]
    return np.asarray(ca.Function("f", symbols, [t.ahead(*symbols)])(x, u, d, w)).ravel()


def test_a_step_is_made_of_the_models_own_steps() -> None:
    at = MODEL.point(heater_kw=60.0)
    x = at.x.copy()
    for _ in range(3):
        MODEL.stepper()(*at._replace(x=x), 10.0, x)
    assert after(Transition(MODEL, 30.0), *at[:3], np.zeros(0)) == pytest.approx(x, rel=1e-12)


def test_the_implicit_step_of_a_stiff_model_follows_its_slow_states() -> None:
    model = polymerisation.MODEL
    at = model.point(feed_kg_per_h=10000.0, exchanger_k=360.0, coolant_k=358.0)
    found, exact = at.x, at.x.copy()
    t = Transition(model, 50.0)
    for _ in range(5):
        found = after(t, found, at.u, at.d, np.zeros(0))
        for _ in range(200):
            model.stepper()(*at._replace(x=exact), 0.25, exact)
    spans = np.array([q.hi - q.lo for q in model.states])
    assert np.max(np.abs(found - exact) / spans) < 2e-4


@pytest.mark.parametrize(
    ("name", "like"),
    [("heater_kw", {"heater_kw": 47.0}), ("inlet_c", {"inlet_c": 25.0})],
)
def test_a_learned_disturbance_adds_to_what_it_is_named_after(
    name: str, like: dict[str, float]
) -> None:
    at, other = MODEL.point(), MODEL.point(**like)
    found = after(Transition(MODEL, 10.0, (name,)), *at[:3], np.array([5.0]))
    wanted = after(Transition(MODEL, 10.0), *other[:3], np.zeros(0))
    assert found == pytest.approx(wanted, rel=1e-12)


def test_a_bias_moves_its_output_alone_and_a_state_can_be_seen() -> None:
    t = Transition(MODEL, 10.0, ("bias.water_c",))
    at = MODEL.point()
    y = np.asarray(ca.evalf(t.outputs(ca.DM(at.x), ca.DM(at.u), ca.DM(at.d), ca.DM([3.0])))).ravel()
    assert t.names == ("outlet_c", "power_kw", "flow_kg_per_s", "water_c", "wall_c")
    assert y == pytest.approx([40.0, 42.0, 0.5, 43.0, 40.0])


def test_a_part_wears_the_edge_by_its_increment() -> None:
    cutting = load("cutting")
    at = cutting.point(wear_mm=0.1)
    increment = cutting.numbers()(*at)[4]
    found = after(Transition(cutting, 60.0), *at[:3], np.zeros(0))
    assert found == pytest.approx([0.1 + increment])


def test_unknown_disturbances_are_refused_by_name() -> None:
    with pytest.raises(ProblemError, match="hardness_rel"):
        Transition(MODEL, 10.0, ("hardness_rel",))
    with pytest.raises(ProblemError, match=r"inlet_c.* twice"):
        Transition(MODEL, 10.0, ("inlet_c", "inlet_c"))
    with pytest.raises(ProblemError, match="positive seconds"):
        Transition(MODEL, 0.0)
