"""The tuned constant setpoints of a plant, as a run takes them from the file beside its plant."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.problems import DAMAGED, Problem

if TYPE_CHECKING:
    from twin.cli.shift import Shift
    from twin.config import Plant, TunedPoint

PACKAGES = ("twin", "controllers")
ENOUGH_POINTS, ENOUGH_SHIFTS = 500, 20
"""A search of less than so many points on so many shifts has found no rival worth beating."""
ENOUGH_CHOICES, ENOUGH_RULE_SHIFTS = 60, 10
"""The same of rules: with one to three thresholds a search ends by itself before so many choices."""
NO_RIVAL = "always_on"
"""What is shown beside the others to tell how much there is to save."""
FAR = 0.051
"""Utilisations further apart than this are other work for a line."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Setpoints to compare with and to start from, and in words what speaks against them."""

    point: TunedPoint
    doubt: str = ""

    def __post_init__(self) -> None:
        # Their order goes into decisions, and a manifest keeps its keys sorted: so does a run.
        ordered = dict(sorted(self.point.setpoints.items()))
        object.__setattr__(self, "point", self.point.model_copy(update={"setpoints": ordered}))

    def record(self) -> dict[str, object]:
        """For the manifest of a run: the point as it was used."""
        from twin.cli.policy_files import kept_in

        point = kept_in(self.point, None)
        empty = {name for name in ("thresholds", "policies") if not getattr(point, name)}
        return point.model_dump(mode="json", exclude=empty)


def inputs_sha256(shift: Shift, point: TunedPoint) -> str:
    """Of the true line and the tuned point: all that moves a shift and is not in the plant file.

    Not of their files, so that a comment, or the log of a search, is no other line. A policy has a hash of its
    own.
    """
    from twin.config import load_truth

    truth = load_truth(shift.place, shift.plant).model_dump(mode="json")
    tuned = point.model_dump(mode="json", exclude={"policies"})
    text = json.dumps({"truth": truth, "tuned": tuned}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_sha256() -> str:
    """Of the sources of twin and controllers as they are installed here: another code is another controller."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
                digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def tuned_path(plant_file: Path) -> Path:
    """Where the setpoints of a plant file are."""
    return plant_file.with_name(f"{plant_file.stem}.fixed.json")


def rules_path(plant_file: Path) -> Path:
    """Where the thresholds of the rules are."""
    return plant_file.with_name(f"{plant_file.stem}.rules.json")


def baseline(
    place: str, plant: Plant, utilisation: float, variant: str, drivers: Sequence[str] = ()
) -> Baseline:
    """The tuned point for the nearest utilisation, with the rules' thresholds and the policies there are.

    The recipe where no point fits this plant. Of rules among the controllers that are to drive it is a doubt
    if nobody has searched their thresholds. Raises ``Problem`` for a file that cannot be what
    ``twin tune`` wrote.
    """
    from twin.cli.policy_files import found_policies
    from twin.config import find_plant

    found, path = _fixed(place, plant, utilisation, variant), rules_path(find_plant(place))
    if policies := found_policies(find_plant(place)):
        found = replace(found, point=found.point.model_copy(update={"policies": policies}))
    thresholds: dict[str, dict[str, float]] = {}
    doubt = ""
    if path.is_file():
        thresholds, doubt = _thresholds(path, place, plant, utilisation, variant)
    if thresholds or not doubt:  # else none is used, and that is said already
        doubt = "; ".join(one for one in (doubt, _untuned_rules(place, drivers, thresholds)) if one)
    point = found.point.model_copy(update={"thresholds": thresholds})
    return Baseline(point, "; ".join(one for one in (found.doubt, doubt) if one))


def _untuned_rules(
    place: str, drivers: Sequence[str], thresholds: Mapping[str, Mapping[str, float]]
) -> str:
    """That rules which are to drive have thresholds of their own still; empty where none has."""
    from twin.plugins import find_controller

    factories = {name: find_controller(name) for name in drivers if name != NO_RIVAL}
    missing = [
        name
        for name, factory in factories.items()
        if getattr(factory, "thresholds", ()) and getattr(factory, "rule", name) not in thresholds
    ]
    if not missing:
        return ""
    advice = f"to search them: twin tune {shlex.quote(place)} --rules"
    return f"nobody has searched the thresholds of {', '.join(missing)} for this plant; {advice}"


def _thresholds(
    path: Path, place: str, plant: Plant, utilisation: float, variant: str
) -> tuple[dict[str, dict[str, float]], str]:
    """The rules' thresholds for the nearest utilisation, and what speaks against them."""
    from twin.config import PlantError, load_tuned_rules
    from twin.config.tuned import nearest

    advice = f"to search them: twin tune {shlex.quote(place)} --rules"
    try:
        tuned = load_tuned_rules(place, plant)
        near = nearest(tuned.points, utilisation)
    except PlantError as error:
        if isinstance(error.__cause__, PlantError):  # a whole file, but of another plant
            return {}, f"{path.name}: {error.message}; the rules' own thresholds hold; {advice}"
        raise Problem("damaged", str(error), f"remove it; {advice}", code=DAMAGED) from error
    except ValueError as error:
        msg = f"{path}: holds no tuned thresholds ({error})"
        raise Problem("damaged", msg, f"remove it; {advice}", code=DAMAGED) from error
    doubts = [f"for the variant {tuned.variant}"] if tuned.variant != variant else []
    if tuned.evaluations < ENOUGH_CHOICES or len(tuned.seeds) < ENOUGH_RULE_SHIFTS:
        doubts.append(f"with {tuned.evaluations} choices on {len(tuned.seeds)} shifts alone")
    if abs(float(near) - utilisation) > FAR:
        doubts.append(f"for a utilisation of {near}")
    doubt = f"{path.name} was tuned {' and '.join(doubts)}; {advice}" if doubts else ""
    return tuned.at(utilisation), doubt


def _fixed(place: str, plant: Plant, utilisation: float, variant: str) -> Baseline:
    """The tuned constant setpoints for the nearest utilisation."""
    from twin.config import PlantError, find_plant, load_tuned, untuned

    path = tuned_path(find_plant(place))
    advice = f"to search them: twin tune {shlex.quote(place)}"
    if not path.is_file():
        return Baseline(untuned(plant), f"nobody has tuned this plant, its recipe holds; {advice}")
    try:
        tuned = load_tuned(place, plant)
        point = tuned.at(utilisation)
    except PlantError as error:
        if isinstance(error.__cause__, PlantError):  # a whole file, but of another plant
            doubt = f"{path.name}: {error.message}; the recipe holds; {advice}"
            return Baseline(untuned(plant), doubt)
        hint = f"remove it; {advice}"
        raise Problem("damaged", str(error), hint, code=DAMAGED) from error
    except ValueError as error:
        msg = f"{path}: holds no tuned point ({error})"
        raise Problem("damaged", msg, f"remove it; {advice}", code=DAMAGED) from error
    doubts = [f"for the variant {tuned.variant}"] if tuned.variant != variant else []
    if tuned.evaluations < ENOUGH_POINTS or len(tuned.seeds) < ENOUGH_SHIFTS:
        doubts.append(f"with {tuned.evaluations} points on {len(tuned.seeds)} shifts alone")
    near = next(share for share, held in tuned.points.items() if held is point)
    if abs(float(near) - utilisation) > FAR:
        doubts.append(f"for a utilisation of {near}")
    return Baseline(
        point, f"{path.name} was tuned {' and '.join(doubts)}; {advice}" if doubts else ""
    )
