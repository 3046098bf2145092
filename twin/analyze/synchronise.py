"""The twin put in step with the line: a state in which the next event of every station is likely.

What the equipment tells (states, since when, parts, work done, who is where, counters, meters) is copied;
what it does not tell at present stays as the twin expected it; what it cannot tell (how long until the next
failure, how long a repair still takes) is drawn from the conditional distribution given what is
known, in the twin's own world. The plant's luck stays unknown here.
"""

from __future__ import annotations

import math

from twin.analyze.join_others import (
    join_buffers,
    join_conveyor,
    join_crews,
    join_customs,
    join_supplies,
)
from twin.analyze.join_stations import join_station
from twin.analyze.joining import Joining, newest_part
from twin.cycle import Observation
from twin.line import schema as s
from twin.line.element_tags import has_components
from twin.line.model import Line
from twin.state import LineState


def synchronise(line: Line, state: LineState, observation: Observation, ticket: int) -> bool:
    """Overwrite ``state`` with what is observed; False (and untouched) if too much is unknown.

    That is, if a station does not show one of its states. ``state`` is where the twin expected the
    line to be now; ``ticket`` numbers the observations: it keys the fresh draws.
    """
    for element in line.stations:
        if observation[f"{element.name}.state"] not in range(s.N_STATES):  # nor is NaN
            return False
    join = Joining.of(line, observation, state, ticket)
    state.now_s = join.now_s
    _nobody_is_touched(join)
    _outside(join)
    join_buffers(join)
    for e, element in enumerate(line.stations, start=1):
        if element.kind == s.CONVEYOR:
            join_conveyor(join, e)
        else:
            join_station(join, e)
    join_supplies(join)
    join_crews(join)
    join_customs(join)
    join.free_the_rest()
    _line_record(join)
    return True


def _nobody_is_touched(join: Joining) -> None:
    """Empty the queue of touched elements; a state between events has none."""
    i, k = join.state.ints, join.line.k
    at = k[s.K_LINE_I]
    i[at + s.QUEUE_HEAD] = i[at + s.QUEUE_LENGTH] = 0
    for e in range(k[s.K_ELEMENTS]):
        i[e * s.E_INTS + s.TOUCHED] = 0


def _outside(join: Joining) -> None:
    """What the environment is like; its next minute brings the next row of what is known of it."""
    line, f = join.line, join.state.floats
    for n, name in enumerate(line.disturbances):
        column = line.k[s.K_DISTURBANCE_F] + n
        f[column] = join.told(f"env.{name}", f[column])
    environment = (len(line.elements) - 1) * s.E_FLOATS
    f[environment + s.DUE_S] = (math.floor(join.now_s / 60.0 + 1e-9) + 1) * 60.0


def _line_record(join: Joining) -> None:
    """Counters, masses and the source."""
    f, i, k = join.state.floats, join.state.ints, join.line.k
    at, line_f = k[s.K_LINE_I], k[s.K_LINE_F]
    for column, tag in (
        (s.GOOD, "good_count"),
        (s.LINE_SCRAPPED, "scrap_count"),
        (s.RELEASED, "released_count"),
        (s.ORDERED, "ordered_count"),
    ):
        i[at + column] = int(join.told(f"line.{tag}", i[at + column]))
    newest = max(i[at + s.RELEASED], newest_part(join.seen))
    if has_components(join.line):  # they have numbers too, and may be part of others by now
        newest = max(newest, int(join.told("line.newest_part_id", i[at + s.NEXT_PART])))
    i[at + s.NEXT_PART] = newest
    for column, tag in (
        (line_f + s.LINE_MATERIAL_KG, "material_kg"),
        (line_f + s.LINE_SCRAP_KG, "scrap_kg"),
        (s.TAKT_S, "takt_s"),
        (s.LAST_RELEASE_S, "last_release_s"),
    ):
        f[column] = join.told(f"line.{tag}", f[column])
    # What is not inside and was not scrapped has left as good parts.
    parts_kg = k[s.K_PART_F] + s.PART_MATERIAL_KG
    inside_kg = math.fsum(f[parts_kg + n * s.P_FLOATS] for n in range(join.used))
    taken_kg, scrap_kg = f[line_f + s.LINE_MATERIAL_KG], f[line_f + s.LINE_SCRAP_KG]
    f[line_f + s.LINE_OUT_KG] = taken_kg - scrap_kg - inside_kg
    # The source looks for itself: a due release in the past happens at the next instant.
    f[s.DUE_S] = max(f[s.LAST_RELEASE_S] + f[s.TAKT_S], join.now_s)
    i[s.PENDING] = s.RELEASE
