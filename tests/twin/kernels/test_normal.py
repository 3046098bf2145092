"""The normal distribution of the kernels is the one of the standard library."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.kernels.normal import normal_quantile, normal_share

STANDARD = NormalDist()


@given(st.floats(-8.0, 8.0))
def test_share(z: float) -> None:
    assert normal_share(z) == pytest.approx(STANDARD.cdf(z), rel=1e-12, abs=1e-15)


@given(st.floats(1e-300, 1.0 - 1e-15))
def test_quantile(share: float) -> None:
    assert normal_quantile(share) == pytest.approx(STANDARD.inv_cdf(share), rel=1e-12, abs=1e-15)


def test_the_ends_are_infinite() -> None:
    assert normal_quantile(0.0) == -math.inf
    assert normal_quantile(1.0) == math.inf
