from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.twin.cli.shell import (
    REPOSITORY,
    begin,
    only_run,
    twin,
    until_turns,
)
from twin.config import load_plant
from twin.feedback import kpis_from_record

RULES = ("run", "--plant", "machining_line", "--in-process", "--controller", "rules", "--json")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of half an hour, and what it printed."""
    root = tmp_path_factory.mktemp("finished")
    code, out, err = twin(*RULES, "--lockstep", "--shift", "30m", "--out", root)
    assert code == 0, err
    return only_run(root), out


@pytest.fixture
def copied(finished: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished[0], tmp_path / finished[0].name))


def keys_of(record: object) -> Iterator[str]:
    """Every key of nested JSON."""
    if isinstance(record, dict):
        yield from record
        record = list(record.values())
    if isinstance(record, list):
        for item in record:
            yield from keys_of(item)


def test_the_results_are_on_standard_output_and_in_the_folder(finished: tuple[Path, str]) -> None:
    folder, out = finished
    assert (folder / "kpi.json").read_text() == out
    record = json.loads(out)
    plant = load_plant("machining_line")
    assert record["plant_hash"] == plant.config_hash
    assert (record["seed"], record["controller"], record["shift_h"]) == (1, "rules", 0.5)
    assert record["versions"]["takttwin"]
    kpis = kpis_from_record(record["controllers"]["rules"])
    assert kpis["good_parts"] > 0
    assert kpis.values[0].from_us == 0
    timings = json.loads((folder / "timings.json").read_text())["rules"]
    assert timings["decisions"] == 61
    assert {"cpu_s", "wall_s", "decision_median_s"} <= timings.keys()
    assert not set(keys_of(timings)) & set(keys_of(record))
    assert str(folder.parent) not in out
    names = {path.name for path in folder.iterdir()}
    assert {"manifest.json", "plant.yaml", "report.html", "rules"} <= names
    assert "sock" not in " ".join(names)


def test_the_same_inputs_give_the_same_bytes(finished: tuple[Path, str], tmp_path: Path) -> None:
    with begin(*RULES, "--shift", "30m", "--out", "runs", folder=tmp_path) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert out == finished[1]
    again = only_run(tmp_path / "runs")
    assert again.name == finished[0].name
    for name in ("kpi.json", "manifest.json", "report.html"):
        assert (again / name).read_bytes() == (finished[0] / name).read_bytes()


def test_another_seed_is_another_shift(finished: tuple[Path, str], tmp_path: Path) -> None:
    _, out, _ = twin(*RULES, "--shift", "30m", "--seed", "2", "--out", tmp_path)
    ours, theirs = json.loads(out)["controllers"], json.loads(finished[1])["controllers"]
    assert ours["rules"]["kpis"]["energy_kwh"] != theirs["rules"]["kpis"]["energy_kwh"]


def test_controllers_are_compared_on_the_same_shift(
    finished: tuple[Path, str], tmp_path: Path
) -> None:
    arguments = ["--in-process", "--shift", "30m", "--compare", "always_on,rules"]
    code, out, err = twin("run", "--plant", "machining_line", *arguments, "--out", tmp_path)
    assert code == 0, err
    assert "always_on" in out
    assert "difference" in out
    record = json.loads((only_run(tmp_path) / "kpi.json").read_text())
    alone = json.loads(finished[1])["controllers"]["rules"]
    assert record["controllers"]["rules"] == alone
    rows = {row["name"]: row for row in record["comparisons"]}
    assert rows["energy_kwh"]["controller"] == "always_on"
    assert rows["energy_kwh"]["baseline"] == "rules"
    assert rows["energy_kwh"]["low"] is None
    with sqlite3.connect(only_run(tmp_path) / "always_on" / "audit.sqlite") as audit:
        assert audit.execute("select count(*) from intents").fetchone()[0] > 0
    audit.close()


def test_every_write_is_on_record_and_the_loop_was_closed_by_the_command(
    finished: tuple[Path, str],
) -> None:
    audit = sqlite3.connect(finished[0] / "rules" / "audit.sqlite")
    commands = audit.execute("select verb, who from commands").fetchall()
    modes = [mode for (mode,) in audit.execute("select mode from notes order by id")]
    intents = audit.execute("select count(*) from intents").fetchone()[0]
    outcomes = audit.execute("select count(*) from outcomes").fetchone()[0]
    audit.close()
    assert commands == [("close", "twin run")]
    assert modes == ["INIT", "CLOSED"]
    assert intents == outcomes > 0


def test_replay_finds_the_same_decisions(finished: tuple[Path, str]) -> None:
    code, out, _ = twin("replay", finished[0], "--json")
    (told,) = json.loads(out)["controllers"]
    assert code == 0
    assert told == {"controller": "rules", "turns": 61, "first_difference": None}


def test_replay_of_the_mpc(tmp_path: Path) -> None:
    arguments = ["--in-process", "--shift", "6m", "--controller", "mpc", "--out", tmp_path]
    assert twin("run", "--plant", "machining_line", *arguments)[0] == 0
    assert twin("replay", only_run(tmp_path))[0] == 0


def changed_cycle(folder: Path, old: str, new: str) -> None:
    audit = sqlite3.connect(folder / "rules" / "audit.sqlite")
    audit.execute("update cycles set record = replace(record, ?, ?) where number = 40", (old, new))
    # As a version without a chain has left it: a chain would tell.
    audit.execute("drop table if exists chain")
    audit.execute("pragma user_version = 0")
    audit.commit()
    audit.close()
    (folder / "rules" / "audit.sqlite.head").unlink(missing_ok=True)


def test_replay_names_the_first_difference(copied: Path) -> None:
    changed_cycle(copied, '"line.takt_s":50.0', '"line.takt_s":50.00000000000001')
    code, out, _ = twin("replay", copied)
    assert code == 1
    assert "turn 40, asked.line.takt_s: recorded 50.00000000000001, computed 50.0" in out


def test_replay_refuses_a_damaged_record(copied: Path) -> None:
    changed_cycle(copied, '"number":40', '"number":41')
    assert twin("replay", copied)[0] == 6
    changed_cycle(copied, '"values":[', '"values":[nonsense')
    assert twin("replay", copied)[0] == 6
    (copied / "rules" / "audit.sqlite").write_bytes(b"nonsense" * 1000)
    for verb in ("replay", "report"):
        code, _, err = twin(verb, copied)
        assert code == 6
        assert "audit.sqlite" in err


HOW = {"empty": b"", "garbage": b"nonsense" * 1000, "missing": None}


def damage(path: Path, how: str) -> None:
    content = HOW[how]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("how", HOW)
def test_a_historian_that_is_damaged_is_told_on_the_terminal_and_on_the_page(
    copied: Path, how: str
) -> None:
    page = (copied / "report.html").read_text()
    historian = copied / "rules" / "historian.duckdb"
    damage(historian, how)
    before = sorted(copied.rglob("*"))
    for _ in range(2):  # the first report heals nothing and hides nothing
        code, _, err = twin("report", copied)
        assert code == 0
        assert "note: rules/historian.duckdb: " in err
        assert "The courses come from the other record of the run" in err
        told = (copied / "report.html").read_text()
        assert "rules/historian.duckdb" in told
        assert "rules/historian.duckdb" not in page
        assert len(told) > 0.9 * len(page)  # all is drawn all the same
        assert sorted(copied.rglob("*")) == before


@pytest.mark.parametrize("how", HOW)
def test_a_run_of_which_no_sample_can_be_read_has_no_report(copied: Path, how: str) -> None:
    damage(copied / "rules" / "historian.duckdb", how)
    for path in (copied / "rules" / "segments").iterdir():
        damage(path, how)
    before = sorted(copied.rglob("*"))
    code, _, err = twin("report", copied)
    assert code == 6
    assert "no sample can be read" in err
    assert "hint: restore the folder of the run from a copy" in err
    assert sorted(copied.rglob("*")) == before


def test_segments_that_are_damaged_are_told_too(copied: Path) -> None:
    for path in (copied / "rules" / "segments").glob("samples-*"):
        path.write_bytes(b"nonsense")
    code, _, err = twin("report", copied)
    assert code == 0
    assert "rules/segments: segments cannot be read" in err


def test_an_unfinished_run_is_read_from_its_historian(copied: Path) -> None:
    (copied / "kpi.json").unlink()
    shutil.rmtree(copied / "rules" / "segments")
    assert "missing" not in twin("report", copied)[2]
    with duckdb.connect(str(copied / "rules" / "historian.duckdb")) as historian:
        historian.execute("delete from samples where time_us > 900000000")
    code, _, err = twin("report", copied)
    assert code == 0
    assert "note: rules: samples are recorded up to 0.25 h of 0.50 h; the rest is missing." in err
    assert "the rest is missing" in (copied / "report.html").read_text()
    damage(copied / "rules" / "historian.duckdb", "empty")
    code, _, err = twin("report", copied)
    assert code == 6
    assert "rules/historian.duckdb: damaged: the file is empty" in err


@pytest.mark.parametrize("how", ["empty", "garbage"])
@pytest.mark.parametrize("name", ["rules/audit.sqlite", "manifest.json", "plant.yaml"])
def test_a_record_that_is_damaged_says_what_to_do(copied: Path, name: str, how: str) -> None:
    damage(copied / name, how)
    for verb in ("replay", "report"):
        code, _, err = twin(verb, copied)
        assert code == 6
        assert Path(name).name in err
        assert "no such table" not in err
        assert "hint: restore the folder of the run from a copy" in err


def test_a_limit_on_file_sizes_is_told_in_plain_words(tmp_path: Path) -> None:
    limited = (
        "import resource, sys; from twin.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY)); main()"
    )
    arguments = [*RULES[:-1], "--shift", "30m", "--out", "runs"]
    done = subprocess.run(
        [sys.executable, "-c", limited, *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6
    assert "historian.duckdb: cannot record: the file may not grow any more" in done.stderr
    assert "nothing is recorded yet" in done.stderr
    assert "hint: raise the limit of file sizes" in done.stderr
    for word in ("TransactionContext", "-1 us", "Error:"):
        assert word not in done.stderr


def test_a_plant_changed_after_the_run_is_no_basis(copied: Path) -> None:
    plant = copied / "plant.yaml"
    plant.write_text(plant.read_text().replace("shift_h: 8", "shift_h: 9"))
    code, _, err = twin("replay", copied)
    assert code == 6
    assert "changed after the run" in err


def test_the_report_can_be_made_again(copied: Path) -> None:
    page = (copied / "report.html").read_bytes()
    (copied / "report.html").unlink()
    assert twin("report", copied.name, "--out", copied.parent)[0] == 0
    assert (copied / "report.html").read_bytes() == page
    code, out, _ = twin("report", copied, "--csv")
    assert code == 0
    assert out.splitlines()[0].startswith("controller,shift,name,value,unit")
    rows = {row.split(",")[2]: float(row.split(",")[3]) for row in out.splitlines()[1:] if row}
    kpis = json.loads((copied / "kpi.json").read_text())["controllers"]["rules"]["kpis"]
    for name in ("energy_kwh", "twin_error_parts", "twin_error_kwh"):
        assert rows[name] == kpis[name]["value"], name
    assert rows["twin_error_kwh"] > 0.0


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    for verb in ("replay", "report"):
        code, _, err = twin(verb, "no_such_run", "--out", tmp_path)
        assert code == 2
        assert "no run 'no_such_run'" in err


def test_no_loop_runs(tmp_path: Path) -> None:
    code, _, err = twin("loop", "status", "--out", tmp_path)
    assert code == 3
    assert "no loop that takes commands runs" in err
    assert "a run in lockstep has no command channel" in err
    assert twin("loop", "close", "--out", tmp_path)[0] == 2
    assert twin("loop", "close", "--reason", " ", "--out", tmp_path)[0] == 2


def test_one_interrupt_opens_the_loop_and_keeps_what_there_is(tmp_path: Path) -> None:
    arguments = ["--in-process", "--shift", "90d", "--controller", "rules"]
    with begin("run", "--plant", "machining_line", *arguments, folder=tmp_path) as process:
        assert process.stderr is not None
        assert any(line.startswith("run ") for line in process.stderr)
        audit = only_run(tmp_path / "runs") / "rules" / "audit.sqlite"
        until_turns(process, audit, 20)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    rows = sqlite3.connect(audit)
    modes = [mode for (mode,) in rows.execute("select mode from notes order by id")]
    verbs = [verb for (verb,) in rows.execute("select verb from commands order by id")]
    rows.close()
    assert modes == ["INIT", "CLOSED", "ADVISORY"]
    assert verbs == ["close", "open"]
    assert twin("replay", audit.parent.parent)[0] == 0
    assert twin("report", audit.parent.parent)[0] == 0


@pytest.mark.slow
def test_an_emulated_line_gives_the_same_bytes(finished: tuple[Path, str], tmp_path: Path) -> None:
    arguments = ["--emulate", "--lockstep", "--shift", "30m", "--controller", "rules", "--json"]
    code, out, err = twin("run", "--plant", "machining_line", *arguments, "--out", tmp_path)
    assert code == 0, err
    assert out == finished[1]
    folder = only_run(tmp_path)
    received = (folder / "rules" / "received.jsonl").read_text().splitlines()
    assert json.loads(received[0])["result"] in {"OK", "CLAMPED"}
    assert twin("replay", folder)[0] == 0
