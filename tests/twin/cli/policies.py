"""Policies in ``twin evaluate``, for tests: bundles in which a takt is all that was learned, who plays them, and how."""

from __future__ import annotations

import hashlib
import json
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from tests.twin.cli.shell import twin
from twin import plugins
from twin.config import TunedPoint
from twin.cycle import Action, Situation
from twin.line.model import Line


class Playing:
    """Asks for the takt that its policy holds."""

    def __init__(self, line: Line, tuned: TunedPoint) -> None:
        with zipfile.ZipFile(tuned.policies["rl"].path) as bundle:
            self._takt_s = float(bundle.read("policy.onnx"))

    def decide(self, situation: Situation) -> Action:
        return Action({"line.takt_s": self._takt_s}, "learned")


def write_bundle(path: Path, training_seed: int, takt_s: float) -> Path:
    """A bundle with the two members that every bundle has."""
    network = repr(takt_s).encode()
    manifest = {
        "training": {"seeds": [training_seed]},
        "model_sha256": hashlib.sha256(network).hexdigest(),
        "evaluation": {"training_cpu_h": 0.1},
    }
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("manifest.json", json.dumps(manifest))
        bundle.writestr("policy.onnx", network)
    return path


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``rl`` the controller that plays them."""
    installed = [entry for entry in plugins.entry_points(group=plugins.GROUP) if entry.name != "rl"]
    learned = EntryPoint("rl", f"{__name__}:Playing", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda **_: (*installed, learned))


def evaluate(plant: str, policies: Path, out: Path, hours: float) -> tuple[int, str, str]:
    """``twin evaluate`` of every bundle of a folder and of the recipe, on the same two shifts."""
    return twin(
        "evaluate", plant, "--controllers", f"fixed,rl@{policies}", "--hours", hours,
        "--shifts", "2", "--workers", "1", "--out", out, "--json",
    )  # fmt: skip


def evaluated(plant: str, policies: Path, out: Path, hours: float) -> tuple[Path, Any]:
    """Where its lines are, and what it reports."""
    code, said, err = evaluate(plant, policies, out, hours)
    assert code == 0, err
    return out, json.loads(said)


def replay(folder: Path, *given: object) -> tuple[int, str, str]:
    """Shifts of an evaluation played again."""
    return twin("evaluate", "--replay", folder, "--workers", "1", *given)


def line_of(lines: str, controller: str) -> int:
    """The number of the first line of an evaluation in which a controller drives."""
    told = [json.loads(line)["controller"] for line in lines.splitlines()]
    return told.index(controller) + 1
