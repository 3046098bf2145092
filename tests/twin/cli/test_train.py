"""``twin train``: what it refuses at the door, and that it can be stopped."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import suppress
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from tests.twin.cli.shell import begin, twin
from twin.config import find_plant

has_rl = util.find_spec("torch") is not None and util.find_spec("stable_baselines3") is not None
needs_rl = pytest.mark.skipif(not has_rl, reason="pip install 'takttwin[rl]'")
SMALL = {
    "ppo": {"lines": 16, "rollout": 64, "batches": 4, "epochs": 1, "network": [16, 16]},
    "judged_shifts": 2,
}


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machining line with shifts of half an hour, and settings for trainings of seconds."""
    monkeypatch.chdir(tmp_path)
    text = find_plant("machining_line").read_text("utf-8")
    path = tmp_path / "short.yaml"
    path.write_text(text.replace("shift_h: 8", "shift_h: 0.5"), "utf-8")
    (tmp_path / "short.training.json").write_text(json.dumps(SMALL))
    return path


def test_without_the_extra_one_line_says_what_to_install(
    plant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable[..., Any] = util.find_spec

    def found(name: str, package: str | None = None) -> Any:
        return None if name in {"torch", "tensorboard"} else find(name, package)

    monkeypatch.setattr(util, "find_spec", found)
    code, out, err = twin("train", "--plant", plant)
    assert (code, out) == (2, "")
    assert "not installed: torch, tensorboard" in err
    assert "pip install 'takttwin[rl]'" in err
    assert list(plant.parent.glob("training*")) == []


@needs_rl
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--algo", "dqn"], "no algorithm 'dqn'"),
        (["--controller", "bc", "--steps", "9"], "not from so many --steps"),
        (["--controller", "mpc"], "no controller to train 'mpc'"),
        (["--controller", "residual", "--base", "rl"], "no base 'rl'"),
        (["--utilisation", "7"], "a share of the capacity"),
        (["--controller", "bc", "--tune", "2"], "no settings that can be searched"),
        (["--controller", "residual", "--base", "mpc", "--tune", "2"], "no settings that can be"),
        (["--resume"], "nothing to go on with|to go on with"),
    ],
    ids=[
        "algorithm",
        "steps",
        "controller",
        "base",
        "utilisation",
        "tune_bc",
        "tune_mpc",
        "resume",
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    plant: Path, options: list[str], says: str
) -> None:
    before = sorted(plant.parent.iterdir())
    code, _, err = twin("train", "--plant", plant, *options)
    assert code == 2
    assert any(part in err for part in says.split("|"))
    assert sorted(plant.parent.iterdir()) == before


@needs_rl
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tune", "2"], "no settings that can be searched"),
        (["--algo", "sac"], "learns on by ppo alone"),
    ],
    ids=["tune", "sac"],
)
def test_what_a_clone_of_the_mpc_cannot_do_is_refused_at_once(
    plant: Path, options: list[str], says: str
) -> None:
    plant.with_name("short.training.json").write_text('{"rl": {"begin": "mpc"}}')
    before = sorted(plant.parent.iterdir())
    code, _, err = twin("train", "--plant", plant, *options)
    assert (code, says in err) == (2, True), err
    assert sorted(plant.parent.iterdir()) == before


@needs_rl
def test_bad_settings_are_refused_with_their_place(plant: Path) -> None:
    plant.with_name("short.training.json").write_text('{"ppo": {"gamma": 2}}')
    code, _, err = twin("train", "--plant", plant)
    assert code == 2
    assert "short.training.json" in err
    assert "ppo.gamma" in err


@needs_rl
def test_a_truth_that_nothing_can_be_judged_on_is_refused_before_the_training(plant: Path) -> None:
    plant.with_name("short.truth.yaml").write_text("schema_version: 1\n")
    before = sorted(plant.parent.iterdir())
    code, _, err = twin("train", "--plant", plant)
    assert code == 2
    assert "short.truth.yaml" in err
    assert sorted(plant.parent.iterdir()) == before


@needs_rl
def test_a_folder_that_holds_a_run_is_left_alone(plant: Path) -> None:
    folder = plant.parent / "held"
    folder.mkdir()
    (folder / "training.json").write_text("{}")
    code, _, err = twin("train", "--plant", plant, "--out", folder)
    assert code == 5
    assert "--resume" in err
    assert [path.name for path in folder.iterdir()] == ["training.json"]


@needs_rl
def test_a_full_disk_is_no_fault_of_the_program_and_the_training_goes_on_later(
    plant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controllers.training import checkpoint

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    asked = ["train", "--plant", plant, "--controller", "residual", "--steps", 2048, "--workers", 1]
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "replaced", full)
        code, _, err = twin(*asked)
    assert code == 2
    assert "No space left on device" in err
    assert "--resume goes on" in err
    code, _, err = twin(*asked, "--resume")
    assert code == 0, err


@needs_rl
def test_every_seed_ends_in_a_bundle_and_is_reported(plant: Path) -> None:
    code, out, err = twin(
        "train", "--plant", plant, "--controller", "residual", "--steps", 2048, "--seeds", 2,
        "--workers", 1, "--out", "made", "--utilisation", 0.6, "--json",
    )  # fmt: skip
    assert code == 0, err
    assert "nobody has tuned this plant" in err
    report = json.loads(out)
    assert report == json.loads(Path("made/training.json").read_text())
    assert [run["seed"] for run in report["runs"]] == [1, 2]
    assert len({run["weights_sha256"] for run in report["runs"]}) == 2
    for run in report["runs"]:
        assert run["steps"] == 2048
        assert run["evaluation"]["shifts"] == 2
        assert run["evaluation"]["utilisation"] == 0.6
        assert run["evaluation"]["training_cpu_h"] > 0.0
        code, out, err = twin("policy", "verify", run["bundle"], "--plant", plant, "--json")
        assert code == 0, err
        assert json.loads(out)["base"] == "fixed"


@needs_rl
@pytest.mark.parametrize("controller", ["rl", "residual"])
def test_a_plant_whose_turns_make_no_minute_is_trained_on_as_any_other(
    plant: Path, controller: str
) -> None:
    text = plant.read_text("utf-8").replace("period_s: 30 ", "period_s: 45 ")
    plant.write_text(text.replace("line_period_s: 300 ", "line_period_s: 315 "), "utf-8")
    code, out, err = twin(
        "train", "--plant", plant, "--controller", controller, "--steps", 2048, "--workers", 1, "--json"
    )  # fmt: skip
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    with zipfile.ZipFile(run["bundle"]) as bundle:
        manifest = json.loads(bundle.read("manifest.json"))
    assert manifest["role"]["decision_period_s"] == 45.0
    code, _, err = twin("policy", "verify", run["bundle"], "--plant", plant)
    assert code == 0, err


def _stopped(asked: list[object], place: Path, diaries: int) -> str:
    """Begin a training, end it by SIGTERM once so many trainers have written of a round; what it says then."""
    with begin(*asked, folder=place.parent) as process:
        while process.poll() is None:
            found = [path for path in place.rglob("metrics.jsonl") if path.stat().st_size]
            if len(found) >= diaries:
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 128 + signal.SIGTERM, err
    return err


@needs_rl
@pytest.mark.parametrize(
    ("options", "trainers"),
    [(["--seeds", 2, "--workers", 2], 2), (["--tune", 2], 1)],
    ids=["two_workers", "search"],
)
def test_sigterm_reaches_whoever_trains(plant: Path, options: list[object], trainers: int) -> None:
    place = plant.parent / "stopped"
    common = ["train", "--plant", plant, "--steps", 10**8, "--out", place]
    assert "--resume" in _stopped([*common, *options], place, trainers)
    assert len(list(place.rglob("checkpoint.pt"))) == trainers
    assert not list(place.rglob("*.policy"))


@needs_rl
def test_sigterm_keeps_a_checkpoint_and_resume_ends_as_if_nothing_had_been(plant: Path) -> None:
    common = ["train", "--plant", plant, "--controller", "residual", "--workers", 1]
    place = plant.parent / "stopped"
    metrics = place / "seed-001" / "metrics.jsonl"
    err = _stopped([*common, "--steps", 10**8, "--out", place], place, 1)
    assert "--resume" in err
    steps = int(json.loads(metrics.read_text().splitlines()[-1])["steps"]) + 1024
    code, out, err = twin(*common, "--steps", steps, "--out", place, "--resume", "--json")
    assert code == 0, err
    resumed = json.loads(out)["runs"][0]
    code, out, err = twin(*common, "--steps", steps, "--out", "whole", "--json")
    assert code == 0, err
    assert json.loads(out)["runs"][0]["weights_sha256"] == resumed["weights_sha256"]


@needs_rl
def test_the_smoke_run_trains_stops_goes_on_and_loads(plant: Path) -> None:
    code, out, err = twin("train", "--plant", plant, "--smoke", "--json")
    assert code == 0, err
    assert json.loads(out)["bundle"] == "passed the loader"
    assert not Path("training").exists()
