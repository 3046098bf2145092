"""What a run has kept, at the command line; and a service as those around it see it."""

from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.twin.cli.shell import begin, only_run, twin, until

SPEED = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run that has ended."""
    out = tmp_path_factory.mktemp("runs")
    arguments = ("--plant", "machining_line", "--in-process", "--controller", "fixed")
    code, _, err = twin("run", *arguments, "--shift", "10m", "--out", out)
    assert code == 0, err
    return only_run(out)


def test_the_status_says_how_much_there_is_and_what_is_missing(run: Path) -> None:
    code, out, _ = twin("store", "status", run, "--json")
    assert code == 0
    told = json.loads(out)
    stores = told["stores"]["fixed"]
    assert told["run"] == run.name
    assert (stores["segments"], stores["until_s"], stores["gaps"]) == (1, 600.0, [])
    assert all(stores["megabytes"][name] > 0.0 for name in ("historian", "segments", "audit"))
    code, out, _ = twin("store", "status", run)
    assert code == 0
    assert "1 segments, up to 0.167 h" in out


def test_a_run_is_taken_away_and_brought_back(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "line1.tar.gz"
    code, out, _ = twin("store", "backup", run, "--to", file, "--json")
    assert code == 0
    made = json.loads(out)
    assert (made["run"], made["missing"]) == (run.name, [])
    code, out, _ = twin("store", "verify", file)
    assert code == 0
    assert "all compared" in out
    code, out, _ = twin("store", "restore", file, "--out", tmp_path / "restored")
    assert code == 0
    back = tmp_path / "restored" / run.name
    assert out.strip() == str(back)
    assert twin("replay", back)[0] == 0
    assert twin("audit", "verify", back)[0] == 0
    code, _, err = twin("store", "restore", file, "--out", tmp_path / "restored")
    assert (code, "is there already" in err) == (6, True)
    file.write_bytes(file.read_bytes()[:-100])
    code, _, err = twin("store", "verify", file)
    assert (code, "damaged" in err) == (6, True)


def test_upkeep_is_for_runs_by_the_clock(tmp_path: Path) -> None:
    base = ("run", "--plant", "machining_line", "--out", tmp_path)
    for option in (("--monitor", 0), ("--keep", "30d"), ("--log-format", "json")):
        code, _, err = twin(*base, "--in-process", *option)
        assert (code, "goes on by the clock" in err) == (2, True)
    code, _, err = twin(*base, "--endpoint", "opc.tcp://127.0.0.1:1", "--keep", "10m")
    assert (code, "at least 1h" in err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def page(address: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(address, timeout=30.0) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.slow
def test_a_service_is_seen_saved_and_logged_while_it_runs(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with begin(
        "emulate", "machining_line", "--port", 0, "--speed", SPEED, "--json", folder=tmp_path
    ) as line:
        assert line.stdout is not None
        endpoint = json.loads(line.stdout.readline())["endpoint"]
        arguments = ["--endpoint", endpoint, "--controller", "fixed", "--monitor", "0"]
        arguments += ["--log-format", "json", "--keep", "30d"]
        with begin("run", "--plant", "machining_line", *arguments, folder=tmp_path) as process:

            def monitor() -> str | None:
                code, out, _ = twin("loop", "status", "--json", "--out", runs)
                return json.loads(out).get("monitor") if code == 0 else None

            address = until(process, monitor)
            until(process, lambda: page(f"{address}/readyz")[0] == 200 or None)
            assert page(f"{address}/healthz")[0] == 200
            figures = page(f"{address}/metrics")[1].decode()
            turns = re.search(r"(?m)^takttwin_turns_total (\S+)$", figures)
            assert turns is not None
            assert float(turns[1]) >= 1.0
            assert 'takttwin_loop_mode{mode="ADVISORY"} 1.0' in figures
            assert "takttwin_link_connected 1.0" in figures

            code, out, err = twin(
                "store", "backup", "--out", runs, "--to", tmp_path / "b.tar.gz", "--json"
            )
            assert code == 0, err
            assert "fixed/historian.duckdb" in json.loads(out)["missing"]
            assert "the run goes on" in err

            line.kill()
            until(process, lambda: page(f"{address}/readyz")[0] == 503 or None)
            told = json.loads(page(f"{address}/readyz")[1])
            assert told["faults"]
            assert page(f"{address}/healthz")[0] == 200
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=120)
    lines = [json.loads(text) for text in err.splitlines() if text.startswith("{")]
    folder = only_run(runs)
    kept = [json.loads(text) for text in (folder / "fixed" / "log.jsonl").read_text().splitlines()]
    assert [one["turn"] for one in kept if one["message"] == "decided"] == list(
        range(1, 1 + sum(one["message"] == "decided" for one in kept))
    )
    assert {one["run"] for one in kept} == {folder.name}
    assert [one["message"] for one in lines] == [one["message"] for one in kept]
    assert any(one["level"] == "warning" and "connection" in one["message"] for one in kept)
    assert twin("store", "restore", tmp_path / "b.tar.gz", "--out", tmp_path / "back")[0] == 0
    assert twin("replay", tmp_path / "back" / folder.name)[0] == 0
