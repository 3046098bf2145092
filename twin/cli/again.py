"""Rows of a leaderboard played again: from plant, seeds and policy alone, compared bit for bit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.cli.contenders import TrainedPolicy, policy_of
from twin.cli.episodes_file import EPISODES, FIGURES, Record, held_lines, key_of
from twin.cli.problems import CONFLICT, Problem

if TYPE_CHECKING:
    from twin.cli.episode import Episode
    from twin.cli.shift import Shift

NOT_COMPARED = ("command", "doubt", "plant", "timing", "versions")
"""Of a line: where the plant file was (a doubt names it), how long it took, with which packages. All else is."""
MOST_TOLD = 5


def chosen_lines(
    folder: Path, row: int | None, episode: int | None
) -> tuple[str, dict[int, Record]]:
    """The lines that a row of the leaderboard rests on, or one line of the file; and what they are called.

    ``Problem`` where there is no such row or line, and where a row does not follow from its lines.
    """
    path = folder / EPISODES
    if not path.is_file():
        raise Problem("usage", f"{folder} holds no evaluation", f"name a folder with {EPISODES}")
    lines = dict(held_lines(path))
    if episode is not None:
        if episode not in lines:
            raise Problem("usage", f"{path} has no line {episode}", f"it has 1 to {len(lines)}")
        return f"line {episode}", {episode: lines[episode]}
    board = _board(folder)
    found = next((one for one in board["rows"] if one["row"] == row), None)
    if found is None:
        hint = f"it has 1 to {len(board['rows'])}; or one line of {EPISODES}: --episode N"
        raise Problem("usage", f"the leaderboard of {folder} has no row {row}", hint)
    _check_row(found, board, list(lines.values()))
    own = {n: one for n, one in lines.items() if _is_of(one, board, found["contenders"])}
    return f"row {row}, {found['controller']}", own


def _board(folder: Path) -> dict[str, Any]:
    from twin.store.run_folder import RunFolder

    report = RunFolder(folder).read_json(FIGURES)
    if not isinstance(report, dict) or "leaderboard" not in report:
        hint = (
            "call twin evaluate once more with this --out: shifts that are there are not run again"
        )
        raise Problem("usage", f"{folder} holds no leaderboard", hint)
    board: dict[str, Any] = report["leaderboard"]
    return board


def _is_of(one: Record, board: Mapping[str, Any], names: Sequence[str]) -> bool:
    cell = {key: one[key] for key in ("scenario", "utilisation", "variant")}
    return one["controller"] in names and cell in board["cells"] and one["seed"] in board["seeds"]


def _check_row(row: Mapping[str, Any], board: Mapping[str, Any], lines: Sequence[Record]) -> None:
    """Whether the leaderboard says what follows from the lines."""
    from twin.feedback.leaderboard import standings

    lines = [one for one in lines if _is_of(one, board, board["contenders"])]
    again = {one["controller"]: one for one in standings(lines)["rows"]}
    ours = _text({key: value for key, value in again[row["controller"]].items() if key != "timing"})
    if ours != _text({key: value for key, value in row.items() if key != "timing"}):
        msg = f"row {row['row']} does not follow from {EPISODES}: one of the two was changed"
        raise Problem(
            "conflict", msg, "call twin evaluate once more with this --out", code=CONFLICT
        )


def episode_of(one: Record, place: str | None) -> Episode:
    """The shift of a line, to be played again. ``Problem`` where plant or policy are not those of then."""
    from twin.cli.episode import Episode
    from twin.cli.shift import Shift

    place = place or one.get("plant")
    if place is None:
        raise Problem("usage", "these lines do not name their plant", "give it as PLANT")
    shift = Shift(
        place,
        one["seed"],
        one["shift_h"],
        one["scenario"],
        one["variant"],
        one["utilisation"],
        engine="auto",
    )
    if shift.plant.config_hash != one["plant_hash"]:
        msg = f"{place} has hash {shift.plant.config_hash}, the line has {one['plant_hash']}"
        raise Problem("conflict", msg, "give the plant file of then as PLANT", code=CONFLICT)
    _check_inputs(one, shift)
    return Episode(shift, one["controller"], _policy(one.get("policy")))


def _check_inputs(one: Record, shift: Shift) -> None:
    """Lines that were written before the hash was say nothing; their figures are compared all the same."""
    from twin.cli.tuned import baseline, inputs_sha256

    point = baseline(shift.place, shift.plant, shift.demanded, shift.variant).point
    if "inputs_sha256" in one and one["inputs_sha256"] != inputs_sha256(shift, point):
        msg = f"truth or tuned setpoints beside {shift.place} are not those of the line"
        raise Problem("conflict", msg, "put the files of then beside the plant file", code=CONFLICT)


def _policy(told: Mapping[str, Any] | None) -> TrainedPolicy | None:
    if told is None:
        return None
    found, hint = policy_of(Path(told["path"])), "put the bundle of then in its place"
    if found.sha256 != told["sha256"]:
        msg = f"{found.path} holds policy {found.sha256[:12]}, the line has {told['sha256'][:12]}"
        raise Problem("conflict", msg, hint, code=CONFLICT)
    behaviour = told.get("behaviour_sha256", "")
    if behaviour not in {"", found.behaviour_sha256}:
        msg = f"{found.path} holds policy {found.sha256[:12]} in another role, or with another training range"
        raise Problem("conflict", msg, hint, code=CONFLICT)
    # A line that was written before this was noted says nothing of it; its figures are compared all the same.
    return replace(found, behaviour_sha256=behaviour)


def difference(recorded: Record, computed: Record) -> dict[str, str] | None:
    """The first value in which a line differs from the shift played again; None if none does."""
    from twin.cli.replay import first_difference

    ours = json.loads(_text(computed))
    held = [key for key in sorted(recorded) if key not in NOT_COMPARED]
    return first_difference(
        {key: recorded[key] for key in held}, {key: ours.get(key) for key in held}
    )


def told(what: str, lines: Mapping[int, Record], played: Sequence[Record]) -> dict[str, Any]:
    """What came of it: how many shifts, and those that differ with the first value that does."""
    found = []
    for (n, one), again in zip(lines.items(), played, strict=True):
        apart = difference(one, again)
        if apart is not None:
            found.append({"line": n, "shift": list(key_of(one)), **apart})
    versions = {_text(one.get("versions")) for one in (*lines.values(), *played)}
    return {
        "what": what,
        "shifts": len(lines),
        "different": found,
        "same_versions": len(versions) == 1,
    }


def sentences(found: Mapping[str, Any]) -> list[str]:
    """The same in words."""
    apart = found["different"]
    if not apart:
        return [f"{found['what']}: {found['shifts']} shifts played again, all equal, bit for bit"]
    said = [f"{found['what']}: {len(apart)} of {found['shifts']} shifts are different"]
    for one in apart[:MOST_TOLD]:
        shift = ", ".join(map(str, one["shift"]))
        said.append(
            f"  line {one['line']} ({shift}): {one['what']}: "
            f"recorded {one['recorded']}, computed {one['computed']}"
        )
    if not found["same_versions"]:
        said.append("  the packages are of other versions than then")
    return said


def _text(data: object) -> str:
    return json.dumps(data, sort_keys=True)
