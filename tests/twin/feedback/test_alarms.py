"""Alarms are raised once and cleared once, however their causes come and go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.feedback.alarms import KINDS, AlarmMemory, turned

SLOW, FAST = ("instrument", "oven"), ("loop", "")


def course(name: tuple[str, str], there: str) -> str:
    """What a cause that is there (``x``) or not (``.``) turn by turn makes: raised, cleared, or nothing."""
    memory, said = AlarmMemory(), ""
    for turn, one in enumerate(there):
        raised, cleared = turned(memory, turn, {name: "why"} if one == "x" else {})
        said += "r" if raised else "c" if cleared else "."
    return said


def test_a_cause_has_to_last_and_to_be_gone_for_some_turns() -> None:
    assert course(FAST, "x.xx.") == "rcr.c"
    assert course(SLOW, "xxx...") == "..r..c"
    assert course(SLOW, "xx....") == "......"
    assert course(SLOW, "xxxxxx.x.x..") == "..r........."
    assert course(SLOW, "xxx.x...") == "..r....c"


def test_one_that_comes_and_goes_does_not_chatter() -> None:
    assert course(SLOW, "x." * 50) == "." * 100
    assert course(SLOW, "xxx" + ".x" * 50).count("r") == 1


def test_an_alarm_says_why_since_when_and_what_is_to_be_done() -> None:
    memory = AlarmMemory()
    for turn in range(4):
        raised, _ = turned(memory, turn, {SLOW: f"turn {turn}", FAST: "it has shed"})
        if turn == 2:
            (one,) = raised
    assert (one.name, one.why, one.since_us) == ("instrument oven", "turn 2", 2)
    assert one.response == KINDS["instrument"].response
    assert [alarm.name for alarm in memory.standing.values()] == ["loop", "instrument oven"]
    assert memory.raised == {"loop": 1, "instrument": 1}


def test_what_is_no_kind_of_alarm_is_refused() -> None:
    with pytest.raises(KeyError, match="weather"):
        turned(AlarmMemory(), 0, {("weather", ""): "rain"})


@given(st.lists(st.sets(st.sampled_from([SLOW, FAST, ("line", ""), ("model", "a")])), max_size=60))
def test_raised_and_cleared_take_turns_and_nothing_is_kept_of_what_is_over(
    turns: list[set[tuple[str, str]]],
) -> None:
    memory, standing = AlarmMemory(), set[str]()
    for number, causes in enumerate(turns):
        raised, cleared = turned(memory, number, dict.fromkeys(causes, "why"))
        assert not standing & {one.name for one in raised}
        assert standing >= {one.name for one in cleared}
        standing = standing | {one.name for one in raised} - {one.name for one in cleared}
        standing -= {one.name for one in cleared}
        assert standing == {one.name for one in memory.standing.values()}
    for number in range(3):
        turned(memory, number, {})
    assert (memory.standing, memory.lasting) == ({}, {})
