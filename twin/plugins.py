"""Controllers by name: built-in ones and those of other packages come through the same door.

A package offers a controller by an entry point of the group ``takttwin.controllers``: a callable
that takes the nominal line and the tuned setpoints of the plant, and returns a ``Controller``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from twin.config import TunedPoint
from twin.protocols import Controller

GROUP = "takttwin.controllers"
ControllerFactory = Callable[[Any, TunedPoint], Controller]


class UnknownPluginError(ValueError):
    """No installed package offers a controller of that name."""


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
