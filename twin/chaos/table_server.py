"""Cases 12 to 17: what servers do."""

from __future__ import annotations

import asyncio
import signal

from twin.chaos.case import Case, Step
from twin.chaos.evidence import Evidence
from twin.chaos.plays import Harm, broken, shown
from twin.chaos.rig import Rig
from twin.chaos.table_network import LOST
from twin.chaos.table_sensor import ZONE

HOLDS = Step("HOLD", LOST, 2, 4.0)
SHEDS_BARRED = Step("SHED", "hold time", 14, 5.0, alarms=("access",))
REJECTED = Step("SHED", "rejected", 3)
LINE = "line.takt_s"


async def _restart(rig: Rig) -> None:
    await rig.restart_line()


async def _restart_late(rig: Rig) -> None:
    hold_s = rig.plant.control.hold_s / rig.speed
    await rig.restart_line(down_s=hold_s + 2.0)


async def _renumber(rig: Rig) -> None:
    rig.show(namespaces=3)
    await rig.restart_line()


async def _another_plant(rig: Rig) -> None:
    """Long enough that the loop must find it, and then the right one again."""
    await rig.restart_line(plant="machining_line")
    await asyncio.sleep(rig.plant.control.hold_s / rig.speed + 2.0)


async def _freeze(rig: Rig) -> None:
    """At the moment at which a write is handed over: it lies there unread, and nobody answers."""
    rig.wire.set_trap(LINE.encode(), lambda: rig.line.send(signal.SIGSTOP))
    async with asyncio.timeout(rig.patience_s(3)):
        await rig.wire.sprung.wait()
    await asyncio.sleep(8.0)
    rig.line.send(signal.SIGCONT)


def _was_unknown(evidence: Evidence) -> list[str]:
    """A write must have been under way, or nothing was shown."""
    outcomes = {one.outcome for record in evidence.records for one in record.outcomes}
    return [] if "UNKNOWN" in outcomes else ["no write was under way: no outcome is UNKNOWN"]


def _has_gap(evidence: Evidence) -> list[str]:
    gaps = [reason for record in evidence.records for _, _, reason in record.gaps]
    told = any("dropped" in reason for reason in gaps)
    return [] if told else ["values were dropped, and no gap is on record"]


SERVER = (
    Case(
        12,
        "server",
        "OPC UA server restart",
        "killed and started again, plant time from 0: at once, and after the hold time is over",
        broken(
            Harm(_restart, (HOLDS,)),
            Harm(_restart_late, (HOLDS, Step("SHED", "hold time|the PLC|remote", 14, 5.0))),
        ),
        speed=3.0,
    ),
    Case(
        13,
        "server",
        "server frozen while a write is under way",
        "SIGSTOP as a write arrives, for 8 s, twice the time for an answer; then SIGCONT",
        broken(Harm(_freeze, (HOLDS,))),
        speed=2.0,
        is_open=True,
        proof=_was_unknown,
    ),
    Case(
        14,
        "server",
        "Good, but unchanged or overwritten",
        "setpoints are taken as good and not put in force; put in force and back again by the PLC",
        broken(
            shown(Step("SHED", "does not obey", 5), answers="ignored"),
            shown(Step("SHED", "was moved at the PLC|does not obey", 5), answers="overwritten"),
        ),
    ),
    Case(
        15,
        "server",
        "refusals and doubtful answers",
        "BadUserAccessDenied, BadNotWritable, BadOutOfRange; GoodCompletesAsynchronously, "
        "BadTooManyOperations",
        broken(
            shown(REJECTED, answers="BadUserAccessDenied"),
            shown(REJECTED, answers="BadNotWritable"),
            shown(REJECTED, answers="BadOutOfRange"),
            shown(Step("HOLD", "has no answer", 3), answers="GoodCompletesAsynchronously"),
            shown(Step("HOLD", "has no answer", 3), answers="BadTooManyOperations"),
        ),
    ),
    Case(
        16,
        "server",
        "node ids renumbered, another plant",
        "after a restart three foreign namespaces come before ours; then another plant is served",
        broken(
            Harm(_renumber, (HOLDS,)),
            Harm(_another_plant, (HOLDS, SHEDS_BARRED), mend=_restart),
        ),
        speed=3.0,
    ),
    Case(
        17,
        "server",
        "notifications out of order, doubled, dropped",
        f"{ZONE} comes with an older value after each newer, twice, and with the overflow bit",
        broken(
            shown(values={ZONE: {"kind": "disordered", "by": 20.0}}, for_s=8.0),
            shown(values={ZONE: {"kind": "twice"}}, for_s=8.0),
            shown(values={ZONE: {"kind": "overflow"}}, for_s=8.0),
        ),
        proof=_has_gap,
    ),
)
