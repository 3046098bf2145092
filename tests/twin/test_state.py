"""A copy of a state is a snapshot."""

from __future__ import annotations

import pytest

from twin.state import LineState


def test_a_copy_is_equal_and_independent() -> None:
    state = LineState(3.5, [1.0, 2.0], [3, 4])
    copy = state.copy()
    assert copy == state
    copy.floats[0] = 9.0
    copy.ints[1] = 9
    copy.now_s = 7.0
    assert state == LineState(3.5, [1.0, 2.0], [3, 4])


def test_a_state_has_no_room_for_anything_else() -> None:
    with pytest.raises(AttributeError):
        LineState(0.0, [], []).cache = {}  # type: ignore[attr-defined]
