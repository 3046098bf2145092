"""Cases 12 to 17: what servers do."""

from __future__ import annotations

from twin.chaos.case import Case, Step
from twin.chaos.plays import broken
from twin.chaos.rig import Rig


async def _restart(rig: Rig) -> None:
    await rig.restart_line()


SERVER = (
    Case(
        12,
        "server",
        "OPC UA server restart",
        "the server is killed and started again: new session, no subscriptions, plant time from 0",
        broken(_restart),
        (
            Step("HOLD", "no reading|gap|connection|lost|silent|answer", 2, 5.0),
            Step("SHED", "hold time|remote|shed", 12, 30.0),
        ),
        is_blind=True,
    ),
)
