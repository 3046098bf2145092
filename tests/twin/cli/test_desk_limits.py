"""Limits changed at the desk of a running loop, by whoever has seen the present ones."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.twin.cli.desks import ANN, TAKT, Line, desk_of
from twin.cli.desk import Desk
from twin.cli.problems import Problem
from twin.signals import Limits
from twin.store.audit import Audit


async def limited(desk: Desk, line: Line, **request: object) -> dict[str, Any]:
    """The answer to a change of limits, with the turn that it takes."""
    change = {"verb": "limits", "reason": "trial", "mv": "line.takt_s", "version": 1}
    asking = asyncio.create_task(desk.answer(change | request, ANN))
    await asyncio.sleep(0)
    line.turn(desk)
    line.commands.clear()
    return await asking


async def test_limits_are_changed_by_whoever_has_seen_them(line: Line, audit: Audit) -> None:
    desk = desk_of(line, audit)
    before = await desk.answer({"verb": "limits?"}, ANN)
    assert before["version"] == 1
    assert before["limits"]["line.takt_s"] == {
        "unit": "s",
        "engineering": [40.0, 200.0],
        "operator": [60.0, 120.0],
        "is_changed": False,
    }
    told = await limited(desk, line, lo=70.1, hi=99.0)
    assert told["version"] == 2
    assert told["limits"]["line.takt_s"]["operator"] == [70.1, 99.0]
    assert line.loop.limited[0].operator == Limits(70.1, 99.0)
    assert desk.status()["limits_changed"] == ["line.takt_s"]
    with pytest.raises(Problem, match="at version 2, not 1: somebody changed them") as caught:
        await limited(desk, line, lo=50.0, hi=99.0)
    assert caught.value.code == 5
    assert (await limited(desk, line, lo=50.0, hi=99.0, version=2))["version"] == 3
    rows = [(row.verb, row.who, row.reason) for row in audit.commands()]
    assert rows[0] == ("limits", "ann", "line.takt_s 70.1 99.0 1 trial")
    assert rows[1][0] == "refused: limits"


async def test_of_two_who_have_seen_the_same_limits_one_is_refused(
    line: Line, audit: Audit
) -> None:
    desk = desk_of(line, audit)
    both = [asyncio.create_task(limited(desk, line, lo=lo, hi=99.0)) for lo in (61.0, 62.0)]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(one) is Problem for one in answers) == [False, True]
    assert line.loop.memory.guard.limits_version == 2


@pytest.mark.parametrize("first", [{"lo": 61.0}, {"lo": 62.0, "mv": "wash.speed_rel"}])
async def test_limits_are_not_told_as_made_if_another_change_still_waited_for_its_turn(
    first: dict[str, object], line: Line, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(TAKT, name="wash.speed_rel")
    line.loop.signals, line.loop.mvs = (TAKT, other), (TAKT.name, other.name)
    line.mvs[other.name] = other
    desk = desk_of(line, audit)
    change = {"verb": "limits", "reason": "trial", "mv": TAKT.name, "hi": 99.0, "version": 1}
    with monkeypatch.context() as patch:
        patch.setattr("twin.cli.desk.ANSWER_S", 0.0)
        with pytest.raises(Problem, match="no turn has come"):
            await desk.answer(change | first, ANN)
    with pytest.raises(Problem, match="at version 2, not 1: somebody changed them") as caught:
        await limited(desk, line, lo=62.0, hi=99.0)
    assert caught.value.code == 5
    (changed,) = line.loop.memory.guard.limits.items()
    assert changed == (first.get("mv", TAKT.name), Limits(float(str(first["lo"])), 99.0))
    assert [row.verb for row in audit.commands()][-1] == "refused: limits"


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        ({"lo": 39.0, "hi": 100.0}, 4),
        ({"lo": 60.0, "hi": 200.5}, 4),
        ({"lo": 100.0, "hi": 60.0}, 2),
        ({"lo": "nan", "hi": 100.0}, 2),
        ({"lo": 60.0, "hi": "inf"}, 2),
        ({"hi": 100.0}, 2),
        ({"lo": 60.0, "hi": 100.0, "version": None}, 2),
        ({"lo": 60.0, "hi": 100.0, "mv": "line.tact_s"}, 2),
        ({"lo": 60.0, "hi": 100.0, "reason": ""}, 2),
        ({"lo": 0.0, "hi": 1.0, "mv": "wash.standby"}, 4),
    ],
)
async def test_limits_that_cannot_be_are_refused(
    request_of: dict[str, object], code: int, line: Line, audit: Audit
) -> None:
    with pytest.raises(Problem) as caught:
        await limited(desk_of(line, audit), line, **request_of)
    assert caught.value.code == code
    assert line.loop.memory.guard.limits == {}
    assert [row.verb for row in audit.commands()] == ["refused: limits"]
