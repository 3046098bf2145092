"""Quantities that leave their bands: how often, for how long, how far."""

from __future__ import annotations

import numpy as np
import pytest

from twin.cycle import Reading
from twin.feedback.bands import Bands
from twin.signals import Limits, Role, Signal

SIGNALS = (
    Signal("milling.roughness_um", "um", Role.CV, "a", operator=Limits(0.0, 4.0)),
    Signal("oven.cure_pct", "%", Role.CV, "b", operator=Limits(80.0, 100.0)),
    Signal("line.power_kw", "kW", Role.PV, "c", operator=Limits(0.0, 1.0)),
)


def reading(time_s: float, *values: float) -> Reading:
    none = np.zeros(len(values), dtype=np.int64)
    return Reading(round(time_s * 1e6), 0, np.array(values), none, none)


def test_each_time_outside_counts_once_and_lasts_until_the_next_reading() -> None:
    bands = Bands(SIGNALS)
    for n, roughness in enumerate((3.0, 5.0, 6.0, 4.0, 4.4, np.nan)):
        bands.look(reading(30.0 * n, roughness, 90.0, 50.0))
    assert bands.record() == {"times": 2, "seconds": 90.0, "deepest_share": pytest.approx(0.5)}


def test_two_quantities_are_two_violations() -> None:
    bands = Bands(SIGNALS)
    bands.look(reading(0.0, 5.0, 70.0, 0.0))
    bands.look(reading(10.0, 3.0, 70.0, 0.0))
    bands.look(reading(20.0, 3.0, 90.0, 0.0))
    assert bands.record() == {"times": 2, "seconds": 30.0, "deepest_share": pytest.approx(0.5)}
