"""Cases 24 and 26: plant files that are wrong, or meant badly, given to the command line as it is."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from twin.config import find_plant

PLANT = "paint_cure_line"
SOON_S, MEMORY = 60.0, 3 * 2**30
"""A refusal comes at once, and takes no more memory than this."""
USAGE = 2
Spoil = Callable[[str], str]


def _swap(old: str, new: str) -> Spoil:
    def spoil(text: str) -> str:
        if old not in text:
            msg = f"the plant file has no {old!r} to spoil"
            raise ValueError(msg)
        return text.replace(old, new, 1)

    return spoil


WRONG: Mapping[str, Spoil] = {
    "typo": _swap("  period_s:", "  perod_s:"),
    "unknown key": _swap("shift_h: 8", "shift_h: 8\nmystery: 1"),
    "lo above hi": _swap("validity: [100, 215]", "validity: [215, 100]"),
    "no rate": _swap("rate_per_s: 0.05", "rate_per_s: 0"),
    "limits not nested": _swap("operator: [120, 170]", "operator: [100, 214]"),
    "unknown tag": _swap("zone_1_setpoint_c", "zone_9_setpoint_c"),
    "twice the same name": _swap("name: booth", "name: oven"),
    "not a number": _swap("shift_h: 8", "shift_h: .nan"),
}
_BOMB = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x]"]
    + [
        f"{n}: &{n} [{', '.join(['*' + m] * 9)}]"
        for m, n in zip("abcdefgh", "bcdefghi", strict=True)
    ]
)
BAD: Mapping[str, Spoil] = {
    "bomb of aliases": lambda text: f"{_BOMB}\n{text}",
    "python object": _swap(
        "title: Paint", "title: !!python/object/apply:os.system ['id']\nold: Paint"
    ),
    "nested 5000 deep": lambda text: f"{text}\ndeep: {'[' * 5000}{']' * 5000}\n",
    "a hundred megabytes": lambda text: text + "# " + "x" * 100_000_000,
}


def wrong_files(folder: Path, seed: int) -> list[str]:
    """Each is refused with code 2, with the line, and with what to do."""
    found = []
    for name, spoil in WRONG.items():
        code, said = _check(folder, name, spoil)
        if code != USAGE:
            found.append(f"{name}: code {code}, not {USAGE}: {said[-200:]}")
        elif ".yaml:" not in said:
            found.append(f"{name}: no line is named: {said[-200:]}")
    return found + _whole(folder)


def bad_files(folder: Path, seed: int) -> list[str]:
    """Each is refused soon, without more memory, and nothing of it is carried out."""
    found = []
    for name, spoil in BAD.items():
        code, said = _check(folder, name, spoil)
        if code != USAGE:
            found.append(f"{name}: code {code}, not {USAGE}: {said[-200:]}")
        if "uid=" in said:
            found.append(f"{name}: it was carried out")
    outside = folder / "outside"
    (outside / "run").mkdir(parents=True)
    (outside / "run" / "manifest.json").write_text("{}")
    runs = folder / "runs"
    runs.mkdir()
    (runs / "link").symlink_to(outside / "run", target_is_directory=True)
    for run in ("../outside/run", "link"):
        code, said = twin_says("report", run, "--out", str(runs))
        if code == 0 or (outside / "run" / "report.html").exists():
            found.append(f"a report of {run}, which lies outside: code {code}: {said[-200:]}")
    return found + _whole(folder)


def _whole(folder: Path) -> list[str]:
    """The plant file as it ships must pass, or a refusal says nothing."""
    code, said = _check(folder, "as it ships", lambda text: text)
    return [] if code == 0 else [f"the plant file as it ships: code {code}: {said[-200:]}"]


def _check(folder: Path, name: str, spoil: Spoil) -> tuple[int, str]:
    shipped = find_plant(PLANT)
    place = folder / name.replace(" ", "-")
    place.mkdir(parents=True)
    (place / "plant.yaml").write_text(spoil(shipped.read_text("utf-8")), encoding="utf-8")
    truth = shipped.with_name(f"{shipped.stem}.truth.yaml")
    (place / "plant.truth.yaml").write_text(truth.read_text("utf-8"), encoding="utf-8")
    return twin_says("check", str(place / "plant.yaml"))


def twin_says(*arguments: str) -> tuple[int, str]:
    """One command: its code (−1 if it took too long) and all it said."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    command = [sys.executable, "-m", "twin.cli", *arguments]
    try:
        done = subprocess.run(  # noqa: S603  (our own command line)
            command,
            capture_output=True,
            timeout=SOON_S,
            check=False,
            preexec_fn=limited,
        )
    except subprocess.TimeoutExpired:
        return -1, f"no answer within {SOON_S:g} s"
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")
