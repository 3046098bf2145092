"""Cases 30 to 37: processes, time, operators."""

from __future__ import annotations

import asyncio
import ctypes.util
import signal
from glob import glob
from importlib.util import find_spec
from pathlib import Path

from twin.chaos.case import Case, Step
from twin.chaos.kills import KILL_SPEED, killed
from twin.chaos.plays import Harm, begun, broken, expect, noting, shown
from twin.chaos.proxy import Weather
from twin.chaos.rig import Loop, Rig, now_s
from twin.chaos.soak import soak
from twin.chaos.station import station
from twin.chaos.table_sensor import FROZEN, HOLDS, SHEDS, ZONE

CONFLICT = 5
STOPPED_S = 60.0
SOAK_S = 180.0
FAN = "oven.fan_speed_rel"


async def _stop_loop(rig: Rig) -> None:
    rig.loop.child.send(signal.SIGSTOP)
    await asyncio.sleep(STOPPED_S)
    rig.loop.child.send(signal.SIGCONT)


async def _second(rig: Rig) -> None:
    """One that comes by the same way, and one that comes by another: both must stay out."""
    first = await begun(rig)
    for endpoint in (rig.wire.endpoint, rig.direct):
        other = await rig.begin_loop(endpoint=endpoint)
        answer = await other.ask("close", "chaos: a second one")
        mode = answer.get("mode")
        if endpoint == rig.wire.endpoint:
            why = f"a second loop may close: {answer}"
            expect(rig, holds=answer.get("exit_code") == CONFLICT, why=why)
        elif "error" not in answer:
            await noting(rig, other.until({"ADVISORY"}, rig.patience_s(10)))
            mode = (await other.ask("status"))["mode"]
            expect(rig, holds=mode == "ADVISORY", why=f"a second loop is {mode}")
        seen = (await first.ask("status"))["mode"]
        expect(rig, holds=seen == "CLOSED", why=f"the first loop is {seen}")
        await other.child.end()
    await first.turns(4, rig.patience_s(4))
    rig.story.after = first.footprint


# --- time --------------------------------------------------------------------------------------


async def _calendar(rig: Rig) -> None:
    """A loop takes its turns beside one that is closed, while the calendar of its machine steps."""
    first = await begun(rig)
    file = rig.folder / "calendar"
    file.write_text("+0\n")
    more = {
        "LD_PRELOAD": faketime(),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    other = await rig.begin_loop(more=more)
    for step in ("+3600", "-3600", "+0"):
        began = (await other.turns(1, rig.patience_s(2)))["turns"]
        file.write_text(f"{step}\n")
        began_s = now_s()
        await asyncio.sleep(8.0 * rig.period_s)
        count = (await other.ask("status"))["turns"] - began
        due = (now_s() - began_s) / rig.period_s
        why = f"{count} turns in {due:.0f} periods while the calendar is at {step} s"
        expect(rig, holds=abs(count - due) <= 2.0, why=why)
    rig.story.after = first.footprint


def _no_faketime() -> str:
    return (
        ""
        if faketime()
        else "libfaketime, which moves the calendar of one process: pip install 'takttwin[chaos]'"
    )


def faketime() -> str:
    """The library that moves a process's calendar, if it is there: the system's, or that of the package."""
    found = glob("/usr/lib/*/faketime/libfaketime.so.1")  # noqa: PTH207  (no folder of ours)
    package = find_spec("libfaketime")
    if not found and package is not None and package.origin:
        built = Path(package.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
        found = [str(built)] if built.is_file() else []
    return found[0] if found else ctypes.util.find_library("faketime") or ""


# --- operators ---------------------------------------------------------------------------------


async def _operators(rig: Rig) -> None:
    """Each word at another moment: it is honoured within a period, whatever goes on."""
    loop = await begun(rig)
    for verb, mode in (("open", "ADVISORY"), ("freeze", "HOLD"), ("off", "OFF")):
        await _honoured(rig, loop, verb, mode, "while closed")
        await _closed_again(rig, loop)
    await loop.ask("open", "chaos")
    closing = asyncio.create_task(loop.ask("close", "chaos: and at once"))
    await asyncio.sleep(0.02)
    await _honoured(rig, loop, "open", "ADVISORY", "in INIT")
    await closing
    await _closed_again(rig, loop)
    await _without_one(rig, loop)
    rig.decide("hang")
    await asyncio.sleep(1.5 * rig.period_s)
    await _honoured(rig, loop, "open", "ADVISORY", "while the solver hangs")
    rig.calm()
    await asyncio.sleep(10.0)  # the controller's process comes back
    await _closed_again(rig, loop)
    rig.show(values={ZONE: {"kind": "nan"}})
    await noting(rig, loop.until({"HOLD"}, rig.patience_s(4)))
    await _honoured(rig, loop, "off", "OFF", "in HOLD")
    rig.calm()
    await _closed_again(rig, loop)
    rig.wire.weather = Weather(is_stalled=True)
    await noting(rig, loop.until({"HOLD"}, rig.patience_s(10)))
    await _honoured(rig, loop, "open", "ADVISORY", "while the line is lost")
    rig.calm()
    await asyncio.sleep(4.0)
    await _closed_again(rig, loop)
    await _conflict(rig, loop)
    rig.story.after = loop.footprint


async def _honoured(rig: Rig, loop: Loop, verb: str, mode: str, when: str) -> None:
    began_s = now_s()
    answer = await loop.ask(verb, f"chaos: {when}")
    took_s = now_s() - began_s
    limit_s = rig.period_s + 0.5
    expect(rig, holds=answer.get("mode") == mode, why=f"{verb} {when}: {answer}")
    why = f"{verb} {when} took {took_s:.1f} s, not {limit_s:.1f}"
    expect(rig, holds=took_s <= limit_s, why=why)


async def _closed_again(rig: Rig, loop: Loop) -> None:
    if (await loop.ask("status")).get("frozen"):
        await loop.ask("open", "chaos")
    await rig.recover(60.0)
    rig.story.recovered_s.clear()


async def _without_one(rig: Rig, loop: Loop) -> None:
    """One variable is switched off for some turns: the server's log says whether it was left alone."""
    for verb in ("mv_off", "mv_on"):
        answer = await loop.ask(verb, "chaos", mv=FAN)
        expect(rig, holds=answer.get("mode") == "CLOSED", why=f"{verb} while closed: {answer}")
        await noting(rig, loop.turns(3, rig.patience_s(3)))


async def _conflict(rig: Rig, loop: Loop) -> None:
    """Two change the same limits from the same version: one of them must be told."""
    now = await loop.ask("limits?")
    lo, hi = now["limits"][FAN]["operator"]
    asked = [
        loop.ask("limits", "chaos", mv=FAN, lo=lo, hi=hi - 0.01 * n, version=now["version"])
        for n in (1, 2)
    ]
    codes = [answer.get("exit_code", 0) for answer in await asyncio.gather(*asked)]
    why = f"two changes from one version end with {codes}"
    expect(rig, holds=sorted(codes) == [0, CONFLICT], why=why)


async def _no_permit(rig: Rig) -> None:
    async with station(rig.direct, rig.plant, rig.link) as person:
        rig.story.faults[-1].from_s = now_s()  # to get through to the line took seconds
        await person.command("PermitRemote", 0.0)


async def _permit(rig: Rig) -> None:
    async with station(rig.direct, rig.plant, rig.link) as person:
        await person.command("PermitRemote", 1.0)
        await person.command("ResetShed")


PROCESS = (
    Case(
        30,
        "process",
        "SIGKILL of the loop and of its controller's process",
        "three times each, at random moments (twin chaos kill: as often as you like)",
        killed(loops=3, controllers=3),
        speed=KILL_SPEED,
    ),
    Case(
        31,
        "process",
        "the loop stands still for a minute",
        "SIGSTOP of the loop's process for 60 s, then SIGCONT",
        broken(Harm(_stop_loop, (Step("SHED", "the PLC|hold|lost", 3, STOPPED_S + 5.0),))),
        is_blind=True,
    ),
    Case(
        32,
        "process",
        "a second loop on the same line",
        "by the same address, and by another address of the same server",
        _second,
    ),
    Case(
        33,
        "process",
        f"soak at 20 times real time: {SOAK_S:.0f} s in the place of 8 h",
        "a random fault each ten seconds, each with its end",
        soak(SOAK_S),
        speed=20.0,
        holds=3,
    ),
    Case(
        34,
        "time",
        "stamps of clocks that are wrong",
        "stamps 10 min ahead, of 1970, of 2100",
        broken(
            shown(HOLDS, SHEDS, values={ZONE: {"kind": "shifted", "by": 600.0}}),
            shown(*FROZEN, values={ZONE: {"kind": "year", "by": 1970}}),
            shown(HOLDS, SHEDS, values={ZONE: {"kind": "year", "by": 2100}}),
        ),
        is_blind=True,
    ),
    Case(
        35,
        "operator",
        "open, off and freeze at any moment; two who change the same",
        "while closed, in INIT, while a solver hangs, in HOLD, while the line is lost; one MV off and on",
        _operators,
        speed=1.0,
    ),
    Case(
        36,
        "operator",
        "somebody takes over at the PLC",
        "an operator station withdraws the permit; a setpoint is moved by hand",
        broken(
            Harm(
                _no_permit,
                (Step("SHED", "does not permit|no longer in remote|has shed", 2),),
                mend=_permit,
            ),
            shown(Step("SHED", "was moved at the PLC", 2), by_hand={FAN: 0.7}),
        ),
    ),
    Case(
        37,
        "time",
        "the loop's machine has a clock that is set anew",
        "its calendar steps by an hour ahead, an hour back, and to the right time",
        _calendar,
        needs=_no_faketime,
    ),
)
