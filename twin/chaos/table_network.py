"""Cases 8 to 11: what networks do."""

from __future__ import annotations

import asyncio

from twin.chaos.case import Case, Step
from twin.chaos.plays import Harm, broken, weather
from twin.chaos.proxy import Weather
from twin.chaos.rig import Rig, now_s

LOST = "no reading of the line|has no answer|connection lost|fell silent"
FLAPS_S = 120.0


async def _flap(rig: Rig) -> None:
    """One second with and one without, each end by a reset."""
    until_s = now_s() + FLAPS_S
    while now_s() < until_s:
        rig.wire.weather = Weather(refuses=True)
        rig.wire.reset()
        await asyncio.sleep(1.0)
        rig.wire.weather = Weather()
        await asyncio.sleep(1.0)


async def _vanish(rig: Rig) -> None:
    rig.wire.vanish()


NETWORK = (
    Case(
        8,
        "network",
        "blackhole for 30 s",
        "nothing passes the wire for 30 s; what was under way then comes late",
        broken(
            weather(
                Step("HOLD", LOST, 2, 1.0),
                Step("SHED", "hold time|the PLC has shed", 0, 36.0, alarms=("line",)),
                for_s=30.0,
                is_stalled=True,
            )
        ),
        speed=2.0,
        is_blind=True,
    ),
    Case(
        9,
        "network",
        "reset storm: a second up, a second down",
        "for two minutes all connections are reset each two seconds, and refused for one of them",
        broken(Harm(_flap, (Step("HOLD", LOST, 3, 1.0),))),
        holds=3,
    ),
    Case(
        10,
        "network",
        "latency 500 ± 100 ms, 20 % loss, 64 kbit/s",
        "for 45 s, each way; a lost packet comes again after 200 ms and more",
        broken(
            weather(
                Step("HOLD", f"{LOST}|too late|not usable", 0, 45.0),
                for_s=45.0,
                delay_s=0.5,
                jitter_s=0.1,
                loss=0.2,
                kbit_s=64.0,
            )
        ),
        speed=2.0,
        holds=3,
    ),
    Case(
        11,
        "network",
        "half-open connection",
        "the server's end of each connection is gone without a word; new ones are let in",
        broken(Harm(_vanish, (Step("HOLD", LOST, 1, 8.0),))),
        speed=2.0,
    ),
)
"""A server that is silent for four seconds is believed gone: the library's and our own time-out."""
