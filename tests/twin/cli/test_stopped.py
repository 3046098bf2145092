"""Runs that did not come to their end: what there is of them is reported, and what is missing is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from tests.twin.cli.shell import begin, only_run, twin, until, until_turns
from twin.store.audit import Audit
from twin.store.run_folder import create

RULES = ("run", "--plant", "machining_line", "--in-process", "--controller", "rules")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    assert twin(*RULES, "--shift", "10m", "--out", root)[0] == 0
    return only_run(root)


@pytest.fixture
def unfinished(finished: Path, tmp_path: Path) -> Path:
    """The same as if a second controller should have followed, and none had come to its end."""
    folder = Path(shutil.copytree(finished, tmp_path / "runs" / finished.name))
    (folder / "kpi.json").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["arguments"]["controllers"] = ["rules", "mpc"]
    facts = {"arguments", "command", "plant_hash", "seed", "versions"}
    made = create(tmp_path, manifest["plant"], **{name: manifest[name] for name in facts})
    (made.folder / "manifest.json").replace(folder / "manifest.json")
    return folder


def test_an_interrupt_in_the_second_controller_leaves_out_the_comparison(tmp_path: Path) -> None:
    arguments = ["--in-process", "--shift", "4h", "--compare", "always_on,mpc"]
    with begin("run", "--plant", "machining_line", *arguments, folder=tmp_path) as process:
        assert process.stderr is not None
        assert any(line.startswith("run ") for line in process.stderr)
        folder = only_run(tmp_path / "runs")
        until_turns(process, folder / "mpc" / "audit.sqlite", 3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    note = "always_on and mpc did not run over the same plant time: they are not compared."
    assert f"note: {note}" in err
    assert "error" not in err
    assert not list(tmp_path.glob("twin-error-*"))
    assert not (folder / "kpi.json").exists()
    assert note in (folder / "report.html").read_text()
    code, _, err = twin("report", folder)
    assert code == 0
    assert "note: mpc was stopped at " in err
    code, out, _ = twin("report", folder, "--csv")
    assert code == 0
    assert {row.partition(",")[0] for row in out.splitlines()} == {"controller", "always_on", "mpc"}


def test_a_controller_without_a_turn_is_left_out(unfinished: Path) -> None:
    (unfinished / "mpc").mkdir()
    Audit(unfinished / "mpc" / "audit.sqlite", controller="mpc").close()
    for verb in ("report", "replay"):
        code, _, err = twin(verb, unfinished)
        assert code == 0, err
    assert "mpc" not in twin("report", unfinished, "--csv")[1]


def test_a_run_that_never_began_is_not_the_newest(unfinished: Path) -> None:
    never = Path(shutil.copytree(unfinished, unfinished.with_name("later-001")))
    shutil.rmtree(never / "rules")
    os.utime(never / "manifest.json", ns=(2**62, 2**62))
    code, _, err = twin("report", "--out", unfinished.parent)
    assert code == 0
    assert f"report: {unfinished}" in err
    code, _, err = twin("report", never)
    assert code == 2
    assert f"{never}: this run never came to its first turn" in err
    shutil.rmtree(unfinished)
    assert "never came to its first turn" in twin("report", "--out", never.parent)[2]


def test_a_finished_run_without_its_audit_is_damaged(unfinished: Path, finished: Path) -> None:
    shutil.copy(finished / "kpi.json", unfinished)
    (unfinished / "rules" / "audit.sqlite").unlink()
    code, _, err = twin("report", unfinished)
    assert code == 6
    assert "holds no audit" in err


def test_results_that_are_damaged_are_told(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / finished.name))
    assert "kpi.json" not in twin("report", folder)[2]
    path = folder / "kpi.json"
    path.write_text(path.read_text()[:-20])
    code, _, err = twin("report", folder)
    assert code == 0
    assert "note: kpi.json: cannot be read: " in err
    assert "The figures are computed anew from the audit." in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("there", "put"), [('"seed": 1', '"seed": 2'), ('"variant": "nominal"', '"variant": "high"')]
)
def test_a_manifest_that_was_changed_is_damaged(
    finished: Path, tmp_path: Path, there: str, put: str
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "renamed"))
    for verb in ("replay", "report"):
        assert twin(verb, folder)[0] == 0
    manifest = folder / "manifest.json"
    assert there in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(there, put))
    for verb in ("replay", "report"):
        code, _, err = twin(verb, folder)
        assert code == 6
        assert f"{folder}: plant.yaml or manifest.json was changed after the run" in err


def test_a_record_whose_end_is_not_proven_is_told(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / finished.name))
    head = folder / "rules" / "audit.sqlite.head"
    for verb in ("replay", "report"):
        assert "is missing" not in twin(verb, folder)[2]
    head.unlink()
    doubt = f"{head} is missing: nothing tells whether rows were cut off the end"
    for verb in ("replay", "report"):
        code, _, err = twin(verb, folder)
        assert code == 0
        assert f"note: {doubt}" in err
    assert doubt in (folder / "report.html").read_text()


def test_a_folder_without_a_run_is_not_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "emp").mkdir()
    for given in ("emp", tmp_path / "emp"):
        code, _, err = twin("report", given)
        assert code == 2
        assert f"the folder {given} is there, and holds no run: it has no manifest.json" in err
    assert "no run 'other' in runs" in twin("report", "other")[2]


def are_gone(workers: list[psutil.Process]) -> bool:
    """Whether none of them works any more, in some seconds: those who only keep books end when their pipe does."""
    _, left = psutil.wait_procs(workers, timeout=10.0)
    return all(one.status() == psutil.STATUS_ZOMBIE for one in left)


def workers_of(pid: int) -> list[psutil.Process]:
    """The processes that a process has started, each known by more than its number."""
    return psutil.Process(pid).children()


@pytest.mark.parametrize(
    "asked",
    [
        ["sweep", "machining_line", "--set", "line.takt_s=60:100:9", "--reps", 300, "--workers", 2],
        ["tune", "machining_line", "--utilisation", 0.8, "--to", "found.json"],
    ],
    ids=["sweep", "tune"],
)
def test_sigterm_ends_the_workers_too(asked: list[object], tmp_path: Path) -> None:
    with begin(*asked, folder=tmp_path) as process:
        workers = until(process, lambda: w if len(w := workers_of(process.pid)) > 1 else None)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert are_gone(workers)


def test_sigterm_keeps_what_was_evaluated(tmp_path: Path) -> None:
    rows = tmp_path / "out" / "episodes.jsonl"
    asked = ["--controllers", "always_on", "--hours", "0.25", "--shifts", 900, "--workers", 2]
    with begin("evaluate", "machining_line", *asked, "--out", "out", folder=tmp_path) as process:
        until(process, lambda: rows.is_file() or None)
        workers = workers_of(process.pid)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    kept = rows.read_text().count("\n")
    assert f"stopped: {kept} of 900 shifts are in out; called again, it goes on" in err
    assert workers
    assert are_gone(workers)
