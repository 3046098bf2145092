"""What is amiss with a loop becomes an alarm: in the log, with the status, on the screen, as a figure."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.twin.cli.desks import Line
from tests.twin.driven import PERIOD_US, Noted, driven
from tests.twin.equipment.certificates import ending_in
from twin.cli.alarms import Alarms
from twin.cli.desk import Desk
from twin.cli.loop import _say
from twin.cli.screen import line_view
from twin.cycle import Cycle
from twin.runtime import Runtime
from twin.signals import Quality, ne_107
from twin.store.audit import Audit

UP = SimpleNamespace(connected=True, trouble="", certificates={})
DOWN = SimpleNamespace(connected=False, trouble="no route to host", certificates={})


async def turn(runtime: Runtime, line: Noted, alarms: Alarms, count: int = 1) -> Cycle:
    for _ in range(count):
        at_us = line.plc.now_us + PERIOD_US
        await runtime._clock.sleep_until(at_us)
        cycle = await runtime.turn(at_us)
        alarms.turned(cycle)
    return cycle


def names(alarms: Alarms) -> list[str]:
    return [one.name for one in alarms.standing]


async def test_a_loop_that_sheds_is_an_alarm_until_somebody_has_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {})
    runtime.command("close", "a test")
    await turn(runtime, line, alarms, 3)
    line.failing_inputs = Quality.BAD
    caplog.set_level(logging.WARNING, "twin.cli.alarms")
    await turn(runtime, line, alarms, 8)
    assert runtime.loop.mode == "SHED"
    assert names(alarms)[0] == "loop"
    assert "it was to be closed and is SHED: critical input" in alarms.standing[0].why
    line.failing_inputs = Quality.GOOD
    await turn(runtime, line, alarms, 4)
    assert names(alarms) == ["loop"]
    runtime.command("ack", "mended")
    await turn(runtime, line, alarms)
    assert names(alarms) == []
    told = [(r.message.partition(":")[0], r.facts["alarm"]) for r in caplog.records]
    assert [one for one in told if one[1] == "loop"] == [("alarm", "loop"), ("alarm over", "loop")]
    assert alarms.raised["loop"] == 1


async def test_a_loop_that_was_closed_before_a_restart_is_an_alarm_until_an_operator_says_something() -> (
    None
):
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {}, "trial (ann, 2026-11-02T06:00)")
    await turn(runtime, line, alarms, 2)
    (one,) = alarms.standing
    assert one.why == "it was closed in the run before, trial (ann, 2026-11-02T06:00)"
    runtime.command("mv_off", "line.takt_s calibration")
    await turn(runtime, line, alarms)
    assert names(alarms) == ["loop"]
    runtime.command("close", "again")
    await turn(runtime, line, alarms, 3)
    assert (runtime.loop.mode, names(alarms)) == ("CLOSED", [])


async def test_what_operators_want_is_no_alarm() -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {})
    await turn(runtime, line, alarms, 2)
    for verb in ("close", "freeze", "open", "off"):
        runtime.command(verb, "a test")
        await turn(runtime, line, alarms, 2)
    assert alarms.raised.total() == 0


async def test_an_instrument_that_shows_nothing_more_is_one_alarm_of_its_place() -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {})
    await turn(runtime, line, alarms, 2)
    read = line.plc.reading

    def broken() -> object:
        reading = read()
        index = runtime.loop.tags.index
        for name, quality in (
            ("turning.power_kw", Quality.BAD),
            ("env.ambient_c", Quality.UNCERTAIN),
        ):
            reading.status[index[name]] |= int(quality)
        return reading

    line.plc.reading = broken  # type: ignore[method-assign,assignment]
    await turn(runtime, line, alarms, 2)
    assert names(alarms) == []
    await turn(runtime, line, alarms)
    assert {one.name: one.why for one in alarms.standing} == {
        "instrument env": "not usable: env.ambient_c (S)",
        "instrument turning": "not usable: turning.power_kw (F)",
    }
    line.plc.reading = read  # type: ignore[method-assign]
    await turn(runtime, line, alarms, 3)
    assert names(alarms) == []


async def test_a_line_that_is_gone_is_one_alarm_and_not_one_for_each_instrument() -> None:
    runtime, line, _ = driven()
    equipment = SimpleNamespace(state=UP)
    alarms = Alarms(runtime.loop, equipment, {})
    await turn(runtime, line, alarms, 2)
    equipment.state = DOWN
    line.failing["read"] = ConnectionError("no route to host")
    await turn(runtime, line, alarms, 4)
    assert [(one.name, one.why) for one in alarms.standing] == [("line", "no route to host")]
    equipment.state = UP
    del line.failing["read"]
    await turn(runtime, line, alarms, 3)
    assert names(alarms) == []


async def test_stores_certificates_doubts_and_a_failed_controller_are_told() -> None:
    runtime, line, _ = driven()
    state = SimpleNamespace(**{**vars(UP), "certificates": {"client": ending_in(20.0)}})
    alarms = Alarms(runtime.loop, SimpleNamespace(state=state), {"audit": lambda: "disk full"})
    cycle = await turn(runtime, line, alarms)
    assert names(alarms) == ["certificate client", "record audit"]
    asked = replace(cycle.decision.asked, status="failed", reason="the controller failed: no")
    failed = replace(cycle, decision=replace(cycle.decision, asked=asked))
    for _ in range(3):
        alarms.turned(failed)
    assert alarms.standing[-1].why == "the controller failed: no"
    asked = replace(asked, status="ok", reason="fixed stands in for policy ppo abcdef01: cold; x")
    for _ in range(2):
        alarms.turned(replace(cycle, decision=replace(cycle.decision, asked=asked)))
    assert alarms.raised["controller"] == 1


async def test_alarms_stand_with_the_status_and_above_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {"audit": lambda: "disk full"})
    cycle = await turn(runtime, line, alarms)
    with Audit(tmp_path / "audit.sqlite") as audit:
        desk = Desk(Line(), audit, {}, None, str, float, alarms=lambda: alarms.standing)  # type: ignore[arg-type]
        told = desk.status()
    (one,) = told["alarms"]
    assert (one["alarm"], one["why"], one["since_s"]) == ("record audit", "disk full", 30.0)
    _say({**told, "reasons": ["because"]}, as_json=False)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1] == "  ALARM record audit: disk full"
    assert shown[2].startswith("    since 0.008 h; make room on the disk")
    screen = io.StringIO()
    view = line_view("rules", runtime.loop, cycle, ["▲ record audit: disk full"])
    Console(file=screen, width=120).print(view)
    assert screen.getvalue().startswith("▲ record audit: disk full")


def test_quality_is_a_letter_of_ne_107() -> None:
    assert [ne_107(q) for q in (0, Quality.JUMP, Quality.UNCERTAIN, Quality.FUTURE)] == list("NNSS")
    failed = (Quality.BAD, Quality.MISSING, Quality.STALE, Quality.FROZEN, Quality.OUT_OF_RANGE)
    assert {ne_107(one | Quality.UNCERTAIN) for one in failed} == {"F"}
