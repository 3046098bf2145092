"""Each rule by which a value is doubted, and what becomes of it then."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.sense.readings import (
    AMBIENT,
    ENERGY,
    INDEX,
    POWER,
    SIGNALS,
    SINCE,
    SPEED,
    STATE,
    TEMP,
    Sensing,
    mark,
)
from twin.cycle import Reading
from twin.sense.cleaning import REPEATS_OF_A_FROZEN
from twin.sense.fusion import Fusion
from twin.signals import UNUSABLE, Quality, Role


def test_good_values_pass_as_they_came() -> None:
    seen = Sensing().see(30.0, {TEMP: 181.25, STATE: 3.0})
    assert not seen.quality.any()
    assert (seen[TEMP], seen[STATE], seen[AMBIENT], seen[SPEED]) == (181.25, 3.0, 20.0, 2.0)
    assert (seen.time_us, seen.index) == (30_000_000, INDEX)


@pytest.mark.parametrize("name", [STATE, TEMP])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_missing(name: str, value: float) -> None:
    sensing = Sensing()
    sensing.see(0.0)
    seen = sensing.see(30.0, {name: value})
    assert Quality.MISSING in mark(seen, name)
    assert math.isnan(seen[name])


@pytest.mark.parametrize("value", [-0.001, 400.001, 1e300])
def test_what_cannot_be_is_out_of_range(value: float) -> None:
    sensing = Sensing()
    seen = sensing.see(0.0, {TEMP: value})
    assert Quality.OUT_OF_RANGE in mark(seen, TEMP)


@pytest.mark.parametrize("value", [2.0**64 - 1.0, -(2.0**63), 1e300])
def test_the_largest_number_of_a_plc_is_no_number_of_a_part(value: float) -> None:
    """Nothing limits a counter but what can be counted."""
    seen = Sensing().see(0.0, {SINCE: value})
    assert Quality.OUT_OF_RANGE in mark(seen, SINCE)
    assert math.isnan(seen[SINCE])


@pytest.mark.parametrize("value", [0.0, 400.0])
def test_the_limits_themselves_can_be(value: float) -> None:
    assert not mark(Sensing().see(30.0, {TEMP: value}), TEMP)


def test_a_sampled_value_goes_stale_and_an_event_does_not() -> None:
    old = {TEMP: 90.0, STATE: 4000.0}
    seen = Sensing().see(30.0, age_s=old)
    assert (mark(seen, TEMP), mark(seen, STATE)) == (Quality.GOOD, Quality.GOOD)
    seen = Sensing().see(30.0, age_s=old | {TEMP: 90.001})
    assert (mark(seen, TEMP), mark(seen, STATE)) == (Quality.STALE, Quality.GOOD)
    assert math.isnan(seen[TEMP])


def test_clocks_may_differ_by_two_seconds() -> None:
    seen = Sensing().see(30.0, age_s={TEMP: -2.0, STATE: -2.000001})
    assert (mark(seen, TEMP), mark(seen, STATE)) == (Quality.GOOD, Quality.FUTURE)
    assert math.isnan(seen[STATE])


@pytest.mark.parametrize("status", [Quality.BAD, Quality.UNCERTAIN, Quality.BAD | Quality.STALE])
def test_what_its_source_doubts_is_doubted(status: Quality) -> None:
    seen = Sensing().see(30.0, status={TEMP: status})
    assert mark(seen, TEMP) == status
    assert math.isnan(seen[TEMP])


def test_a_noisy_sensor_that_repeats_itself_is_frozen() -> None:
    sensing = Sensing()
    marks = []
    for n in range(9):
        seen = sensing.see(30.0 * n, {TEMP: 180.0, POWER: 12.0, STATE: 4.0, AMBIENT: 20.0})
        marks.append((mark(seen, TEMP), mark(seen, STATE), mark(seen, AMBIENT)))
    frozen = [(Quality.FROZEN, Quality.GOOD, Quality.GOOD)]
    good = [(Quality.GOOD, Quality.GOOD, Quality.GOOD)]
    assert marks == good * REPEATS_OF_A_FROZEN + frozen * (9 - REPEATS_OF_A_FROZEN)
    assert not mark(sensing.see(270.0, {TEMP: 180.01}), TEMP)


def test_a_jump_is_replaced_once_and_then_believed() -> None:
    sensing = Sensing()
    sensing.see(0.0, {TEMP: 180.0})
    edge = sensing.see(30.0, {TEMP: 280.0})  # a quarter of the range is no jump
    assert (edge[TEMP], mark(edge, TEMP)) == (280.0, Quality.GOOD)
    first = sensing.see(60.0, {TEMP: 179.0})
    assert (first[TEMP], mark(first, TEMP)) == (280.0, Quality.JUMP)
    second = sensing.see(90.0, {TEMP: 179.5})
    assert (second[TEMP], mark(second, TEMP)) == (179.5, Quality.GOOD)


def test_a_single_spike_leaves_no_trace() -> None:
    sensing = Sensing()
    seen = [sensing.see(30.0 * n, {TEMP: t}) for n, t in enumerate((180.0, 350.0, 180.5, 181.0))]
    assert [s[TEMP] for s in seen] == [180.0, 180.0, 180.5, 181.0]
    assert [mark(s, TEMP) for s in seen] == [Quality.GOOD, Quality.JUMP] + [Quality.GOOD] * 2


def test_a_spike_beyond_all_that_can_be_is_a_spike_for_one_reading_alone() -> None:
    sensing = Sensing()
    seen = [
        sensing.see(30.0 * n, {TEMP: t}) for n, t in enumerate((180.0, 18000.0, 18001.0, 181.0))
    ]
    assert [s[TEMP] for s in seen[:2]] == [180.0, 180.0]
    assert [mark(s, TEMP) for s in seen[:2]] == [Quality.GOOD, Quality.JUMP]
    assert mark(seen[2], TEMP) == Quality.OUT_OF_RANGE
    assert math.isnan(seen[2][TEMP])
    assert (seen[3][TEMP], mark(seen[3], TEMP)) == (181.0, Quality.GOOD)


@pytest.mark.parametrize("status", [{TEMP: Quality.BAD}, {}])
def test_values_that_were_never_good_do_not_come_back_as_replacements(
    status: dict[str, Quality],
) -> None:
    # Twice an impossible (or Bad) value, then the truth: the truth is no jump from nonsense.
    sensing = Sensing()
    nonsense = 399.0 if status else 5000.0
    sensing.see(0.0, {TEMP: 180.0})
    for n in (1, 2, 3):
        seen = sensing.see(30.0 * n, {TEMP: nonsense + 0.01 * n}, status=status)
        is_spike = n == 1 and not status
        assert bool(mark(seen, TEMP) & UNUSABLE) is not is_spike
    seen = sensing.see(120.0, {TEMP: 180.5})
    assert (seen[TEMP], mark(seen, TEMP)) == (180.5, Quality.GOOD)


def test_after_a_gap_the_value_of_long_ago_is_no_measure() -> None:
    sensing = Sensing()
    sensing.see(0.0, {TEMP: 180.0})
    for n in range(1, 20):
        sensing.see(30.0 * n, {TEMP: math.nan})
    seen = sensing.see(600.0, {TEMP: 20.0})
    assert (seen[TEMP], mark(seen, TEMP)) == (20.0, Quality.GOOD)


def test_what_is_not_critical_may_jump() -> None:
    sensing = Sensing()
    sensing.see(0.0, {AMBIENT: 0.0})
    assert not mark(sensing.see(30.0, {AMBIENT: 40.0}), AMBIENT)


ANY = st.floats(width=64) | st.sampled_from([1.7e308, -1.7e308, 5e-324, 180.0, 0.0])
COLUMN = st.lists(ANY, min_size=len(SIGNALS), max_size=len(SIGNALS))


@given(
    st.lists(
        st.tuples(
            COLUMN,
            st.lists(st.integers(0, 255), min_size=len(SIGNALS), max_size=len(SIGNALS)),
            st.lists(
                st.integers(-5_000_000, 200_000_000), min_size=len(SIGNALS), max_size=len(SIGNALS)
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(deadline=None, max_examples=200, derandomize=True)
def test_whatever_comes_only_usable_numbers_get_through(turns) -> None:
    """And no warning on the way: the loop must not trip over a broken sensor."""
    fusion = Fusion(SIGNALS, 90.0)
    memory = fusion.begin()
    for n, (values, status, ages) in enumerate(turns):
        now_us = 30_000_000 * (n + 10)
        reading = Reading(
            now_us,
            0,
            np.array(values),
            now_us - np.array(ages, dtype=np.int64),
            np.array(status, dtype=np.int64),
        )
        seen = fusion.observe(reading, memory)
        for m, signal in enumerate(SIGNALS):
            value, usable = seen.values[m], not seen.quality[m] & int(UNUSABLE)
            assert math.isfinite(value) == usable, signal
            if usable and signal.validity is not None:
                assert signal.validity.holds(value), signal
            if usable and (signal.critical or signal.role is Role.MV):
                assert not status[m] & int(UNUSABLE), signal
    assert ENERGY in seen.index
