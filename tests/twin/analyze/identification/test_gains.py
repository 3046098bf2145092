"""Process models: what the data tell is found, what they cannot tell is named and left alone."""

from __future__ import annotations

import numpy as np
import pytest

from twin.analyze.identification import Verdict
from twin.analyze.identification.candidates import Candidate, candidates, choose
from twin.analyze.identification.gains import fit_process
from twin.analyze.identification.identify import parameters_of
from twin.analyze.identification.parts import Parts
from twin.analyze.identification.step_test import step_tests
from twin.config import load_plant
from twin.line.model import build_line
from twin.processes.model import Quantity

LINE = build_line(load_plant("machining_line"))
TURNING = 1
TRUE = {"k_c11_n_per_mm2": 2300.0, "wear_force_per_mm": 0.9}


def made(*, moved: bool, parts: int = 200, seed: int = 3) -> tuple[Parts, np.ndarray]:
    """Parts of a lathe whose force and wear effect are not the nominal ones."""
    rng = np.random.default_rng(seed)
    model, p = LINE.elements[TURNING].process, parameters_of(LINE, TURNING)
    for name, value in TRUE.items():
        p[[q.name for q in model.parameters].index(name)] = value
    u = np.tile([220.0, 0.3], (parts, 1))
    if moved:
        u[parts // 2 :] = [235.0, 0.26]
    d = np.ones((parts, len(model.dvs)))
    x = rng.uniform(0.0, 0.3, (parts, 1))
    out = np.array([model.numbers()(*row, p) for row in zip(x, u, d, strict=True)])
    outputs = {
        "cycle_time_s": out[:, 0],
        "energy_kwh": out[:, 1],
        "roughness_um": out[:, 5] + 0.05 * rng.standard_normal(parts),
        "cutting_power_kw": out[:, 6] + 0.1 * rng.standard_normal(parts),
    }
    op = np.arange(1, parts + 1)
    return Parts(op, op, 60.0 * op, np.zeros_like(op), u, d, outputs), x


def test_true_parameters_lie_in_their_intervals() -> None:
    parts, x = made(moved=True)
    station, model = LINE.plant.stations[0], LINE.elements[TURNING].process
    fit = fit_process(station, model, parameters_of(LINE, TURNING), parts, x)
    assert fit is not None
    found = {one.path[-1]: one for one in fit.findings}
    for name, value in TRUE.items():
        one = found[name]
        assert one.found.lo <= value <= one.found.hi, one
        assert one.verdict is Verdict.LEARNED
    assert not fit.drifts_per_h
    assert fit.singular_values.min() > 1.0


def test_what_was_not_moved_is_not_told_and_gets_a_test_inside_the_limits() -> None:
    parts, x = made(moved=False)
    station, model = LINE.plant.stations[0], LINE.elements[TURNING].process
    fit = fit_process(station, model, parameters_of(LINE, TURNING), parts, x)
    assert fit is not None
    assert {"m_c", "taylor_n"} <= set(fit.left)
    tests = step_tests(LINE, TURNING, fit.findings, fit, parts)
    asked = {test.parameter.rpartition(".")[2]: test for test in tests}
    m_c = asked["m_c"]
    assert m_c.setpoint == "turning.feed_mm"
    assert m_c.to is not None
    spec = station.setpoints["feed_mm"]
    assert spec.operator[0] <= m_c.to <= spec.operator[1]
    assert m_c.ramp_s == pytest.approx(abs(m_c.to - m_c.start) / spec.rate_per_s)
    assert asked["taylor_n"].to is None


def test_a_drift_is_told_from_an_error() -> None:
    parts, x = made(moved=True)
    station, model = LINE.plant.stations[0], LINE.elements[TURNING].process
    names = [q.name for q in model.parameters]
    base_kw = parameters_of(LINE, TURNING)[names.index("base_power_kw")]
    hours = parts.begin_s / 3600.0
    extra_kw = 0.01 * base_kw * hours
    parts.outputs["energy_kwh"][:] += extra_kw * parts.outputs["cycle_time_s"] / 3600.0
    parts.outputs["cutting_power_kw"][:] += extra_kw
    fit = fit_process(station, model, parameters_of(LINE, TURNING), parts, x)
    assert fit is not None
    drift = fit.drifts_per_h["base_power_kw"]
    assert drift.lo <= 0.01 <= drift.hi
    base = next(one for one in fit.findings if one.path[-1] == "base_power_kw")
    assert base.found.lo <= base_kw <= base.found.hi


def test_of_two_that_act_alike_the_doubted_one_is_taken() -> None:
    q = Quantity("a", "1", 0.0, 10.0, 1.0, "assumption")
    able = [Candidate(q, 0, 1.0, 1.0, 2), Candidate(q, 1, 1.0, 1.0, 0)]
    column = np.full(50, 10.0)
    chosen, left = choose(np.column_stack([column, column]), able)
    assert [one.at for one in chosen] == [1]
    assert [one.at for one in left] == [0]


def test_too_few_parts_teach_nothing() -> None:
    parts, x = made(moved=False, parts=5)
    station, model = LINE.plant.stations[0], LINE.elements[TURNING].process
    assert fit_process(station, model, parameters_of(LINE, TURNING), parts, x) is None


def test_references_of_the_model_are_no_candidates() -> None:
    station, model = LINE.plant.stations[0], LINE.elements[TURNING].process
    able = {c.quantity.name: c for c in candidates(station, model, parameters_of(LINE, TURNING))}
    assert "reference_feed_mm" not in able
    assert able["k_c11_n_per_mm2"].rank == 0
    assert able["wear_force_per_mm"].rank == 1
    assert able["m_c"].rank == 2
