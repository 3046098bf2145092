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
from twin.cycle import Cycle, Reading
from twin.runtime import Runtime
from twin.signals import Quality, ne_107
from twin.store.audit import Audit

UP = SimpleNamespace(connected=True, trouble="", certificates={})
DOWN = SimpleNamespace(connected=False, trouble="no route to host", is_hard=False, certificates={})


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
    why = {one.name: one.why for one in alarms.standing}
    assert why["loop"].startswith("it was to be CLOSED and is SHED: critical input")
    assert why["line"].endswith("show nothing of use")
    line.failing_inputs = Quality.GOOD
    await turn(runtime, line, alarms, 6)
    assert names(alarms) == ["loop"]
    runtime.command("ack", "mended")
    await turn(runtime, line, alarms)
    assert names(alarms) == []
    told = [(r.message.partition(":")[0], vars(r)["facts"]["alarm"]) for r in caplog.records]
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
    line.failing_inputs = Quality.BAD
    runtime.command("close", "refused")
    await turn(runtime, line, alarms)
    assert (runtime.loop.mode, names(alarms)) == ("ADVISORY", ["loop"])
    line.failing_inputs = Quality.GOOD
    await turn(runtime, line, alarms, 2)
    runtime.command("close", "again")
    await turn(runtime, line, alarms, 8)
    assert (runtime.loop.mode, names(alarms)) == ("CLOSED", [])


async def test_what_operators_want_is_no_alarm() -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {})
    await turn(runtime, line, alarms, 2)
    for verb in ("close", "freeze", "open", "off"):
        runtime.command(verb, "a test")
        await turn(runtime, line, alarms, 2)
    assert alarms.raised.total() == 0


async def test_a_shed_is_an_alarm_whatever_was_asked_for() -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {})
    for verb in ("close", "freeze"):
        runtime.command(verb, "a test")
        await turn(runtime, line, alarms, 3)
    line.failing_inputs = Quality.BAD
    await turn(runtime, line, alarms, 8)
    assert runtime.loop.mode == "SHED"
    why = {one.name: one.why for one in alarms.standing}
    assert why["loop"].startswith("it was to be HOLD and is SHED: critical input")


def showing(line: Noted, runtime: Runtime, **marks: Quality) -> None:
    """Let the line show these signals with such marks from now on."""
    read, index = type(line.plc).reading, runtime.loop.tags.index

    def marked() -> Reading:
        reading = read(line.plc)
        for name, quality in marks.items():
            reading.status[index[name.replace("__", ".")]] |= int(quality)
        return reading

    line.plc.reading = marked  # type: ignore[method-assign]


async def test_an_instrument_that_shows_nothing_more_is_one_alarm_of_its_place() -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {})
    await turn(runtime, line, alarms, 60)  # parts have been measured
    bad = {"turning__power_kw": Quality.BAD, "turning__roughness_um": Quality.BAD}
    showing(line, runtime, **bad, env__ambient_c=Quality.UNCERTAIN)
    await turn(runtime, line, alarms, 2)
    assert names(alarms) == []
    await turn(runtime, line, alarms)
    assert {one.name: one.why for one in alarms.standing} == {
        "instrument env": "not usable: env.ambient_c (S)",
        "instrument turning": "not usable: turning.power_kw (F), turning.roughness_um (F)",
    }
    showing(line, runtime)
    await turn(runtime, line, alarms, 6)
    assert names(alarms) == []


async def test_a_machine_at_rest_and_a_part_not_yet_measured_are_no_alarm() -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {})
    rest = Quality.FROZEN | Quality.OUT_OF_RANGE
    showing(line, runtime, turning__power_kw=rest, turning__roughness_um=Quality.BAD)
    await turn(runtime, line, alarms, 4)
    assert alarms.raised.total() == 0


async def test_instruments_that_all_fall_silent_are_one_alarm_of_the_line() -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {})
    places = ("turning", "milling", "drilling", "wash")
    showing(line, runtime, **{f"{place}__power_kw": Quality.BAD for place in places})
    await turn(runtime, line, alarms, 4)
    (one,) = alarms.standing
    assert (one.name, one.why) == (
        "line",
        "instruments of turning, milling, drilling, wash show nothing of use",
    )


async def test_a_line_that_is_gone_is_one_alarm_and_what_stood_before_goes_on() -> None:
    runtime, line, _ = driven()
    equipment = SimpleNamespace(state=UP)
    alarms = Alarms(runtime.loop, equipment, {})
    showing(line, runtime, turning__power_kw=Quality.BAD)
    await turn(runtime, line, alarms, 4)
    equipment.state = DOWN
    line.failing["read"] = ConnectionError("no route to host")
    await turn(runtime, line, alarms, 8)
    assert [(one.name, one.why) for one in alarms.standing] == [
        ("instrument turning", "not usable: turning.power_kw (F)"),
        ("line", "no route to host"),
    ]
    equipment.state = UP
    del line.failing["read"]
    await turn(runtime, line, alarms, 6)
    assert names(alarms) == ["instrument turning"]
    assert alarms.raised == {"instrument": 1, "line": 1}


async def test_a_line_that_does_not_let_us_in_is_for_a_person() -> None:
    runtime, line, _ = driven()
    hard = SimpleNamespace(**{**vars(DOWN), "is_hard": True, "trouble": "untrusted"})
    alarms = Alarms(runtime.loop, SimpleNamespace(state=hard), {})
    await turn(runtime, line, alarms, 3)
    (one,) = alarms.standing
    assert (one.name, one.why) == ("access", "untrusted")
    assert "does not mend itself" in one.response


async def test_a_line_that_is_lost_and_then_bars_us_is_each_alarm_once() -> None:
    """As when another plant is served after a restart, and then the right one."""
    runtime, line, _ = driven()
    hard = SimpleNamespace(**{**vars(DOWN), "is_hard": True, "trouble": "another plant"})
    equipment = SimpleNamespace(state=DOWN)
    alarms = Alarms(runtime.loop, equipment, {})
    for state in (DOWN, hard, DOWN):
        equipment.state = state
        await turn(runtime, line, alarms, 8)
    equipment.state = UP
    await turn(runtime, line, alarms, 6)
    assert (names(alarms), alarms.raised) == ([], {"line": 1, "access": 1})


async def test_a_controller_that_is_not_asked_has_not_recovered() -> None:
    runtime, line, _ = driven()
    alarms = Alarms(runtime.loop, line, {})
    cycle = await turn(runtime, line, alarms)
    for n, status in enumerate(["failed"] * 3 + ["held"] * 8 + ["failed"] * 3, 2):
        asked = replace(cycle.decision.asked, status=status, reason="no")
        at_us = n * PERIOD_US
        alarms.turned(replace(cycle, decision=replace(cycle.decision, asked=asked, time_us=at_us)))
    assert (names(alarms), alarms.raised["controller"]) == (["controller"], 1)


async def test_stores_certificates_doubts_and_a_failed_controller_are_told() -> None:
    runtime, line, _ = driven()
    state = SimpleNamespace(**{**vars(UP), "certificates": {"client": ending_in(20.0)}})
    alarms = Alarms(runtime.loop, SimpleNamespace(state=state), {"audit": lambda: "disk full"})
    cycle = await turn(runtime, line, alarms)
    assert names(alarms) == ["certificate client", "record audit"]
    asked = replace(cycle.decision.asked, status="failed", reason="the controller failed: no")
    failed = replace(cycle, decision=replace(cycle.decision, asked=asked))
    for n in range(2, 5):
        alarms.turned(replace(failed, decision=replace(failed.decision, time_us=n * PERIOD_US)))
    assert alarms.standing[-1].why == "the controller failed: no"
    asked = replace(asked, status="ok", reason="fixed stands in for policy ppo abcdef01: cold; x")
    for n in range(5, 130):
        stood_in = replace(cycle.decision, asked=asked, time_us=n * PERIOD_US)
        alarms.turned(replace(cycle, decision=stood_in))
        assert ("policy" in names(alarms)) is (n >= 125)
    assert alarms.standing[-1].why == asked.reason
    assert "controller" not in names(alarms)


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
