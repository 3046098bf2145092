from __future__ import annotations

import numpy as np
import pytest

from twin.kernels.observation import GROUP_OF_STATE, asked, pack, scaled, shift_left_s
from twin.line import schema as s

SHIFT_S = 28_800.0


@pytest.mark.parametrize(
    ("now_s", "left_s"),
    [(0.0, SHIFT_S), (60.0, SHIFT_S - 60.0), (SHIFT_S, 0.0), (SHIFT_S + 1.0, SHIFT_S - 1.0)],
)
def test_a_shift_has_nothing_left_at_its_very_end(now_s: float, left_s: float) -> None:
    assert shift_left_s(now_s, SHIFT_S) == left_s


def test_every_state_of_a_station_has_its_group() -> None:
    assert len(GROUP_OF_STATE) == s.N_STATES
    groups = {s.STATES[state]: group for state, group in enumerate(GROUP_OF_STATE)}
    assert groups["processing"] == 0
    assert groups["idle"] == -1
    assert groups["standby"] == groups["off"] == 4
    assert {groups[name] for name in ("down", "tool_change", "setup", "service", "waiting")} == {2}


def test_numbers_are_scaled_by_their_limits_and_stop_there() -> None:
    assert [scaled(value, 10.0, 20.0) for value in (10.0, 15.0, 20.0, 99.0)] == [
        -1.0,
        0.0,
        1.0,
        1.0,
    ]


@pytest.mark.parametrize("value", [10.0, 12.3, 19.999, 20.0])
def test_what_is_asked_comes_back_when_it_is_scaled(value: float) -> None:
    assert asked(scaled(value, 10.0, 20.0), 10.0, 20.0) == pytest.approx(value, rel=1e-15)


def test_one_line_is_packed_as_it_is_among_many() -> None:
    fields = 7 + 1 + 6 + 2
    lo, hi = np.zeros(fields), np.full(fields, 100.0)
    hi[8:13] = 1.0
    rng = np.random.default_rng(1)
    shown = rng.uniform(0.0, 100.0, (5, 6 + 1 + 2 + 2))
    shown[:, 7] = (s.IDLE, s.PROCESSING, s.DOWN, s.WARM_UP, s.STANDBY)
    many = np.empty((5, fields), dtype=np.float32)
    pack(shown, 1, 1, SHIFT_S, lo, hi, many)
    for n in range(5):
        one = np.empty((1, fields), dtype=np.float32)
        pack(shown[n : n + 1], 1, 1, SHIFT_S, lo, hi, one)
        assert (one[0] == many[n]).all()
    flags = many[:, 8:13]
    assert (flags.sum(axis=1) == [-5.0, -3.0, -3.0, -3.0, -3.0]).all()
    assert (np.abs(many) <= 1.0).all()
