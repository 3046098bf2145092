"""Lines of a log: one object each, and the number of the turn on all that happens in it."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests.twin.driven import PERIOD_US, driven
from twin.cli.logbook import FILE, LogFormat, logged
from twin.logs import TURN, JsonLines, facts


def record(message: str = "lost", **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("twin.equipment", logging.WARNING, "", 0, message, (), None)
    made.created = 1_700_000_000.25
    vars(made).update(facts(extra))
    return made


def test_a_line_is_one_object_with_its_time_in_utc() -> None:
    TURN.set(None)  # whatever another test of this process has left there
    line = JsonLines({"run": "r-1"}).format(record("lost\nand found", silent_s=2.5))
    assert "\n" not in line
    assert json.loads(line) == {
        "utc": "2023-11-14T22:13:20.250+00:00",
        "level": "warning",
        "logger": "twin.equipment",
        "message": "lost\nand found",
        "run": "r-1",
        "silent_s": 2.5,
    }


def test_a_fault_has_its_traceback() -> None:
    made = record()
    try:
        int("oven")
    except ValueError:
        made.exc_info = sys.exc_info()
    assert "ValueError: invalid literal" in json.loads(JsonLines().format(made))["traceback"]


async def test_the_turn_follows_into_threads_and_tasks_and_no_further() -> None:
    TURN.set(None)
    lines = JsonLines()

    def seen() -> object:
        return json.loads(lines.format(record())).get("turn")

    async def turn() -> list[object]:
        TURN.set(7)
        return [seen(), await asyncio.to_thread(seen), await asyncio.create_task(_later(seen))]

    assert await asyncio.create_task(turn()) == [7, 7, 7]
    assert seen() is None


async def _later(seen: object) -> object:
    await asyncio.sleep(0)
    return seen()  # type: ignore[operator]


async def test_each_turn_of_a_loop_has_one_id_from_reading_to_outcome(tmp_path: Path) -> None:
    runtime, line, stores = driven()
    runtime.command("close", "a test")
    with logged(tmp_path, LogFormat.text, {"run": "r-1"}):
        for _ in range(3):
            await runtime._clock.sleep_until(line.plc.now_us + PERIOD_US)
            await runtime.turn(line.plc.now_us)
    lines = [json.loads(text) for text in (tmp_path / FILE).read_text().splitlines()]
    decided = {line["turn"]: line for line in lines if line["message"] == "decided"}
    assert list(decided) == [cycle.number for cycle in stores.cycles] == [1, 2, 3]
    assert decided[3]["mode"] == "CLOSED"
    written = [line for line in lines if line["message"] == "written"]
    assert [(line["turn"], line["sequence"], line["outcome"]) for line in written] == [
        (cycle.number, cycle.decision.batch.sequence, "ACCEPTED")
        for cycle in stores.cycles
        if cycle.decision.batch is not None and cycle.decision.batch.setpoints
    ]
    assert written
    assert {line["run"] for line in lines} == {"r-1"}


def test_people_see_warnings_and_a_journal_sees_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("twin.somewhere")
    for shown in LogFormat:
        with logged(tmp_path, shown, {}):
            logger.info("decided")
            logger.warning("lost")
        err = capsys.readouterr().err
        if shown is LogFormat.text:
            assert err == "lost\n"
        else:
            told = [json.loads(line)["message"] for line in err.splitlines()]
            assert told == ["decided", "lost"]
    logger.info("nobody listens")
    assert len((tmp_path / FILE).read_text().splitlines()) == 4


def test_text_that_is_no_utf_8_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a test has logged its process tells the one that collects reports, which takes UTF-8 alone.
    monkeypatch.setattr(logging.getLogger("twin"), "propagate", False)
    with logged(tmp_path, LogFormat.text, {}):
        logging.getLogger("twin.somewhere").info("open: %s", "St\udcf6rung, Stö")
    (line,) = (tmp_path / FILE).read_text("utf-8").splitlines()
    assert json.loads(line)["message"] == "open: St\udcf6rung, Stö"


FULL_DISK = """
import logging, resource, signal, sys
from pathlib import Path
from twin.cli.logbook import LogFormat, logged
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = logging.getLogger("twin.test")
with logged(Path(sys.argv[1]), LogFormat.text, {}):
    for n in range(5):
        log.info("before %d", n)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    for n in range(40):
        log.info("while it is full %d", n)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    log.info("after it")
"""


def test_lines_of_a_time_without_room_are_written_once_there_is_some(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(text) for text in (tmp_path / FILE).read_text("utf-8").splitlines()]
    told = [line["message"] for line in lines]
    full = [f"while it is full {n}" for n in range(40)]
    assert told == [*(f"before {n}" for n in range(5)), *full, "after it"]
