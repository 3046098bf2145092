"""Cases that are properties of the loop: the real loop, guard and PLC in one process, far faster than time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, cast

import numpy as np

from twin.act.guard import Guard
from twin.act.memory import GuardMemory
from twin.chaos.restless import Restless
from twin.config import TunedPoint, load_plant, load_truth, untuned
from twin.cycle import Acknowledgement, Action, Batch, Cycle, Mode, Reading, Situation
from twin.equipment.plc import Plc, Result
from twin.equipment.simulated import SimulatedEquipment
from twin.kernels import draws
from twin.line.model import build_line
from twin.line.scenario import build_table, scenario_of
from twin.loop import ControlLoop
from twin.plugins import ControllerFactory
from twin.runtime import EquipmentClock, Runtime
from twin.sense.fusion import Fusion
from twin.signals import Quality, Role

if TYPE_CHECKING:
    from twin.protocols import Equipment

PLANT = "paint_cure_line"
HOUR_US = 3_600_000_000
QUALITY, DRIFT_PER_H, DRIFT_H = "oven.exit_cured_min", 0.05, 14.0
PARTS, STEPS = 10, 100_000
Change = Callable[[Reading], Reading]


def plc_of(seed: int, hours: float) -> Plc:
    """The true line with its PLC."""
    plant = load_plant(PLANT)
    course = scenario_of(plant, "nominal")
    line = build_line(plant, load_truth(PLANT, plant), "nominal", course.model_mismatch)
    table = build_table(plant, seed, draws.PLANT, hours, "nominal", None, None)
    return Plc(line, table, seed, course, "auto")


class Distorted:
    """Equipment whose readings are not as they were taken."""

    def __init__(self, equipment: Equipment, change: Change) -> None:
        self._equipment, self._change = equipment, change

    async def read(self) -> Reading:
        """All signals, changed."""
        return self._change(await self._equipment.read())

    async def write(self, batch: Batch) -> Acknowledgement:
        """As it is."""
        return await self._equipment.write(batch)

    async def command(self, verb: str, argument: float = 0.0) -> None:
        """As it is."""
        await self._equipment.command(verb, argument)


def course(
    seed: int,
    hours: float,
    change: Change,
    make: ControllerFactory = Restless,
    point: TunedPoint | None = None,
) -> tuple[Plc, list[Cycle]]:
    """Turns of a closed loop until it leaves CLOSED, or all of them; from the recipe, if no point is given."""
    plc = plc_of(seed, hours)
    line = build_line(load_plant(PLANT))
    loop = ControlLoop(line, make(line, point or untuned(line.plant)), 0, "auto")
    equipment = Distorted(SimulatedEquipment(plc), change)
    runtime = Runtime(loop, equipment, EquipmentClock(equipment))
    runtime.command("close", "chaos")
    cycles: list[Cycle] = []
    was_closed = False

    def watch(cycle: Cycle) -> None:
        nonlocal was_closed
        cycles.append(cycle)
        was_closed = was_closed or cycle.decision.mode is Mode.CLOSED
        if was_closed and cycle.decision.mode is not Mode.CLOSED:
            runtime.stop()

    asyncio.run(runtime.run(0, round(hours * HOUR_US), watch))
    return plc, cycles


def drifting(folder: Path, seed: int) -> list[str]:
    """A quality's instrument drifts from the second hour on: the model must be doubted in time.

    In time is before the mean of ten parts, as the instrument shows it, has left its band.
    """
    place, band = place_of(QUALITY), _band(QUALITY)
    seen: list[tuple[int, float]] = []

    def change(reading: Reading) -> Reading:
        hours = max(0.0, reading.time_us / HOUR_US - 1.0)
        values = reading.values.copy()
        values[place] *= 1.0 + DRIFT_PER_H * hours
        if not seen or seen[-1][1] != values[place]:
            seen.append((reading.time_us, float(values[place])))
        return replace(reading, values=values)

    plc, cycles = course(seed, DRIFT_H, change)
    last = cycles[-1].decision
    found = refusals(plc)
    shown = [value for _, value in seen]
    outside_us = next(
        (
            at_us
            for n, (at_us, _) in enumerate(seen, 1)
            if at_us > HOUR_US and fmean(shown[max(0, n - PARTS) : n]) > band[1]
        ),
        None,
    )
    doubted = last.mode is Mode.ADVISORY and "model is in doubt" in "; ".join(last.reasons)
    when = f"{last.time_us / HOUR_US:.2f} h"
    if last.time_us < HOUR_US:
        found.append(f"{last.mode} before anything drifted: {'; '.join(last.reasons)}")
    elif not doubted:
        found.append(f"{last.mode} at {when}, and no doubt in the model")
    elif outside_us is not None and outside_us < last.time_us:
        found.append(f"doubted at {when}, outside its band at {outside_us / HOUR_US:.2f} h")
    return found


def gone_for_an_hour(folder: Path, seed: int) -> list[str]:
    """A sensor that is not critical fails for the second hour: nothing may come of it."""
    place = place_of("booth.power_kw")

    def change(reading: Reading) -> Reading:
        if not HOUR_US < reading.time_us <= 2 * HOUR_US:
            return reading
        values, status = reading.values.copy(), reading.status.copy()
        values[place], status[place] = np.nan, int(Quality.BAD)
        return replace(reading, values=values, status=status)

    plc, cycles = course(seed, 2.25, change)
    last = cycles[-1].decision
    found = refusals(plc)
    if last.mode is not Mode.CLOSED:
        found.append(f"{last.mode} at {last.time_us / 1e6:.0f} s: {'; '.join(last.reasons)}")
    return found


def hostile(folder: Path, seed: int) -> list[str]:
    """Random, bang-bang and constant asking for 100,000 turns: the PLC has nothing to refuse or clip."""
    control = load_plant(PLANT).control
    period_us = round(control.period_s * 1e6)
    plc = plc_of(seed, STEPS * control.period_s / 3600.0 + 1.0)
    asks = Restless(plc.line, untuned(plc.line.plant))
    mvs = [signal for signal in plc.signals if signal.role is Role.MV]
    guard, memory = Guard(plc.signals, control), GuardMemory()
    fusion = Fusion(plc.signals, control.stale_after_s)
    sense = fusion.begin()
    answer: Acknowledgement | None = None
    commands: tuple[str, ...] = ("close",)
    nobody = cast("Situation", None)
    closed = 0
    for turn in range(STEPS):
        plc.advance(turn * period_us)
        observation = fusion.observe(plc.reading(), sense)
        how = (asks.anything, asks.bang_bang, asks.most)[turn * 3 // STEPS]
        action: Action = how(mvs, nobody)
        decision = guard.grant(action, observation, commands, answer, memory)
        commands, answer = (), None
        if decision.command:
            plc.command(decision.command)
        if decision.batch is not None:
            given = plc.apply(decision.batch)
            answer = replace(given, answered_us=plc.now_us) if decision.batch.setpoints else None
        closed += decision.mode is Mode.CLOSED
    found = refusals(plc)
    if closed < STEPS - 10:
        found.append(f"closed in {closed} of {STEPS} turns only: {'; '.join(memory.reasons)}")
    if len(plc.written) < STEPS // 10:
        found.append(f"{len(plc.written)} writes say too little")
    return found


def refusals(plc: Plc) -> list[str]:
    """What the PLC had to refuse, or to clip, of all that it received."""
    wrong = [one for one in plc.written if one.result is not Result.OK]
    if not wrong:
        return []
    one = wrong[0]
    return [
        f"{len(wrong)} writes were not right, the first {one.signal} = {one.value}: {one.result.name}"
    ]


def place_of(name: str) -> int:
    """Where a signal stands in a reading."""
    return next(n for n, s in enumerate(plc_of(1, 1.0).signals) if s.name == name)


def _band(name: str) -> tuple[float, float]:
    station, _, sensor = name.partition(".")
    band = load_plant(PLANT).station(station).sensors[sensor].band
    assert band is not None
    return band
