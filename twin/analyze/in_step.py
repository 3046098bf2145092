"""How well a twin was put in step: where the state that it was given does not show what the line shows."""

from __future__ import annotations

import math

from twin.cycle import Observation
from twin.line.tags import NO_CONTROL, TagReader
from twin.state import LineState

SAME = 1e-9
"""Relative difference up to which two values are the same: rounding."""
OF_NOISE = 4.0
"""Standard deviations of a sensor within which a reading is no difference."""


def out_of_step(
    reader: TagReader, state: LineState, seen: Observation
) -> dict[str, tuple[float, float]]:
    """By signal, what the line shows and what the twin shows, where the two differ.

    Both are of the same instant. What cannot be used and the controls of the PLC are left out. Where a list of
    parts differs, ``NAME.part_ids`` has how many parts are shown, and how many of them the twin has in their place.
    """
    differ = {}
    for signal, own in zip(reader.signals, reader.read(state, NO_CONTROL).tolist(), strict=True):
        shown = seen[signal.name]
        allowed = SAME * max(abs(shown), abs(own)) + OF_NOISE * signal.noise_sd
        if signal.name.startswith("control.") or math.isnan(shown):
            continue
        if not abs(shown - own) <= allowed:
            differ[signal.name] = shown, own
    own_parts = reader.part_ids(state)
    for name, parts in seen.part_ids.items():
        if own_parts.get(name) != parts:
            same = sum(a == b for a, b in zip(parts, own_parts.get(name, ()), strict=False))
            differ[f"{name}.part_ids"] = float(len(parts)), float(same)
    return differ
