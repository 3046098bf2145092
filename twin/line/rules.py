"""The modules of transitions, in the order in which an engine binds them.

Each may call what stands in those before it, and the hooks of ``twin.line.hooks``.
"""

from __future__ import annotations

from twin.line import (
    belt,
    conveyor,
    environment,
    events,
    flow,
    luck,
    people,
    residual,
    source,
    states,
    taking,
    transitions,
    work,
)

MODULES = (
    flow,
    luck,
    residual,
    people,
    belt,
    states,
    taking,
    work,
    source,
    transitions,
    conveyor,
    environment,
    events,
)
