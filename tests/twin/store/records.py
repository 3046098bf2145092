"""Small records that the tests of the stores write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.cycle import (
    Acknowledgement,
    Action,
    Batch,
    Clip,
    Cycle,
    Decision,
    Event,
    Mode,
    Outcome,
    Reading,
)
from twin.signals import Role, Setpoint, Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

UTC = "2026-03-01T06:00:00.000+00:00"
SECOND_US = 1_000_000

SIGNALS = (
    Signal("turning.power_kw", "kW", Role.PV, "Stations/turning/Power"),
    Signal("turning.feed_mm", "mm", Role.MV, "Stations/turning/Feed"),
    Signal("line.takt_s", "s", Role.MV, "Line/Takt"),
    Signal("env.price_eur_per_mwh", "EUR/MW.h", Role.DV, "Environment/Price"),
)


def reading(
    time_us: int, values: Sequence[float] = (1.5, 0.2, 60.0, 80.0), events: tuple[Event, ...] = ()
) -> Reading:
    """A reading of ``SIGNALS``; each value was taken a little before."""
    source_us = np.arange(len(values), dtype=np.int64) + time_us - 10
    status = np.where(np.isnan(values), 128, 0).astype(np.int64)
    return Reading(time_us, 0, np.array(values, dtype=np.float64), source_us, status, {}, events)


def decision(sequence: int, mode: Mode = Mode.CLOSED, **setpoints: float) -> Decision:
    """A decision with a batch, at ``sequence`` seconds of plant time."""
    asked = {name.replace("__", "."): value for name, value in setpoints.items()}
    batch = Batch(
        sequence,
        sequence,
        tuple(Setpoint(name, value) for name, value in asked.items()),
        sequence * SECOND_US + 500_000,
    )
    clips = tuple(Clip(name, value + 1.0, value, "rate") for name, value in asked.items())
    action = Action(asked, "cheapest plan", "solved")
    return Decision(sequence * SECOND_US, mode, (), action, batch, clips)


def cycle(number: int, answer: Acknowledgement | None = None) -> Cycle:
    """A turn of the loop that writes one setpoint."""
    return Cycle(
        number,
        reading(number * SECOND_US),
        (),
        answer,
        decision(number, line__takt_s=60.0 + number / 7),
    )


def accepted(sequence: int) -> Acknowledgement:
    """The equipment took a batch."""
    return Acknowledgement(sequence, Outcome.ACCEPTED, {"line.takt_s": 60.0 + sequence / 7})
