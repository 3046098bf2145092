"""What went through an oven: from one reading to the next, what was on its places and in force.

The conveyor's phase is measured; where it falls back by one, all carriers have moved on a place. Who came
in is counted: what the station before has made, less what stands between. A carrier's mass is the
product that the source gave its blank. A reading on the oven's grid comes before what happens there, so
what was in force from it on is what the next reading shows. Readings must come at every grid point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.analyze.identification.record import Column, Record
from twin.line import schema as s
from twin.line.columns import producers
from twin.line.model import Line

ABOUT = 13
"""Readings that a noisy, slow disturbance is averaged over."""


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """One row a reading, but for the last: what holds from it to the next.

    ``mass_kg`` is a row of places, 0 where none is; ``shifted`` says that carriers moved on at the
    reading, and ``leaves`` that one left. ``u`` are setpoints with the setback really in force.
    """

    time_s: Column
    u: Column
    ambient_c: Column
    phase: Column
    mass_kg: Column
    shifted: NDArray[np.bool_]
    leaves: NDArray[np.bool_]
    rows: NDArray[np.intp]


def passage_of(line: Line, e: int, record: Record) -> Passage | str:
    """The passage through the oven at element ``e``; a sentence if it cannot be told."""
    station, element = line.plant.stations[e - 1], line.elements[e]
    name, mix = element.name, line.plant.source.mixed_by
    before = producers(line.plant, station.takes_from)
    if mix is None or len(before) != 1 or before[0] == 0:
        return "what goes in cannot be told from the record"
    feeder = line.elements[before[0]].name
    names = [
        *(f"{name}.{key}" for key in ("state", "state_since_s", "op_count", "conveyor_phase")),
        *(f"{feeder}.{key}" for key in ("op_count", "state")),
        f"{station.takes_from}.level", "line.released_count", f"env.{mix}", "env.ambient_c",
        *(f"{name}.{key}" for key in element.setpoints),
    ]  # fmt: skip
    rows = record.whole(*names)
    if rows.size < 100:
        return "too few readings hold all that is needed"
    col = {key: record[key][rows] for key in names}
    blocked = col[f"{feeder}.state"] == s.BLOCKED
    time_s = record.time_s[rows]
    if np.abs(np.diff(time_s) - (station.step_s or 0.0)).max() > 1e-6:
        return f"readings do not come every {station.step_s or 0.0:g} s, as its grid does"
    came = col[f"{feeder}.op_count"] - blocked - col[f"{station.takes_from}.level"]
    if came[0] != col[f"{name}.op_count"][0]:
        return "it was not empty when the record began"
    phase = col[f"{name}.conveyor_phase"]
    shifted = np.diff(phase) < 0.0
    masses = _masses(col["line.released_count"], col[f"env.{mix}"])
    if masses is None:
        return "the record begins after parts were released"
    mass = _places(station.places, shifted, np.diff(came) > 0, came, masses)
    share = _setback(line, e, time_s, col[f"{name}.state"], col[f"{name}.state_since_s"])
    u = np.column_stack([col[f"{name}.{key}"][1:] for key in element.setpoints])
    if "setback" in element.setpoints:
        u[:, element.setpoints.index("setback")] = share
    held = np.where(shifted, phase[:-1] - 1.0, phase[:-1])
    leaves = np.diff(col[f"{name}.op_count"]) > 0
    ambient_c = _smooth(col["env.ambient_c"][1:])
    return Passage(time_s, u, ambient_c, np.minimum(held, 1.0), mass, shifted, leaves, rows)


def _smooth(course: Column) -> Column:
    """A slow course without most of its noise: the mean of about a minute."""
    wide = np.convolve(course, np.ones(ABOUT), mode="same")
    found: Column = wide / np.convolve(np.ones(course.size), np.ones(ABOUT), mode="same")
    return found


def _masses(released: Column, product: Column) -> Column | None:
    """The product of each blank by its number, from 1 on; index 0 stands for none."""
    if released[0] > 1:
        return None
    found = np.zeros(int(released[-1]) + 1)
    found[1 : int(released[0]) + 1] = product[0]
    for k in np.flatnonzero(np.diff(released) > 0).tolist():
        found[int(released[k]) + 1 : int(released[k + 1]) + 1] = product[k + 1]
    return found


def _places(
    places: int,
    shifted: NDArray[np.bool_],
    entered: NDArray[np.bool_],
    came: Column,
    masses: Column,
) -> Column:
    """Mass on each place after each reading's own event."""
    now, found = np.zeros(places), np.zeros((shifted.size, places))
    for k in range(shifted.size):
        if shifted[k]:
            now[1:] = now[:-1].copy()
            number = min(int(came[k + 1]), masses.size - 1)
            now[0] = masses[number] if entered[k] else 0.0
        found[k] = now
    return found


def _setback(line: Line, e: int, time_s: Column, state: Column, since_s: Column) -> Column:
    """The share of setback in force after each reading: whole asleep, taken back while waking up."""
    station = line.plant.stations[e - 1]
    cc, step_s = e * s.EC, station.step_s or 1.0
    steps = max(line.c[cc + s.C_WARM_UP_S] / step_s, 1.0)
    woken = (time_s[:-1] - since_s[1:]) / step_s
    waking = np.clip(1.0 - (woken + 1.0) / steps, 0.0, 1.0)
    asleep = state[1:] == s.STANDBY
    found: Column = np.where(asleep, 1.0, np.where(state[1:] == s.WARM_UP, waking, 0.0))
    return found
