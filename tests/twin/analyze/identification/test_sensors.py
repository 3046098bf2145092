"""Sensors and wear: noise, lost samples, drift; forces over wear."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.analyze.identification.sensors import fit_sensor, share
from twin.analyze.identification.wear import fit_wear_law, force_per_mm


def test_noise_dropout_and_drift_of_a_made_signal() -> None:
    rng = np.random.default_rng(1)
    t = np.arange(0.0, 4 * 3600.0)
    y = 50.0 + 0.8 * t / 3600.0 + 0.3 * rng.standard_normal(t.size)
    y[rng.random(t.size) < 0.1] = 0.0
    found = fit_sensor(t, y, failed=0.0)
    assert found.noise.lo <= 0.3 <= found.noise.hi
    assert found.dropout.lo <= 0.1 <= found.dropout.hi
    assert found.drift_per_h.lo <= 0.8 <= found.drift_per_h.hi
    assert fit_sensor(t, np.where(y == 0.0, np.nan, y)).noise == found.noise


def test_held_samples_are_no_samples() -> None:
    rng = np.random.default_rng(2)
    y = np.repeat(0.3 * rng.standard_normal(2000), 3)
    found = fit_sensor(np.arange(float(y.size)), y)
    assert found.noise.lo <= 0.3 <= found.noise.hi
    assert found.held_share == pytest.approx(2.0 / 3.0, abs=0.01)


def test_a_signal_that_never_came_has_no_noise() -> None:
    found = fit_sensor(np.arange(100.0), np.full(100, np.nan))
    assert not found.noise.is_closed
    assert not found.drift_per_h.is_closed
    assert found.dropout.estimate == 1.0


@settings(max_examples=50)
@given(of=st.integers(1, 5000), data=st.data())
def test_a_share_lies_in_its_interval(of: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, of))
    found = share(count, of)
    assert 0.0 <= found.lo <= found.estimate <= found.hi <= 1.0


def test_wear_is_read_back_from_forces() -> None:
    rng = np.random.default_rng(4)
    wear, tool = np.tile(np.linspace(0.0, 0.3, 60), 5), np.repeat(np.arange(5), 60)
    growth = 0.9 + 0.05 * rng.standard_normal(5)
    force = 500.0 * (1.0 + growth[tool] * wear) + rng.standard_normal(wear.size)
    found = force_per_mm(force, wear, tool)
    assert found.lo <= 0.9 <= found.hi
    law = fit_wear_law({"F_c": force}, wear)
    assert np.abs(law.wear_mm(force[:, None]) - wear).mean() < 0.03
    assert not force_per_mm(force[:120], wear[:120], tool[:120]).is_closed
