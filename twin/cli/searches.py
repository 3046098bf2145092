"""The files of searches beside a plant: begun, gone on with, and replaced as a whole."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from twin.cli.problems import CONFLICT, Problem
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from twin.config import Tuned, TunedRules

TUNING = "controllers.tuning"
Search = TypeVar("Search", "Tuned", "TunedRules")
FOUND = {"points", "begins"}
"""What a search has found and been given; all else says which search it is."""


def tell(what: str, count: int, least: float) -> None:
    """How far a search is: in place on a terminal, else now and then a line."""
    import sys

    if sys.stderr.isatty():
        typer.echo(f"\r{what}: {count} points, best {least:.4f} EUR a part ", err=True, nl=False)
    elif count % 50 == 0:
        typer.echo(f"{what}: {count} points, best {least:.4f} EUR", err=True)


def begun(
    path: Path,
    shift: Shift,
    levels: Sequence[float],
    shifts: int | None,
    evaluations: int,
    kind: type[Search],
    selection_shifts: int | None = None,
    *,
    anew: bool = False,
) -> Search:
    """What the file holds for this very plant, variant and search, to go on with; ``anew`` without these ``levels``.

    What was searched for an earlier form of this plant file will be replaced. Raises ``Problem`` for another search
    of this one, which may have been longer, and for one of another plant, unless it is to begin ``anew``; and for a
    file that holds no search at all.
    """
    from twin.cli.results import versions
    from twin.config.tuned import tuning_hash

    tuning = importlib.import_module(TUNING)
    empty = kind(
        plant=shift.plant.name,
        plant_hash=tuning_hash(shift.plant),
        variant=shift.variant,
        seeds=tuple(tuning.TUNING_SEEDS[:shifts]),
        selection_seeds=tuple(tuning.SELECTION_SEEDS[:selection_shifts]),
        evaluations=evaluations,
        versions=versions(),
        points={},
    )
    if not path.is_file():
        return empty
    try:
        held = kind.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        msg, hint = f"{path} is there, and holds no search", "name another file, or remove this one"
        raise Problem("conflict", msg, hint, code=CONFLICT) from error
    is_same = held.model_dump(exclude=FOUND) == empty.model_dump(exclude=FOUND)
    if is_same and not anew:
        return held
    is_earlier = held.plant == empty.plant and held.plant_hash != empty.plant_hash
    if held.points and not is_earlier and not anew:
        msg = f"{path} holds another search: {_told(held)}; this one: {_told(empty)}"
        hint = "--to FILE puts this one elsewhere, --anew puts it in its place, the same options go on with it"
        raise Problem("conflict", msg, hint, code=CONFLICT)
    asked = {repr(level) for level in levels}
    kept = {level: held.points[level] for level in held.points if is_same and level not in asked}
    what = f"utilisation {', '.join(sorted(asked))} in {path}" if kept else f"{path}"
    typer.echo(f"{what} will be replaced", err=True)
    return empty.model_copy(update={"points": kept, **_handed_on(held, kept, empty)})


def _handed_on(
    held: Tuned | TunedRules, kept: Collection[str], to: Tuned | TunedRules
) -> dict[str, object]:
    """The setpoints that another search of this very plant and variant loses by being replaced."""
    from twin.config import Tuned

    is_of_this = held.plant_hash == to.plant_hash and held.variant == to.variant
    if not is_of_this or not isinstance(held, Tuned):
        return {}
    lost = sorted(held.points.keys() - set(kept), key=float)
    return {"begins": tuple(held.points[level].setpoints for level in lost)}


def _told(search: Tuned | TunedRules) -> str:
    levels = ", ".join(sorted(search.points, key=float))
    of = f" for utilisation {levels}" if levels else ""
    packages = ", ".join(f"{name} {version}" for name, version in search.versions.items())
    return (
        f"{search.plant}, {search.evaluations} points on {len(search.seeds)} shifts{of}, variant {search.variant}, "
        f"by {packages}"
    )


def write(path: Path, tuned: Tuned | TunedRules) -> None:
    """Replace the file as a whole."""
    from twin.config import Tuned
    from twin.store.run_folder import stable_json

    # A point's thresholds are kept in a file of their own, and so are policies.
    without = (
        {"points": {"__all__": {"thresholds", "policies"}}} if isinstance(tuned, Tuned) else None
    )
    _replace(path, stable_json(tuned.model_dump(mode="json", exclude=without), path.name))


def refuse_other_log(path: Path) -> None:
    """``Problem`` for a file in the place of the log that is none, before a search that would write there."""
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8", newline="") as file:
            is_log = file.readline().startswith("utilisation,eur_per_part,")
    except (OSError, ValueError):
        is_log = False
    if not is_log:
        msg = f"the log of the search would go to {path}, which is another file"
        raise Problem("conflict", msg, "name another file with --to", code=CONFLICT)


def write_log(path: Path, tried: Sequence[Mapping[str, float]], levels: Collection[str]) -> None:
    """A row for each point that was tried at one utilisation, after those of the other ``levels`` that hold.

    All rows have the same columns, ``utilisation`` among them.
    """
    import csv
    from io import StringIO

    new = [{name: repr(float(value)) for name, value in row.items()} for row in tried]
    kept: list[dict[str, str]] = []
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            held = set(levels) - {row["utilisation"] for row in new}
            kept = [row for row in csv.DictReader(file) if row["utilisation"] in held]
    text = StringIO()
    writer = csv.DictWriter(text, list(new[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows([*kept, *new])
    _replace(path, text.getvalue())


def _replace(path: Path, text: str) -> None:
    import os

    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
