"""What values of our own address space mean, and what a PLC's word is worth."""

from __future__ import annotations

import math
from typing import Any

import pytest

from twin.cycle import Batch, Outcome
from twin.equipment import own_line
from twin.equipment.binding import AsServed
from twin.equipment.own_line import OwnLine
from twin.signals import Quality, Setpoint

MEASURED, SWITCH = 0, 1
BAD = 0x80000000


@pytest.mark.parametrize("raw", ["180 degrees", [180.0, 180.0], b"180", True])
def test_what_is_no_number_is_bad_whatever_its_status(raw: Any) -> None:
    value, mark = AsServed({MEASURED}).value(MEASURED, raw, 0)
    assert math.isnan(value)
    assert mark is Quality.BAD


def test_numbers_and_switches_are_what_they_say() -> None:
    served = AsServed({MEASURED})
    assert served.value(MEASURED, 180, 0) == (180.0, Quality.GOOD)
    assert served.value(SWITCH, True, 0) == (1.0, Quality.GOOD)
    assert served.value(SWITCH, False, 0) == (0.0, Quality.GOOD)
    value, mark = served.value(MEASURED, None, 0)
    assert (math.isnan(value), mark) == (
        True,
        Quality.GOOD,
    )  # nothing yet: the cleaner says missing
    assert math.isnan(served.value(MEASURED, 180.0, BAD)[0])


@pytest.mark.parametrize(
    ("in_force", "outcome"),
    [(230.0, Outcome.ACCEPTED), (230.0001, Outcome.ACCEPTED), (200.0, Outcome.MISMATCH)],
)
async def test_a_plc_that_says_good_and_does_nothing_does_not_obey(
    in_force: float, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def call(*_: object) -> list[Any]:
        return ["ACCEPTED", "OK", [in_force]]

    monkeypatch.setattr(own_line, "call", call)
    batch = Batch(1, 1, (Setpoint("a.b", 230.0),), 10**9)
    answer = await OwnLine(None).write(None, None, batch, 1.0, lambda _: "")  # type: ignore[arg-type]
    assert (answer.outcome, answer.active) == (outcome, {"a.b": in_force})
