"""What a base wants of a setpoint, also where it says nothing of it."""

from __future__ import annotations

import math

from controllers.policy.base import wanted


def test_a_silent_base_wants_what_it_asked_for_last_and_at_first_what_is_in_force() -> None:
    in_force = [{"a": math.nan, "b": 1.0}, {"a": 5.0, "b": 1.5}, {"a": 5.5, "b": 2.0}]
    first = wanted({}, {}, in_force[0], "ab")
    assert math.isnan(first["a"])
    second = wanted({}, first, in_force[1], "ab")
    assert second == {"a": 5.0, "b": 1.0}
    third = wanted({"a": 7.0, "c": 0.0}, second, in_force[2], "ab")
    assert third == {"a": 7.0, "b": 1.0}
    assert wanted({}, third, in_force[1], "ab") == third
