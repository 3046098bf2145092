"""Mapping files at the command line: drafted, looked at, refused as long as something is guessed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.twin.cli.shell import twin
from tests.twin.equipment.foreign.mapped_lines import confirmed, quick_place, quick_plc
from tests.twin.equipment.servers import quick_servers
from twin.equipment.emulator import Emulated

__all__ = ["quick_servers"]


@contextmanager
def served() -> Iterator[str]:
    """The quick line behind a server in a thread of its own."""
    loop = asyncio.new_event_loop()
    line = Emulated(quick_plc(), lockstep=False, insecure=True)
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(line.__aenter__(), loop).result(60)
        yield line.endpoint
        ended = line.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(ended, loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def drafted(url: str) -> str:
    code, out, err = twin("discover", url, "--plant", quick_place(), "--insecure")
    assert code == 0
    assert re.search(r"\d+ guesses, \d+ open, \d+ nodes left", err)
    return out


def test_each_guess_is_right_on_a_server_that_we_know(url: str, drafted: str) -> None:
    code, out, _ = twin("discover", url, "--plant", quick_place(), "--insecure", "--json")
    assert code == 0
    told = json.loads(out)
    code, out, _ = twin("check", quick_place(), "--against", url, "--insecure", "--json")
    assert code == 0
    nodes = {row["name"]: row["node"] for row in json.loads(out)["rows"]}
    for name, entry in told["signals"].items():
        assert entry["node"].endswith(f"/{nodes[name]}"), name
    assert len(told["signals"]) > 160
    assert "guess:" in drafted


def test_no_loop_runs_by_a_guess(url: str, drafted: str, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(drafted, "utf-8")
    run = ("run", "--plant", quick_place(), "--endpoint", url, "--insecure", "--mapping", path)
    code, _, err = twin(*run)
    assert code == 4
    assert "are guesses" in err
    assert "twin check" in err
    path.write_text(re.sub(r"(?m)^  turning\.state:.*\n", "", confirmed(drafted)), "utf-8")
    code, _, err = twin(*run)
    assert code == 4
    assert "does not say where turning.state" in err
    text = path.read_text("utf-8")
    text += "" if re.search("(?m)^absent:", text) else "absent:\n"
    path.write_text(f"{text}  - {{signals: turning.state, why: no tag}}\n", "utf-8")
    code, _, err = twin(*run)
    assert code == 4
    assert "turning.state absent, without which no loop can see the line" in err


def test_a_mapping_is_looked_at_without_a_server(drafted: str, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(drafted, "utf-8")
    code, out, _ = twin("check", quick_place(), "--mapping", path, "--json")
    assert code == 0
    told = json.loads(out)["mapping"]
    assert len(told["guesses"]) > 160
    path.write_text(drafted.replace("schema_version: 1", "schema_version: 2"), "utf-8")
    code, _, err = twin("check", quick_place(), "--mapping", path)
    assert code == 2
    assert f"{path}:1" in err


def test_the_table_says_what_to_do_and_the_code_that_there_is_something(
    url: str, drafted: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(confirmed(drafted).replace("Process/power_kw", "Process/pwr", 1), "utf-8")
    against = ("check", quick_place(), "--against", url, "--insecure", "--mapping", path)
    code, out, err = twin(*against)
    assert code == 1
    assert "missing" in out
    assert "problem: turning.power_kw: the server has no such node" in err
    code, out, _ = twin(*against, "--json")
    assert code == 1
    rows = {row["name"]: row for row in json.loads(out)["rows"]}
    assert rows["turning.power_kw"]["verdict"] == "missing"
    assert rows["turning.power_kw"]["value"] is None


def test_a_mapping_needs_a_line_that_goes_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("plant: x\n", "utf-8")
    for more in (("--emulate",), ("--endpoint", "opc.tcp://127.0.0.1:9", "--lockstep")):
        code, _, err = twin("run", "--plant", quick_place(), "--mapping", path, *more)
        assert code == 2
        assert "foreign server" in err
