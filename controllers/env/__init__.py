"""Environments in which policies are trained: the line, its guard and its objective, as gymnasium has it.

``takttwin/Line-v0`` is known to gymnasium once this is imported, which gymnasium does itself for
``gymnasium.make("controllers.env:takttwin/Line-v0")``; it has no plug-ins any more. Schema and observer need no gymnasium, so that a policy can be run without it.
"""

from __future__ import annotations

import sys

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


if (
    "gymnasium" in sys.modules
):  # else it calls us when it comes; a loop that runs a policy has no need of it
    register()
