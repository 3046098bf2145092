"""What sampling missed: a station seen processing at both looks may have made three parts in between.

Counters do not forget. Where they have moved on by more than the transitions that were told, the rest
happened unseen: a signal sampled too slowly, a full queue, equipment that tells no transitions at all.
How many they were is known then, when they were is not.
"""

from __future__ import annotations

import math
from collections import Counter

from twin.cycle import Event, Observation
from twin.line import schema as s
from twin.line.model import Line


def missed_transitions(line: Line, before: Observation, after: Observation) -> dict[str, int]:
    """By counter, how many transitions it shows since ``before`` that the events of ``after`` lack.

    Left out are counters that all is told of, that were not read, or that have begun anew. A negative number
    are events that were told before their counter moved: where both come by different ways, as from a paced
    line, only the sum over many readings says what was missed.
    """
    told = Counter(name for event in after.events for name in _counted_by(event))
    missed = {}
    for name in _counters(line):
        moved = after[name] - before[name]
        if math.isfinite(moved) and moved >= 0.0 and moved != told[name]:
            missed[name] = round(moved) - told[name]
    return missed


def _counters(line: Line) -> list[str]:
    """What is counted one by one: not the parts of a batch, nor what leaves a conveyor."""
    names = []
    for element, station in zip(line.stations, line.plant.stations, strict=True):
        names.append(f"{element.name}.failure_count")
        if element.kind == s.STATION and station.batch is None:
            names.append(f"{element.name}.op_count")
        if station.tool is not None:
            names.append(f"{element.name}.tool_changes")
    return names


def _counted_by(event: Event) -> list[str]:
    """The counters that move on with an event."""
    names = []
    if event.before == s.PROCESSING and event.after != s.DOWN:
        names.append(f"{event.entity}.op_count")
    if event.after == s.DOWN:
        names.append(f"{event.entity}.failure_count")
    if event.after == s.TOOL_CHANGE:
        names.append(f"{event.entity}.tool_changes")
    return names
