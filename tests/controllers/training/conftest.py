"""Trainings of seconds, on shifts of half an hour."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from twin.config import find_plant

# Settings and samples do without the extra.
NEED_RL = [
    f"test_{name}.py"
    for name in ("checkpoint", "cloning", "judging", "lines", "loop_lines", "plain", "search")
]
collect_ignore = [] if find_spec("torch") and find_spec("stable_baselines3") else NEED_RL


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """For a while no file takes more than 20 kB, as where a disk is full."""

    @contextmanager
    def full() -> Iterator[None]:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return full


@pytest.fixture
def plant(tmp_path: Path) -> str:
    """The machining line with shifts of half an hour; nobody has tuned it, and it has no truth."""
    text = find_plant("machining_line").read_text("utf-8")
    path = tmp_path / "short.yaml"
    path.write_text(text.replace("shift_h: 8", "shift_h: 0.5"), "utf-8")
    return str(path)


@pytest.fixture
def make_task(plant: str, tmp_path: Path) -> Callable[..., Any]:
    """A task with a network of 16 and 16 on 8 lines, in a folder of its name."""
    from controllers.training.settings import CloningSpec, PpoSpec, SacSpec, Settings
    from controllers.training.task import Task
    from twin.config import load_plant, untuned

    settings = Settings(
        ppo=PpoSpec(lines=8, rollout=32, batches=4, epochs=2, network=(16, 16)),
        sac=SacSpec(lines=8, begin_after=128, kept=4096, gradient_steps=1, network=(16, 16)),
        cloning=CloningSpec(rounds=2, shifts=1, epochs=5, network=(16,)),
        judged_shifts=2,
        effort=0.0,
    )
    fixed = untuned(load_plant(plant))
    fixed.setpoints["wash.standby_after_s"] = 60.0

    def make(name: str, **given: Any) -> Task:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        chosen: dict[str, Any] = {
            "plant": plant, "method": "residual", "algorithm": "ppo", "settings": settings,
            "fixed": fixed, "seed": 1, "steps": 512, "keep_every": 10**9, "folder": folder,
            "stop_file": folder / "stop",
        }  # fmt: skip
        return Task(**(chosen | given))

    return make
