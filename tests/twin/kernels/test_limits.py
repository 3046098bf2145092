from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.kernels.limits import ENGINEERING, FREE, OPERATOR, RATE, VALIDITY, granted

LIMITS = np.array([-1.0, 2.0, -2.0, 3.0, -4.0, 5.0])
NONE = np.array([-math.inf, math.inf] * 3)
PERIOD_US = 30_000_000


@pytest.mark.parametrize(
    ("asked", "active", "expected", "why"),
    [
        (1.0, 0.5, 1.0, FREE),
        (9.0, 1.9, 2.0, OPERATOR),
        (9.0, -1.0, -1.0 + 0.05 * 30.0, OPERATOR),  # the limit is approached at the rate
        (1.9, 0.0, 1.5, RATE),
        (-1.9, 3.0, 1.5, OPERATOR),
    ],
)
def test_limits_first_then_the_rate(asked: float, active: float, expected: float, why: int) -> None:
    assert granted(asked, active, LIMITS, 0.05, PERIOD_US, False) == (expected, why)


def test_what_has_no_limits_keeps_to_its_rate_alone() -> None:
    assert granted(9.0, 0.0, NONE, math.inf, PERIOD_US, False) == (9.0, FREE)
    assert granted(9.0, 0.0, NONE, 0.1, PERIOD_US, False) == (3.0, RATE)


@pytest.mark.parametrize(("first", "why"), [(0, OPERATOR), (2, ENGINEERING), (4, VALIDITY)])
def test_the_first_limit_that_binds_is_named(first: int, why: int) -> None:
    limits = NONE.copy()
    limits[first] = 1.0
    assert granted(0.0, 1.0, limits, math.inf, PERIOD_US, False) == (1.0, why)


def test_a_discrete_setpoint_is_rounded_without_a_negative_zero() -> None:
    limits = np.array([0.0, 1.0] * 3)
    value, why = granted(-0.2, 1.0, limits, 1.0, 0, True)
    assert (value, math.copysign(1.0, value), why) == (0.0, 1.0, FREE)
    assert granted(0.5, 0.0, limits, 1.0, 0, True)[0] == 0.0
    assert granted(0.51, 0.0, limits, 1.0, 0, True)[0] == 1.0


@given(
    asked=st.floats(allow_nan=False, allow_infinity=False),
    active=st.floats(-4.0, 5.0),
    elapsed_us=st.integers(0, PERIOD_US),
)
def test_nothing_is_granted_beyond_validity_or_faster_than_the_rate(
    asked: float, active: float, elapsed_us: int
) -> None:
    value, why = granted(asked, active, LIMITS, 0.05, elapsed_us, False)
    assert -4.0 <= value <= 5.0
    assert abs(value - active) <= 0.05 * elapsed_us / 1e6 * (1.0 + 1e-9) + 1e-15
    within = all(LIMITS[n] <= asked <= LIMITS[n + 1] for n in (0, 2, 4))
    # A rate that allows no way back leaves a value where it is, beyond its limit, as it was asked for.
    assert (why == FREE) == (value == asked and within)
