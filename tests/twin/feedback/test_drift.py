"""The twin's one-step errors: what counts, what does not, and that a perfect twin has none."""

from __future__ import annotations

import math

import pytest

from tests.twin.analyze.in_step import drive, loop_of, nominal, plc_of, true, without_luck
from tests.twin.feedback.books import plant, reading, signals
from twin.feedback import Ledger, evaluate
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
