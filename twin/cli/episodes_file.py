"""The lines of an evaluation: one a shift, written as it ends, read when it is called again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.cli.problems import CONFLICT, DAMAGED, Problem

if TYPE_CHECKING:
    from io import TextIOWrapper

    from twin.cli.episode import Episode
    from twin.cli.shift import Shift

EPISODES = "episodes.jsonl"
Record = dict[str, Any]
Key = tuple[Any, ...]


def key_of(one: Record) -> Key:
    """What distinguishes a line from all others of one plant, as ``Episode.key``."""
    return tuple(one[key] for key in ("controller", "scenario", "utilisation", "variant", "seed"))


def keeper(file: TextIOWrapper) -> Callable[[Record], None]:
    """Writes each record as a line that is on disk before the next one."""

    def keep(record: Record) -> None:
        file.write(json.dumps(record, sort_keys=True) + "\n")
        file.flush()

    return keep


def held_lines(path: Path) -> Iterator[tuple[int, Record]]:
    """The lines of a file by number. ``Problem`` for one that is no shift."""
    for n, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            one = json.loads(line)
            key_of(one)
        except (ValueError, KeyError, TypeError) as error:
            hint = "remove that line, or name another --out"
            msg = f"{path}:{n} is no shift of an evaluation"
            raise Problem("damaged", msg, hint, code=DAMAGED) from error
        yield n, one


def held(path: Path, shift: Shift) -> dict[Key, Record]:
    """The episodes that a file holds. A last line that was cut off is played again."""
    if not path.is_file():
        return {}
    lines = path.read_text("utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines[:-1]), "utf-8")
    found = {}
    for n, one in held_lines(path):
        if one["plant_hash"] != shift.plant.config_hash or one["shift_h"] != shift.hours:
            msg = f"{path}:{n} was played with another plant file, or another length of shift"
            raise Problem("conflict", msg, "name another --out", code=CONFLICT)
        found[key_of(one)] = one
    return found


def refuse_another_policy(one: Record, episode: Episode) -> None:
    """``Problem`` for a shift that was driven by another policy under the same name."""
    theirs = one.get("policy") and one["policy"]["sha256"]
    ours = None if episode.policy is None else episode.policy.sha256
    if theirs != ours:
        msg = f"{episode.controller} has driven seed {episode.shift.seed} with another policy"
        raise Problem("conflict", msg, "name another --out", code=CONFLICT)
