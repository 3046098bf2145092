"""A run that is stopped and goes on comes to the weights, the diary and the bundle of one that is not."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch

from controllers.policy.bundle import read_bundle
from controllers.training import plain, residual
from controllers.training.checkpoint import NAME, weights_sha256
from controllers.training.learning import Stopped, learned, new_model
from controllers.training.lines import training_lines
from controllers.training.result import source_commit
from controllers.training.spent import SPENT, counted, spent_s
from controllers.training.task import METRICS, Task
from controllers.training.train import train
from twin.store.quarantine import StoreError


def _learned(task: Task) -> str:
    lines = training_lines(task.plant, task.chosen.lines, task.settings, task.fixed, authority=0.15)
    model = learned(task, lines, np.zeros(12, np.float32))
    return weights_sha256(model.policy)


def _stops_after(task: Task, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the task to stop when so many rounds have begun."""
    from controllers.training.learning import Keeper

    begin, begun = Keeper._on_rollout_start, []

    def counted(keeper: Keeper) -> None:
        begun.append(1)
        if len(begun) > rounds:
            task.stop.ask()
        begin(keeper)

    monkeypatch.setattr(Keeper, "_on_rollout_start", counted)
    with pytest.raises(Stopped):
        _learned(task)
    monkeypatch.undo()
    task.stop_file.unlink()


@pytest.mark.parametrize(
    ("algorithm", "rounds", "hold"), [("ppo", 1, None), ("ppo", 1, 5), ("sac", 20, None)]
)
def test_a_stopped_run_goes_on_to_the_same_weights(
    make_task: Callable[..., Task],
    monkeypatch: pytest.MonkeyPatch,
    algorithm: str,
    rounds: int,
    hold: int | None,
) -> None:
    settings = make_task("settings").settings.changed({"ppo": {"hold": hold}})
    whole, halved, again = (
        make_task(name, algorithm=algorithm, settings=settings)
        for name in ("whole", "halved", "again")
    )
    _stops_after(halved, rounds, monkeypatch)
    assert halved.done < whole.steps
    # Whatever else the process has drawn in between must not matter.
    torch.manual_seed(99)
    np.random.default_rng(99)
    weights = _learned(whole)
    assert _learned(halved) == weights
    assert _learned(again) == weights
    assert (halved.folder / METRICS).read_bytes() == (whole.folder / METRICS).read_bytes()
    assert _learned(make_task("other", algorithm=algorithm, settings=settings, seed=2)) != weights


def test_a_finished_run_leaves_the_same_bundle_each_time(make_task: Callable[..., Task]) -> None:
    first = residual.train(make_task("first", steps=1024))
    second = residual.train(make_task("second", steps=1024))
    assert first.weights_sha256 == second.weights_sha256
    one, other = (read_bundle(Path(made.bundle)) for made in (first, second))
    assert one.model == other.model
    told = [bundle.manifest.model_dump(mode="json") for bundle in (one, other)]
    hours = [manifest["evaluation"].pop("training_cpu_h") for manifest in told]
    assert told[0] == told[1]
    assert all(0.0 < spent_h < 0.1 for spent_h in hours)
    assert told[0]["evaluation"]["world"] == "nominal"
    kept = Path(first.bundle).read_bytes()
    again = residual.train(make_task("first", steps=1024))  # there is nothing left to do
    assert again == first
    assert Path(first.bundle).read_bytes() == kept


def test_a_checkpoint_of_another_run_is_refused(make_task: Callable[..., Task]) -> None:
    _learned(make_task("t", steps=256))
    with pytest.raises(StoreError, match="other seed") as caught:
        train(make_task("t", seed=2))
    assert "--out" in caught.value.hint
    other = make_task("t").settings.changed({"ppo": {"clip": 0.1}})
    with pytest.raises(StoreError, match="other settings"):
        _learned(make_task("t", settings=other))


@pytest.mark.parametrize("damage", [b"", b"\x80\x04K\x01.", None], ids=["empty", "pickle", "cut"])
def test_a_damaged_checkpoint_is_refused(
    make_task: Callable[..., Task], damage: bytes | None
) -> None:
    task = make_task("t", steps=256)
    path = task.folder / NAME
    if damage is None:
        _learned(task)
        damage = path.read_bytes()[:5000]
    path.write_bytes(damage)
    with pytest.raises(StoreError, match="truncated or damaged"):
        _learned(task)
    assert path.read_bytes() == damage


def test_a_full_disk_is_told_as_such_and_leaves_the_checkpoint_that_was_there(
    make_task: Callable[..., Task], full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    task = make_task("t", steps=256)
    _learned(task)
    path = task.folder / NAME
    before = path.read_bytes()
    assert len(before) > 20_000
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        _learned(task.until(512))
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == before
    assert not list(task.folder.glob(".*"))
    weights = _learned(task.until(512))
    assert weights == _learned(make_task("whole", steps=512))


def test_what_a_full_disk_refuses_first_is_what_is_told(tmp_path: Path) -> None:
    """And not that the time it took cannot be noted either."""
    (tmp_path / SPENT).mkdir()  # no file can be put there
    with pytest.raises(StoreError, match="cannot be written"), counted(tmp_path):
        pass
    with pytest.raises(OSError, match="no space"), counted(tmp_path):
        raise OSError(errno.ENOSPC, "no space")


def test_a_checkpoint_runs_no_code(make_task: Callable[..., Task], tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> object:
            return (Path.touch, (tmp_path / "ran",))

    task = make_task("t")
    torch.save({"format": 1, "told": Evil()}, task.folder / NAME)
    with pytest.raises(StoreError):
        _learned(task)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
def test_before_it_has_learned_a_policy_asks_for_the_same_whatever_it_sees(
    make_task: Callable[..., Task], algorithm: str
) -> None:
    task = make_task("t", algorithm=algorithm)
    lines = training_lines(task.plant, 8, task.settings, task.fixed)
    first = np.linspace(-0.9, 0.9, 12, dtype=np.float32)
    model = new_model(task.chosen, lines, 1, first)
    asked, _ = model.predict(lines.reset(), deterministic=True)
    assert asked == pytest.approx(np.tile(first, (8, 1)), abs=1e-6)


def test_a_plain_policy_holds_the_time_outs_that_it_was_trained_with(
    make_task: Callable[..., Task],
) -> None:
    made = plain.train(make_task("t", method="rl", steps=1024))
    manifest = read_bundle(Path(made.bundle)).manifest
    role, commit = manifest.role, manifest.training.git_commit
    is_checkout = (Path(__file__).parents[3] / ".git").exists()
    assert bool(re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)) == is_checkout
    assert role.base is None
    assert role.held["wash.standby_after_s"] == 60.0
    assert {name.rsplit(".", 1)[1] for name in role.held} == {"standby_after_s"}


def test_what_a_stopped_run_has_taken_is_counted_too(
    make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task("t")
    _stops_after(task, 1, monkeypatch)
    before_s = spent_s(task.folder)
    assert before_s > 0.0
    _learned(task)
    assert spent_s(task.folder) > before_s


def test_a_package_in_somebody_elses_checkout_is_not_of_that_commit(tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("needs git")

    def does(*asked: str) -> None:
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run([git, "-C", str(tmp_path), *who, *asked], check=True, capture_output=True)

    does("init")
    (tmp_path / "own.py").write_text("")
    does("add", "own.py")
    does("commit", "-m", "theirs")
    installed = tmp_path / "venv" / "result.py"
    installed.parent.mkdir()
    installed.write_text("")
    assert source_commit(installed) == ""
    assert re.fullmatch(r"[0-9a-f]{40}", source_commit(tmp_path / "own.py"))
    (tmp_path / "own.py").write_text("changed")
    assert source_commit(tmp_path / "own.py").endswith("-dirty")
