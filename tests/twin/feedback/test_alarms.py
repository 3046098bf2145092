"""Alarms are raised once and cleared once, however their causes come and go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.feedback.alarms import KINDS, AlarmMemory, follow

SLOW, FAST = ("instrument", "oven"), ("loop", "")
PERIOD_US = 5_000_000


def course(name: tuple[str, str], there: str) -> str:
    """What a cause makes that is there (``x``), not there (``.``), not known (``?``) or answered (``!``), period by
    period: raised, cleared, or nothing."""
    memory, said = AlarmMemory(), ""
    for turn, one in enumerate(there):
        raised, cleared = follow(
            memory,
            turn * PERIOD_US,
            PERIOD_US,
            {name: "why"} if one == "x" else {},
            unseen=name[:1] if one == "?" else (),
            answered=name[:1] if one == "!" else (),
        )
        said += "r" if raised else "c" if cleared else "."
    return said


def test_a_cause_has_to_last_and_to_be_gone_for_a_while() -> None:
    assert course(FAST, "x.xx.") == "rcr.c"
    assert course(SLOW, "xxx......") == "..r....c."
    assert course(SLOW, "xx.xx.xx.......") == "." * 15
    assert course(SLOW, "xxx....x.....") == "..r.........c"


def test_one_that_comes_and_goes_does_not_chatter() -> None:
    assert course(SLOW, "x." * 50) == "." * 100
    assert course(SLOW, "xxx" + ".x...x" * 50).count("r") == 1
    assert course(("record", "audit"), "x." * 50) == "r" + "." * 99
    assert course(("model", "a"), ("x" + "." * 50) * 7).count("r") == 1


def test_what_is_not_known_goes_on_as_it_was() -> None:
    assert course(SLOW, "xxx??????.....") == "..r..........c"
    assert course(SLOW, "x?x") == "..r"
    assert course(SLOW, "????") == "...."


def test_what_an_operator_has_answered_is_over_once_it_is_gone() -> None:
    assert course(("model", "a"), "x!") == "rc"
    assert course(("model", "a"), "xx.x!") == "r...c"


def test_extra_turns_within_a_period_do_not_hasten_an_alarm() -> None:
    memory = AlarmMemory()
    for turn in range(20):
        raised, _ = follow(memory, turn * PERIOD_US // 10, PERIOD_US, {SLOW: "why"})
        assert not raised
    raised, _ = follow(memory, 2 * PERIOD_US, PERIOD_US, {SLOW: "why"})
    assert len(raised) == 1


def test_an_alarm_says_why_since_when_and_what_is_to_be_done() -> None:
    memory = AlarmMemory()
    for turn in range(4):
        causes = {SLOW: f"turn {turn}", FAST: "it has shed"}
        follow(memory, turn * PERIOD_US, PERIOD_US, causes)
    one = memory.standing[SLOW]
    assert (one.name, one.why, one.since_us) == ("instrument oven", "turn 3", 2 * PERIOD_US)
    assert one.response == KINDS["instrument"].response
    assert [alarm.name for alarm in memory.standing.values()] == ["loop", "instrument oven"]
    assert memory.raised == {"loop": 1, "instrument": 1}


def test_what_is_no_kind_of_alarm_is_refused() -> None:
    with pytest.raises(KeyError, match="weather"):
        follow(AlarmMemory(), 0, 1, {("weather", ""): "rain"})


@given(st.lists(st.sets(st.sampled_from([SLOW, FAST, ("line", ""), ("model", "a")])), max_size=60))
def test_raised_and_cleared_take_turns_and_nothing_is_kept_of_what_is_over(
    turns: list[set[tuple[str, str]]],
) -> None:
    memory, standing = AlarmMemory(), set[str]()
    for number, causes in enumerate(turns):
        raised, cleared = follow(memory, number, 1, dict.fromkeys(causes, "why"))
        assert not standing & {one.name for one in raised}
        assert standing >= {one.name for one in cleared}
        standing = (standing | {one.name for one in raised}) - {one.name for one in cleared}
        assert standing == {one.name for one in memory.standing.values()}
    for _ in range(2):
        follow(memory, len(turns) + 1000, 1, {})
    assert (memory.standing, memory.began_us, memory.last_us) == ({}, {}, {})
