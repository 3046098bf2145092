"""Controllers by name: built-in ones and those of other packages come through the same door.

A package offers a controller by an entry point of the group ``takttwin.controllers``: a callable
that takes the nominal line and the tuned setpoints of the plant, and returns a ``Controller``.
`check_controller` is what it has to pass: the contract tests run it over the built-in ones, authors
of plug-ins over theirs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from twin.config import TunedPoint
from twin.cycle import Action, Situation
from twin.protocols import Controller
from twin.signals import Quality, Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROUP = "takttwin.controllers"
ControllerFactory = Callable[[Any, TunedPoint], Controller]


class UnknownPluginError(ValueError):
    """No installed package offers a controller of that name."""


class ControllerError(Exception):
    """A controller does not do what the loop relies on."""


class RefusedError(Exception):
    """A controller will not work with what it was given: why not, and in ``hint`` what to do.

    A policy bundle of another plant, for example. It may travel between processes.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        """The reason alone."""
        return self.message


def controller_names() -> tuple[str, ...]:
    """All that are installed."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def find_controller(name: str) -> ControllerFactory:
    """The factory of a controller. Raises ``UnknownPluginError``."""
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            factory: ControllerFactory = entry.load()
            return factory
    message = f"there is no controller {name!r}; installed: {', '.join(controller_names())}"
    raise UnknownPluginError(message)


def check_controller(make: Callable[[], Controller], situations: Sequence[Situation]) -> None:
    """Raise `ControllerError` unless the controller behaves as the loop relies on.

    ``make`` gives a fresh controller, ``situations`` are some that follow each other, as a loop had
    them. In all of them it must ask for finite values of known MVs and leave the situation as it
    was; a second fresh one must ask for the same; a third one must do with no disturbance measured
    or forecast.
    """
    if not situations:
        raise ValueError("give at least one situation: without any, nothing is checked")
    first = _course(make(), situations, "")
    again = _course(make(), situations, "")
    for situation, one, other in zip(situations, first, again, strict=True):
        if one != other:
            where = f"at {situation.time_s:g} s"
            _fail(f"{where}: a second fresh controller asks for {other}, the first for {one}")
    unseen = [_without_disturbances(situation) for situation in situations]
    _course(make(), unseen, " without disturbances")


def _course(controller: object, situations: Sequence[Situation], how: str) -> list[Action]:
    """The actions of one controller, each of them checked."""
    if not isinstance(controller, Controller):
        msg = f"{type(controller).__name__} has no method decide(situation)"
        raise ControllerError(msg)
    actions = []
    for situation in situations:
        where = f"at {situation.time_s:g} s{how}"
        before = _contents(situation)
        try:
            action = controller.decide(situation)
        except Exception as error:
            msg = f"{where}: decide() raises {type(error).__name__}: {error}"
            raise ControllerError(msg) from error
        if _contents(situation) != before:
            _fail(f"{where}: decide() changes the situation; copy what you want to work on")
        actions.append(_checked(action, situation, where))
    return actions


def _checked(action: object, situation: Situation, where: str) -> Action:
    if not isinstance(action, Action):
        msg = f"{where}: decide() returns {type(action).__name__}, not an Action"
        raise ControllerError(msg)
    known = {signal.name for signal in situation.signals if signal.role is Role.MV}
    asked: Mapping[str, object] = action.setpoints
    for name, value in asked.items():
        if name not in known:
            _fail(f"{where}: {name!r} is no MV of this plant; it has: {', '.join(sorted(known))}")
        if not isinstance(value, float | int) or not abs(value) <= sys.float_info.max:
            _fail(f"{where}: {name} = {value!r} is not a finite number")
    return action


def _without_disturbances(situation: Situation) -> Situation:
    """The same moment with no disturbance measured or forecast."""
    seen, forecast = situation.observation, situation.forecast
    names = {signal.name for signal in situation.signals if signal.role is Role.DV}
    values, quality = seen.values.copy(), seen.quality.copy()
    for name in names:
        values[seen.index[name]], quality[seen.index[name]] = math.nan, int(Quality.MISSING)
    return replace(
        situation,
        observation=replace(seen, values=values, quality=quality),
        forecast=replace(
            forecast,
            mean=_left(forecast.mean, names),
            lower=_left(forecast.lower, names),
            upper=_left(forecast.upper, names),
        ),
    )


def _left(series: Mapping[str, NDArray[Any]], gone: set[str]) -> dict[str, NDArray[Any]]:
    return {name: values for name, values in series.items() if name not in gone}


def _contents(situation: Situation) -> tuple[object, ...]:
    """All that a situation holds, for comparison bit by bit."""
    seen, estimate, forecast = situation.observation, situation.estimate, situation.forecast
    state = estimate.state
    ahead = [
        (name, values.tobytes())
        for series in (forecast.mean, forecast.lower, forecast.upper)
        for name, values in series.items()
    ]
    return (
        seen.values.tobytes(),
        seen.quality.tobytes(),
        dict(seen.part_ids),
        dict(seen.index),
        (state.now_s, list(map(float.hex, state.floats)), state.ints.copy()),
        dict(estimate.disturbance),
        dict(estimate.drift),
        ahead,
        dict(situation.active),
    )


def _fail(what: str) -> None:
    raise ControllerError(what)
