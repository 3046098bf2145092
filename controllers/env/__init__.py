"""Environments in which policies are trained: the line, its guard and its objective, as gymnasium has it.

``takttwin/Line-v0`` is known to gymnasium once this is imported, which gymnasium does itself for
``gymnasium.make("controllers.env:takttwin/Line-v0")``; it has no plug-ins any more. Schema and observer need no gymnasium, so that a policy can be run without it.
"""

from __future__ import annotations

from importlib.util import find_spec

ID = "takttwin/Line-v0"


def register() -> None:
    """Make the environments known to gymnasium; again is no harm."""
    from gymnasium.envs import (
        registration,
    )  # gymnasium itself may be on its way in: we are its plug-in

    if ID not in registration.registry:
        registration.register(
            id=ID,
            entry_point="controllers.env.single:LineEnv",
            vector_entry_point="controllers.env.vector:LineVectorEnv",
        )


if find_spec("gymnasium") is not None:
    register()
