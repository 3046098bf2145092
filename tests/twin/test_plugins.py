"""Controllers by name, and the check that finds those which break the contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from tests.twin.analyze.in_step import drive, loop_of, nominal, plc_of
from twin import plugins
from twin.config import untuned
from twin.cycle import Action, Situation
from twin.plugins import (
    ControllerError,
    UnknownPluginError,
    check_controller,
    controller_names,
    find_controller,
)
from twin.protocols import Controller

TAKT = "line.takt_s"


class Watching:
    """Asks for nothing and keeps what it has seen."""

    def __init__(self) -> None:
        self.seen: list[Situation] = []

    def decide(self, situation: Situation) -> Action:
        self.seen.append(situation)
        return Action({})


@cache
def situations() -> tuple[Situation, ...]:
    watching = Watching()
    drive(plc_of(nominal("machining_line")), loop_of(watching), 24)
    return tuple(watching.seen[::6])


class Doing:
    """A controller made of one function."""

    def __init__(self, what: Callable[[Situation], object]) -> None:
        self.what = what

    def decide(self, situation: Situation) -> Any:
        return self.what(situation)


def check(what: Callable[[Situation], object]) -> None:
    check_controller(lambda: Doing(what), situations())


def asking(setpoints: Mapping[str, Any]) -> Callable[[Situation], Action]:
    return lambda _: Action(setpoints)


def test_the_built_in_controllers_are_installed() -> None:
    built_in = {
        "fixed",
        "mpc",
        "rules",
        "always_on",
        "timeout",
        "full_pace",
        "pi",
        "upstream",
        "n_policy",
        "opportunity",
    }
    assert built_in <= set(controller_names())
    assert list(controller_names()) == sorted(controller_names())


def test_a_controller_is_found_by_its_name() -> None:
    line = nominal("machining_line")
    for name in ("rules", "timeout"):
        assert isinstance(find_controller(name)(line, untuned(line.plant)), Controller)


def test_an_unknown_name_is_answered_by_the_known_ones() -> None:
    with pytest.raises(UnknownPluginError, match=r"'best'; installed: always_on, .*timeout"):
        find_controller("best")


def test_a_third_party_comes_through_the_same_door(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("watching", "collections:OrderedDict", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda **_: (entry,))
    assert controller_names() == ("watching",)
    assert find_controller("watching").__name__ == "OrderedDict"


def test_a_controller_that_keeps_the_contract_passes() -> None:
    check(asking({}))
    check(lambda _: Action({TAKT: 80.0, "turning.standby": 1.0}, "a test"))
    check(lambda s: Action(dict(s.active)))


def test_nothing_to_check_is_no_check() -> None:
    with pytest.raises(ValueError, match="at least one situation"):
        check_controller(Watching, ())


def forgetting_to_copy(situation: Situation) -> Action:
    situation.estimate.state.floats[3] += 1.0
    return Action({})


def writing_into_the_observation(situation: Situation) -> Action:
    situation.observation.values[0] = 5.0
    situation.observation.values[0] = -0.0
    return Action({})


def moving_the_forecast(situation: Situation) -> Action:
    for series in situation.forecast.mean.values():
        series[:] = series + 1.0
    return Action({})


@pytest.mark.parametrize("what", [forgetting_to_copy, moving_the_forecast])
def test_a_situation_is_for_looking_only(what: Callable[[Situation], Action]) -> None:
    situations.cache_clear()  # these are not fit for another test
    with pytest.raises(ControllerError, match="changes the situation"):
        check(what)
    situations.cache_clear()


def test_the_observation_cannot_be_written_into() -> None:
    with pytest.raises(ControllerError, match="read-only"):
        check(writing_into_the_observation)


@pytest.mark.parametrize("value", [math.nan, math.inf, "80"])
def test_what_is_asked_for_must_be_a_number(value: object) -> None:
    with pytest.raises(ControllerError, match=r"line\.takt_s = .* is not a finite number"):
        check(asking({TAKT: value}))


@pytest.mark.parametrize("name", ["line.takt", "line.wip", "control.mode"])
def test_what_is_asked_for_must_be_a_manipulated_variable(name: str) -> None:
    with pytest.raises(ControllerError, match=rf"'{name}' is no MV of this plant; .*line\.takt_s"):
        check(asking({name: 1.0}))


def test_an_action_is_an_action() -> None:
    with pytest.raises(ControllerError, match="returns dict, not an Action"):
        check(lambda _: {TAKT: 80.0})
    with pytest.raises(ControllerError, match="has no method decide"):
        check_controller(object, situations())  # type: ignore[arg-type]


def test_luck_of_its_own_is_found() -> None:
    calls = [0]

    def counting(situation: Situation) -> Action:
        calls[0] += 1
        return Action({TAKT: 80.0 + calls[0]})

    with pytest.raises(ControllerError, match="a second fresh controller asks for"):
        check(counting)


def test_a_disturbance_may_be_missing() -> None:
    def trusting(situation: Situation) -> Action:
        prices = situation.forecast.mean["env.price_eur_per_mwh"]
        return Action({TAKT: 80.0 + int(situation.observation["env.ambient_c"]) + 0.0 * prices[0]})

    with pytest.raises(ControllerError, match=r"at 0 s without disturbances: decide\(\) raises"):
        check(trusting)
