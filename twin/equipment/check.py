"""The checks that equipment has to pass, shipped for whoever connects something else.

`check_equipment` is run over the simulated line and over the emulator by the contract tests. It
moves setpoints and time, so it is for equipment in lockstep: never for a line that makes parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import numpy as np

from twin.config.plant import ControlSpec
from twin.cycle import Acknowledgement, Batch, Event, Outcome, Reading
from twin.equipment.address_space import list_counts
from twin.equipment.plc import PlcMode, ShedReason
from twin.protocols import Equipment
from twin.signals import Quality, Role, Setpoint, Signal

__all__ = ["EquipmentError", "check_equipment"]

Make = Callable[[], AbstractAsyncContextManager[Equipment]]


class EquipmentError(Exception):
    """Equipment does not do what the loop relies on."""


async def check_equipment(make: Make, signals: Sequence[Signal], control: ControlSpec) -> None:
    """Raise `EquipmentError` unless the equipment behaves as the loop relies on.

    ``make`` gives a fresh line in lockstep at plant time 0, nobody in remote control, with a PLC
    that knows ``control``. Checked are readings, the passing of time, refusal of bad batches as a
    whole, rate limits, the watchdog and its latch.
    """
    for check in (_readings, _time, _refusals, _acceptance, _watchdog):
        async with make() as equipment:
            await check(_Bench(equipment, tuple(signals), control))


class _Bench:
    """A line under test."""

    def __init__(
        self, equipment: Equipment, signals: tuple[Signal, ...], control: ControlSpec
    ) -> None:
        self.equipment, self.signals = equipment, signals
        self.period_us = round(control.period_s * 1e6)
        self.watchdog_us = control.watchdog_periods * self.period_us
        self.index = {signal.name: n for n, signal in enumerate(signals)}
        self.mvs = [s for s in signals if s.role is Role.MV and s.validity and not s.discrete]
        self.sequence = 0
        self.now_us = 0

    async def advance(self, by_us: int) -> None:
        self.now_us += by_us
        await self.equipment.command("Advance", float(self.now_us))

    async def value(self, name: str) -> float:
        reading = await self.equipment.read()
        return float(reading.values[self.index[name]])

    async def write(self, *setpoints: Setpoint, late_us: int = 0) -> Acknowledgement:
        self.sequence += 1
        deadline_us = self.now_us + self.period_us - late_us
        return await self.equipment.write(
            Batch(self.sequence, self.sequence, setpoints, deadline_us)
        )

    async def active(self) -> dict[str, float]:
        reading = await self.equipment.read()
        return {s.name: float(reading.values[self.index[s.name]]) for s in self.mvs}


async def _readings(bench: _Bench) -> None:
    before: dict[str, float] = {}
    state_of = {s.name.removesuffix(".state"): s.name for s in bench.signals if _is_state(s)}
    for _ in range(40):
        reading = await bench.equipment.read()
        _well_formed(reading, bench)
        now = {name: reading.values[bench.index[tag]] for name, tag in state_of.items()}
        for name, events in _by_entity(reading.events, now).items():
            was = before.get(name, events[0].before if events else now[name])
            if events and (events[-1].after != now[name] or events[0].before != was):
                _fail(f"{name}: state {now[name]:g}, but the events say {events}")
            if not events and now[name] != was:
                _fail(f"{name}: the state changed without an event")
        before = now
        again = await bench.equipment.read()
        if again.events:
            _fail("events were handed out twice")
        if not np.array_equal(again.values, reading.values, equal_nan=True):
            _fail("reading twice at one instant gives two values")
        await bench.advance(bench.period_us)


async def _time(bench: _Bench) -> None:
    for _ in range(5):
        before = await bench.equipment.read()
        await bench.advance(bench.period_us)
        after = await bench.equipment.read()
        if after.time_us != bench.now_us or after.step != before.step + 1:
            _fail(f"advanced to {bench.now_us} us, read {after.time_us} us, step {after.step}")
    for verb, argument in (("Advance", 0.0), ("NoSuchVerb", 0.0)):
        try:
            await bench.equipment.command(verb, argument)
        except ValueError:
            continue
        _fail(f"the command {verb}({argument:g}) was not refused by a ValueError")


async def _refusals(bench: _Bench) -> None:
    """Each of these is refused as a whole: the good setpoint beside the bad one does not move."""
    await bench.advance(bench.period_us)
    good, other = bench.mvs[0], bench.mvs[1]
    held = await bench.active()
    step = Setpoint(good.name, _inside(good, held[good.name]))
    answer = await bench.write(step)
    await _unmoved(bench, held, answer, "without remote control")
    await bench.equipment.command("RequestRemote")
    limits = other.validity
    if limits is None:
        _fail(f"{other.name} has no validity limits")
        return
    bad = {
        "beyond its limits": Setpoint(other.name, limits.hi * 2.0 + 1.0),
        "below its limits": Setpoint(other.name, limits.lo - 1.0),
        "not a number": Setpoint(other.name, math.nan),
        "infinite": Setpoint(other.name, math.inf),
        "of an unknown name": Setpoint("no.such_setpoint", 1.0),
        "of a measured value": Setpoint("line.wip", 1.0),
    }
    for what, setpoint in bad.items():
        for pair in ((step, setpoint), (setpoint, step)):
            await _unmoved(bench, held, await bench.write(*pair), what)
    answer = await bench.write(step, late_us=bench.period_us + 1)
    await _unmoved(bench, held, answer, "past its deadline")


async def _acceptance(bench: _Bench) -> None:
    await bench.equipment.command("RequestRemote")
    if await bench.value("control.mode") != PlcMode.REMOTE:
        _fail("RequestRemote was not granted though permitted")
    for _ in range(12):
        await bench.advance(bench.period_us)
        held = await bench.active()
        wanted = {mv.name: _inside(mv, held[mv.name], reach=1.0) for mv in bench.mvs}
        answer = await bench.write(*(Setpoint(*pair) for pair in wanted.items()))
        now = await bench.active()
        for mv in bench.mvs:
            moved, most = abs(now[mv.name] - held[mv.name]), mv.rate_per_s * bench.period_us / 1e6
            if moved > most * (1.0 + 1e-6):
                _fail(f"{mv.name} moved by {moved:g}, its rate allows {most:g} a period")
        if answer.active != now:
            _fail(f"the answer says {answer.active}, the reading {now}")
        clamped = now != wanted
        if answer.outcome is not (Outcome.MISMATCH if clamped else Outcome.ACCEPTED):
            _fail(f"asked {wanted}, got {now}, and the outcome is {answer.outcome}")
        if await bench.value("control.echo_seq") != bench.sequence:
            _fail("the sequence number of an accepted batch is not echoed")
    beat = await bench.write()
    if beat.outcome is not Outcome.ACCEPTED or beat.active:
        _fail(f"a heartbeat alone is answered by {beat}")
    bench.sequence -= 2
    old = await bench.write(Setpoint(bench.mvs[0].name, _inside(bench.mvs[0], 0.0)))
    if old.outcome is not Outcome.REJECTED:
        _fail("a batch with an old sequence number was not rejected")


async def _watchdog(bench: _Bench) -> None:
    await bench.equipment.command("RequestRemote")
    for _ in range(4):  # heartbeats keep it in remote control
        await bench.advance(bench.period_us)
        await bench.write()
    if await bench.value("control.mode") != PlcMode.REMOTE:
        _fail("remote control was lost though the heartbeat was there")
    await bench.advance(bench.watchdog_us - bench.period_us)
    if await bench.value("control.mode") != PlcMode.REMOTE:
        _fail("remote control was lost before the watchdog's time")
    await bench.advance(bench.period_us)
    for _ in range(3):  # neither time, heartbeat nor a request undoes it
        if await bench.value("control.mode") == PlcMode.REMOTE:
            _fail("the watchdog did not end remote control, or its latch did not hold")
        if await bench.value("control.shed") != ShedReason.HEARTBEAT:
            _fail("control.shed does not name the missing heartbeat")
        await bench.write()
        await bench.equipment.command("RequestRemote")
        await bench.advance(bench.period_us)
    await bench.equipment.command("ResetShed")
    await bench.equipment.command("RequestRemote")
    if await bench.value("control.mode") != PlcMode.REMOTE:
        _fail("remote control was not granted after ResetShed")
    await bench.equipment.command("PermitRemote", 0.0)
    if await bench.value("control.mode") == PlcMode.REMOTE:
        _fail("remote control goes on though the operator forbids it")


async def _unmoved(
    bench: _Bench, held: dict[str, float], answer: Acknowledgement, what: str
) -> None:
    if answer.outcome is not Outcome.REJECTED:
        _fail(f"a batch {what} was answered by {answer.outcome}, not rejected")
    if await bench.active() != held:
        _fail(f"a rejected batch ({what}) moved a setpoint")


def _well_formed(reading: Reading, bench: _Bench) -> None:
    shape = (len(bench.signals),)
    kinds = [str(c.dtype) for c in (reading.values, reading.source_us, reading.status)]
    if kinds != ["float64", "int64", "int64"]:
        _fail(f"the columns of a reading have the types {kinds}")
    if not reading.values.shape == reading.source_us.shape == reading.status.shape == shape:
        _fail(f"a reading does not have one entry for each of {shape[0]} signals")
    if (reading.source_us > reading.time_us).any():
        _fail("a value was taken after the time of its reading")
    unusable = (reading.status & (Quality.BAD | Quality.MISSING)) != 0
    if (np.isnan(reading.values) != unusable).any():
        _fail("a value is NaN without a bad status, or the other way round")
    for name, count in list_counts(bench.signals).items():
        ids = reading.part_ids.get(name, ())
        if name in reading.part_ids and len(ids) != reading.values[bench.index[count]]:
            _fail(f"{name} lists {len(ids)} numbers, which is not {count}")


def _by_entity(events: Sequence[Event], names: dict[str, float]) -> dict[str, list[Event]]:
    times = [event.time_us for event in events]
    if times != sorted(times):
        _fail("events are not in the order of time")
    return {name: [e for e in events if e.entity == name] for name in names}


def _is_state(signal: Signal) -> bool:
    return signal.node.endswith("/StateCurrent")


def _inside(mv: Signal, now: float, reach: float = 0.25) -> float:
    """Another value inside the limits: up by a share of the room, or down from the upper half."""
    limits = mv.validity
    if limits is None:
        return now
    middle = (limits.lo + limits.hi) / 2.0
    goal = limits.hi if now <= middle else limits.lo
    return limits.clip(now + reach * (goal - now))


def _fail(what: str) -> None:
    raise EquipmentError(what)
