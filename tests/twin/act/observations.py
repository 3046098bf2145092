"""A line of one station, as the guard sees it: signals with all kinds of limits, and readings."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from twin.config.plant import ControlSpec
from twin.cycle import Observation
from twin.line.tags import CONTROL_TAGS
from twin.signals import Limits, Quality, Role, Signal

TAKT, SPEED, STANDBY = "line.takt_s", "press.speed_m_per_s", "press.standby"
STATE, TEMP = "press.state", "press.temp_c"
ONE_OR_ZERO = Limits(0.0, 1.0)
SIGNALS = (
    Signal(STATE, "1", Role.PV, "", critical=True),
    Signal(TEMP, "Cel", Role.CV, "", Limits(0.0, 400.0), critical=True, sampled_s=30.0),
    Signal(
        TAKT, "s", Role.MV, "", Limits(20, 600), Limits(40, 300), Limits(50, 240), rate_per_s=4.0
    ),
    Signal(
        SPEED, "m/s", Role.MV, "", Limits(0, 20), Limits(2, 18), Limits(3, 9), rate_per_s=0.0625
    ),
    Signal(STANDBY, "1", Role.MV, "", ONE_OR_ZERO, ONE_OR_ZERO, ONE_OR_ZERO, 1.0, discrete=True),
    *(Signal(name, "1", Role.PV, node) for name, node in CONTROL_TAGS),
)
CONTROL = ControlSpec(
    period_s=30.0,
    line_period_s=300.0,
    deadline_s=10.0,
    hold_s=120.0,
    bad_reads_allowed=2,
    stale_after_s=90.0,
)
INDEX = {signal.name: n for n, signal in enumerate(SIGNALS)}
NORMAL = {
    STATE: 3.0,
    TEMP: 180.0,
    TAKT: 72.0,
    SPEED: 5.0,
    "control.mode": 3.0,
    "control.permit_remote": 1.0,
    "control.watchdog_ok": 1.0,
}


def observation(
    time_s: float, bad: Collection[str] = (), mark: Quality = Quality.MISSING, **values: float
) -> Observation:
    """What is seen at a time; double underscores are dots, ``bad`` names what is not usable."""
    told = NORMAL | {name.replace("__", "."): value for name, value in values.items()}
    array = np.array([told.get(signal.name, 0.0) for signal in SIGNALS])
    quality = np.zeros(len(SIGNALS), dtype=np.int64)
    for name in bad:
        array[INDEX[name]], quality[INDEX[name]] = np.nan, int(mark)
    return Observation(round(time_s * 1e6), 0, array, quality, {}, (), INDEX)


def lost(time_s: float) -> Observation:
    """Nothing came."""
    return observation(time_s, [signal.name for signal in SIGNALS])
