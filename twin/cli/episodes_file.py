"""The lines of an evaluation: one a shift, written as it ends, read when it is called again."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from twin.cli.problems import CONFLICT, DAMAGED, Problem

if TYPE_CHECKING:
    from twin.cli.episode import Episode
    from twin.cli.shift import Shift

EPISODES = "episodes.jsonl"
FIGURES, TABLES, PAGE, BOARD = "evaluation.json", "report.md", "report.html", "LEADERBOARD.md"
"""What is made of them, beside them."""
Record = dict[str, Any]
Key = tuple[Any, ...]


def key_of(one: Record) -> Key:
    """What distinguishes a line from all others of one plant, as ``Episode.key``."""
    return tuple(one[key] for key in ("controller", "scenario", "utilisation", "variant", "seed"))


def keeper(path: Path) -> Callable[[Record], None]:
    """Writes each record as a line that is on disk before the next one; file and folder come with the first."""

    def keep(record: Record) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, sort_keys=True) + "\n")

    return keep


def refuse_foreign(folder: Path) -> None:
    """``Problem`` for a folder with the files of a run, or with reports that no evaluation has left there."""
    from twin.store.run_folder import MANIFEST

    held = [name for name in (MANIFEST, FIGURES, TABLES, PAGE, BOARD) if (folder / name).exists()]
    if held and not (folder / EPISODES).is_file():
        msg = f"{folder} holds something else: {held[0]}, and no {EPISODES}"
        raise Problem("conflict", msg, "name another --out", code=CONFLICT)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """The folder is there, takes files, and nobody else's evaluation writes in it; an empty one does not stay.

    ``OSError`` where no shift could be kept, ``Problem`` where another process keeps its own.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
            yield
        finally:
            for one in made:
                if not any(one.iterdir()):
                    one.rmdir()
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    msg = f"another evaluation is at work in {folder}"
    busy = Problem("conflict", msg, "wait for it, or name another --out", code=CONFLICT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise busy from error
    except OSError as error:  # file systems of a network may lock no folder
        typer.echo(
            f"note: {folder} cannot be locked ({error.strerror}): let one evaluation at a time work in it",
            err=True,
        )
        return
    if not folder.is_dir() or not os.path.samestat(os.fstat(handle), folder.stat()):
        raise busy  # which has just taken away what it had made


def held_lines(path: Path) -> Iterator[tuple[int, Record]]:
    """The lines of a file by number. ``Problem`` for one that is no shift."""
    from twin.feedback.evaluation import refuse_unreadable

    for n, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            one = json.loads(line, parse_constant=_refused)
            key_of(one)
            refuse_unreadable(one)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            hint = "remove that line: its shift is played again when twin evaluate is called"
            msg = f"{path}:{n} is no shift of an evaluation"
            raise Problem("damaged", msg, hint, code=DAMAGED) from error
        yield n, one


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def held(path: Path, shift: Shift) -> dict[Key, Record]:
    """The episodes that a file holds. A last line that was cut off is taken out, and told of."""
    if not path.is_file():
        return {}
    lines = path.read_bytes()
    whole = lines.rfind(b"\n") + 1
    if whole < len(lines):
        os.truncate(path, whole)  # at no instant is one of the others missing
        typer.echo("note: one shift was cut off and is played again", err=True)
    found = {}
    for n, one in held_lines(path):
        if one["plant_hash"] != shift.plant.config_hash or one["shift_h"] != shift.hours:
            msg = f"{path}:{n} was played with another plant file, or another length of shift"
            raise Problem("conflict", msg, "name another --out", code=CONFLICT)
        if key_of(one) in found:
            msg = f"{path}:{n} is a shift that stands there before"
            raise Problem("damaged", msg, "remove one of the two lines", code=DAMAGED)
        found[key_of(one)] = one
    return found


def refuse_others(there: Mapping[Key, Record], asked: Sequence[Episode]) -> None:
    """``Problem`` for a shift that was driven otherwise: by another policy, true line or tuned point."""
    from twin.cli.tuned import baseline, code_sha256, inputs_sha256

    inputs: dict[float, str] = {}
    for episode in asked:
        one, shift = there.get(episode.key), episode.shift
        if one is None:
            continue
        refuse_another_policy(one, episode)
        if one.get("code_sha256") != code_sha256():
            msg = f"{episode.controller} has driven seed {shift.seed} with another version of this code"
            raise Problem("conflict", msg, "name another --out", code=CONFLICT)
        level = shift.demanded
        if level not in inputs:
            point = baseline(shift.place, shift.plant, level, shift.variant).point
            inputs[level] = inputs_sha256(shift, point)
        if one.get("inputs_sha256") != inputs[level]:  # unknown is not the same
            msg = f"{episode.controller} has driven seed {shift.seed} with another truth, or other tuned setpoints"
            raise Problem("conflict", msg, "name another --out", code=CONFLICT)


def versions_doubt(lines: Sequence[Record]) -> str:
    """That shifts were not all played by the same packages, with those that differ; empty if they were."""
    told = [one.get("versions") or {} for one in lines]
    names = sorted({name for versions in told for name in versions})
    apart = []
    for name in names:
        found = sorted({str(versions.get(name, "unknown")) for versions in told})
        if len(found) > 1:
            apart.append(f"{name} {' and '.join(found)}")
    return f"shifts were played by different versions: {', '.join(apart)}" if apart else ""


def refuse_another_policy(one: Record, episode: Episode) -> None:
    """``Problem`` for a shift that was driven by another policy under the same name.

    The same network in another role is another one, and so is one of which the line does not say its role.
    """
    names = ("sha256", "behaviour_sha256")
    told, played = one.get("policy"), episode.policy
    theirs = told and tuple(told.get(name) for name in names)
    ours = None if played is None else tuple(getattr(played, name) for name in names)
    if theirs != ours:
        msg = f"{episode.controller} has driven seed {episode.shift.seed} with another policy"
        raise Problem("conflict", msg, "name another --out", code=CONFLICT)
