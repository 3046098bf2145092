"""Cases 1 to 7: what instruments show."""

from __future__ import annotations

from twin.chaos.case import Case, Step
from twin.chaos.plays import broken, shown
from twin.chaos.rig import Rig

ZONE = "oven.zone_temp_2_c"
"""A critical input: noisy, sampled each five seconds of plant time."""


async def _spike(rig: Rig) -> None:
    """For as long as one reading takes, and no longer."""
    import asyncio

    rig.show(values={ZONE: {"kind": "times", "by": 100.0}})
    await asyncio.sleep(0.9 * rig.period_s)
    rig.show()


SENSOR = (
    Case(
        3,
        "sensor",
        "spike ×100 for one sample",
        f"{ZONE} shows a hundred times its value for 0.9 periods",
        broken(_spike, for_s=8.0),
    ),
)
