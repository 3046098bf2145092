"""What a policy adds to: the setpoints that its base wants, in training as at run time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping


def wanted(
    asked: Mapping[str, float],
    before: Mapping[str, float],
    active: Mapping[str, float],
    names: Iterable[str],
) -> dict[str, float]:
    """What a base wants of each setpoint: what it asks for now, or what it has wanted ``before`` where it is silent.

    At first that is what is in force (``active``), as soon as that is known. Later on it must not be: what was
    added is in it already, and would be added again at each turn.
    """
    known = {name: value for name, value in before.items() if not math.isnan(value)}
    return {name: asked.get(name, known.get(name, active[name])) for name in names}
