"""The twin's one-step errors: what counts, what does not, and that a perfect twin has none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.twin.analyze.in_step import drive, loop_of, nominal, plc_of, true, without_luck
from tests.twin.feedback.books import plant, reading, signals
from twin.feedback import Ledger, evaluate
from twin.feedback.drift import Fared, coverage, drift_score
from twin.signals import Quality

GOOD, ENERGY = "line.good_count", "line.energy_kwh"


def booked(*turns: tuple[dict[str, float], dict[str, float], dict[str, int]]) -> dict[str, float]:
    """Means after turns of values, errors and marks, half a minute apart."""
    ledger = Ledger(plant(), signals())
    for n, (values, drift, status) in enumerate(turns):
        ledger.book(reading(30.0 * n, values, status), drift)
    return dict(ledger.account().drift)


def test_the_mean_is_of_sizes_and_the_first_reading_says_nothing() -> None:
    found = booked(
        ({GOOD: 500.0}, {GOOD: 500.0}, {}),
        ({GOOD: 501.0}, {GOOD: 1.0}, {}),
        ({GOOD: 501.0}, {GOOD: -2.0}, {}),
    )
    assert found == {GOOD: 1.5}


def test_turns_without_sight_and_those_after_them_do_not_count() -> None:
    found = booked(
        ({}, {GOOD: 0.0}, {}),
        ({}, {}, {}),
        ({GOOD: 9.0}, {GOOD: 9.0}, {}),
        ({GOOD: 9.0}, {GOOD: 0.5}, {}),
        ({GOOD: 9.0}, {GOOD: math.nan}, {}),
        ({GOOD: 9.0}, {GOOD: 7.0}, {}),
    )
    assert found == {GOOD: 0.5}


def test_a_wrong_reading_is_not_the_twins_fault() -> None:
    found = booked(
        ({ENERGY: 1.0}, {ENERGY: 0.0}, {}),
        ({ENERGY: 1.1}, {ENERGY: 0.01}, {}),
        ({ENERGY: 9e6}, {ENERGY: 9e6}, {}),  # cannot be
        ({ENERGY: 1.3}, {ENERGY: -9e6}, {}),  # from where the wrong reading had put the twin
        ({ENERGY: 1.4}, {ENERGY: 0.03}, {}),
        ({ENERGY: 1.4}, {ENERGY: 5.0}, {ENERGY: int(Quality.BAD)}),
    )
    assert found == {ENERGY: pytest.approx(0.02)}


def test_without_a_twin_there_is_a_reason_and_no_figure() -> None:
    ledger = Ledger(plant(), signals())
    for n in range(3):
        ledger.book(reading(30.0 * n, {ENERGY: 0.1 * n}))
    undefined = evaluate(ledger).undefined
    for name in ("twin_error_parts", "twin_error_kwh"):
        assert undefined[name] == "no twin was in step with the line for two turns"


def test_a_twin_of_a_line_without_luck_is_hardly_off_and_one_of_the_true_line_is() -> None:
    errors = {}
    for name, line in (("same", without_luck("machining_line")), ("true", true("machining_line"))):
        of = line if name == "same" else nominal("machining_line")
        loop = loop_of("rules", line=of)
        cycles = drive(plc_of(line), loop, 60)
        assert all(cycle.drift.keys() == {GOOD, "line.wip", ENERGY} for cycle in cycles)
        found = evaluate(loop.ledger)
        errors[name] = found["twin_error_kwh"]
        turns = [abs(cycle.drift[ENERGY]) for cycle in cycles[1:]]
        assert found["twin_error_kwh"] == pytest.approx(sum(turns) / len(turns))
        assert found["twin_error_parts"] < 0.5
    assert 10.0 * errors["same"] < errors["true"] < 0.1


def fared(courses: list[float], came: float, figure: str = "energy_kwh") -> Fared:
    return Fared(0.0, {figure: np.array(courses)}, {figure: came})


def test_an_outlook_fares_by_where_what_came_lies_among_its_courses() -> None:
    one = fared([1.0, 2.0, 2.0, 4.0], 2.0)
    assert one.rank("energy_kwh") == (0.25, 0.75)
    assert one.off_by("energy_kwh") == pytest.approx(-0.25 / np.std([1.0, 2.0, 2.0, 4.0]))
    # A spread of nothing counts as half a part, or a thousandth.
    assert fared([40.0, 40.0], 41.0, "good_parts").off_by("good_parts") == 2.0
    assert fared([40.0, 40.0], 40.0, "good_parts").off_by("good_parts") == 0.0
    assert fared([10.0, 10.0], 10.01).off_by("energy_kwh") == pytest.approx(1.0)


def test_the_score_is_about_one_for_a_twin_that_is_right() -> None:
    rng = np.random.default_rng(1)
    right = [fared(rng.normal(5.0, 2.0, 400).tolist(), rng.normal(5.0, 2.0)) for _ in range(400)]
    assert drift_score(right, "energy_kwh") == pytest.approx(1.0, abs=0.1)
    assert coverage(right, "energy_kwh", 0.9) == pytest.approx(0.9, abs=0.04)
    wrong = [fared(rng.normal(5.0, 2.0, 400).tolist(), rng.normal(9.0, 2.0)) for _ in range(400)]
    assert drift_score(wrong, "energy_kwh") > 2.0
    assert coverage(wrong, "energy_kwh", 0.9) < 0.5
    assert math.isnan(drift_score([], "energy_kwh"))
    assert math.isnan(coverage([], "energy_kwh", 0.9))


def test_counts_are_covered_as_often_as_they_should_be() -> None:
    rng = np.random.default_rng(2)
    counts = [
        fared(rng.poisson(1.5, 500).tolist(), float(rng.poisson(1.5)), "good_parts")
        for _ in range(600)
    ]
    plain = np.mean([one.actual["good_parts"] <= 4 for one in counts])
    assert plain > 0.95  # the plain interval of whole parts holds more than it says
    assert coverage(counts, "good_parts", 0.9) == pytest.approx(0.9, abs=0.03)
