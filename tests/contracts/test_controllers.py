"""Every installed controller keeps the contract on every shipped plant."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.twin.analyze.in_step import PLANTS, drive, loop_of, nominal, plc_of, tampered, true
from twin.config import plant_names, untuned
from twin.cycle import Action, Reading, Situation
from twin.plugins import ControllerError, check_controller, controller_names, find_controller
from twin.protocols import Controller
from twin.signals import Quality

TURNS = 10


class Keeping:
    """A simple controller that keeps what it has seen."""

    def __init__(self) -> None:
        self.seen: list[Situation] = []

    def decide(self, situation: Situation) -> Action:
        self.seen.append(situation)
        takt_s = situation.active["line.takt_s"]
        return Action({"line.takt_s": takt_s + 1.0})


@cache
def situations(plant: str) -> tuple[Situation, ...]:
    """Those of a short closed course: from the first moment on, with instruments that fail."""
    keeping = Keeping()
    loop, plc = loop_of(keeping, line=nominal(plant)), plc_of(true(plant))
    names = [s.name for s in loop.signals if s.name.endswith((".power_kw", ".last_cycle_s"))]

    def ill(n: int, reading: Reading) -> Reading:
        return tampered(loop, reading, status=dict.fromkeys(names, Quality.BAD) if n == 5 else {})

    drive(plc, loop, TURNS, tamper=ill)
    return tuple(keeping.seen)


def maker(name: str, plant: str, folder: Path) -> Callable[[], Controller]:
    """Makes the controller with the recipe; one that runs a policy with such as nobody has trained."""
    line, make = nominal(plant), find_controller(name)
    tuned = untuned(line.plant)
    if getattr(make, "needs_bundle", False):
        pytest.importorskip("torch")
        from tests.controllers.policy.bundles import bundle, placed, point

        base = "fixed" if name == "residual" else None
        tuned = point(plant, name, placed(bundle(plant, base=base), folder / "it.policy"))
    return lambda: make(line, tuned)


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", controller_names())
def test_an_installed_controller_keeps_the_contract(name: str, plant: str, tmp_path: Path) -> None:
    before = len(situations(plant))
    assert before == TURNS
    check_controller(maker(name, plant, tmp_path), situations(plant))


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", controller_names())
def test_it_asks_and_says_why(name: str, plant: str, tmp_path: Path) -> None:
    action = maker(name, plant, tmp_path)().decide(situations(plant)[0])
    assert action.setpoints
    assert action.reason
    assert action.status


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", controller_names())
def test_it_has_a_say_about_whatever_sleeps_by_request(
    name: str, plant: str, tmp_path: Path
) -> None:
    """A PLC keeps a standby until somebody asks otherwise, so who takes over must."""
    first = situations(plant)[0]
    asleep = {mv for mv in first.active if mv.endswith(".standby")}
    assert asleep
    found = replace(first, active={**first.active, **dict.fromkeys(asleep, 1.0)})
    assert asleep <= maker(name, plant, tmp_path)().decide(found).setpoints.keys()


def test_every_shipped_plant_is_tried() -> None:
    assert set(PLANTS) == set(plant_names())


class Late:
    """Well behaved for a while, then it does ``what``."""

    def __init__(self, what: Callable[[Situation], Action]) -> None:
        self._what, self._turns = what, 0

    def decide(self, situation: Situation) -> Action:
        self._turns += 1
        return self._what(situation) if self._turns > 6 else Action({})


def tampering(situation: Situation) -> Action:
    situation.active["line.takt_s"] += 1.0  # type: ignore[index]
    return Action({})


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        (lambda _: Action({"line.takt_s": math.nan}), "nan is not a finite number"),
        (lambda _: Action({"line.good_count": 5.0}), "is no MV of this plant"),
        (tampering, "changes the situation"),
        (lambda _: Action({"line.takt_s": 1.0 / 0.0}), "raises ZeroDivisionError"),
    ],
)
def test_a_fault_that_shows_late_is_found_with_its_time(
    what: Callable[[Situation], Action], complaint: str
) -> None:
    situations.cache_clear()  # one of these spoils them
    seen = situations("molding_cell")
    at = rf"^at {seen[6].time_s:g} s: .*{complaint}"
    with pytest.raises(ControllerError, match=at):
        check_controller(lambda: Late(what), seen)
    situations.cache_clear()


def test_a_controller_that_counts_across_its_copies_is_found() -> None:
    made: list[Late] = []

    def make() -> Late:
        takt_s = 80.0 + len(made)
        made.append(Late(lambda _: Action({"line.takt_s": takt_s})))
        return made[-1]

    with pytest.raises(ControllerError, match="a second fresh controller asks for"):
        check_controller(make, situations("machining_line"))
