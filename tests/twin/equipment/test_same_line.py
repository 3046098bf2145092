from __future__ import annotations

import asyncio

import pytest

from tests.twin.equipment.lines import PLANTS, assert_same, mvs, plant, plc, signals
from twin.cycle import Batch
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.simulated import SimulatedEquipment
from twin.signals import Quality, Setpoint, Signal


def wanted(mv: Signal, k: int) -> float:
    """Some value of its range, now and then one outside of it."""
    limits = mv.engineering or mv.validity
    assert limits is not None
    if mv.discrete:
        return float(k // 10 % 2)
    width = limits.hi - limits.lo
    return limits.hi + width if k % 11 == 0 else limits.lo + k % 9 / 9 * width


@pytest.mark.parametrize("scenario", ["nominal", "sensor_faults"])
@pytest.mark.parametrize("name", PLANTS)
async def test_readings_are_those_of_the_simulated_line_bit_for_bit(name, scenario):
    period_us = round(plant(name).control.period_s * 1e6)
    served = plc(5, scenario, name)
    direct = SimulatedEquipment(plc(5, scenario, name))
    bad = with_events = 0
    outcomes = set()
    async with (
        Emulated(served, lockstep=True, insecure=True) as line,
        OpcUaEquipment.connect(line.endpoint, signals(name), plant_hash=None) as remote,
    ):
        assert remote.missing == ()
        assert remote.lockstep
        for k in range(1, 301):
            for side in (remote, direct):
                if k == 4:
                    await side.command("RequestRemote")
                if k == 200:  # an operator takes the permit away and gives it back
                    await side.command("PermitRemote", 0.0)
                if k == 220:
                    await side.command("PermitRemote", 1.0)
                    await side.command("ResetShed")
                    await side.command("RequestRemote")
                await side.command("Advance", float(k * period_us))
                if k % 7 == 0:  # two steps between readings
                    await side.command("Advance", float(k * period_us + 1234567))
            one, other = await remote.read(), await direct.read()
            assert_same(one, other)
            bad += int((one.status == Quality.BAD).any())
            with_events += bool(one.events)
            asked = Batch(
                k,
                k,
                tuple(Setpoint(mv.name, wanted(mv, k)) for mv in mvs(name)),
                one.time_us + 10_000_000,
            )
            answer = await remote.write(asked)
            assert answer == await direct.write(asked)
            outcomes.add(answer.detail)
            if k % 3 == 0:  # what the write has caused shows at once, events too
                one, other = await remote.read(), await direct.read()
                assert_same(one, other)
                with_events += bool(one.events)
    assert with_events > 30
    assert {"NOT_REMOTE", "CLAMPED"} <= outcomes
    assert bool(bad) == (scenario == "sensor_faults")


async def test_a_paced_oven_tells_which_carriers_are_inside():
    name = "paint_cure_line"
    async with (
        asyncio.timeout(60.0),
        Emulated(plc(3, name=name), lockstep=False, speed=300.0, insecure=True) as line,
        OpcUaEquipment.connect(
            line.endpoint, signals(name), plant_hash=None, fast_ms=50.0
        ) as equipment,
    ):
        clock = equipment.clock()
        places = len(line.plc.tags.part_ids(line.plc.state)["oven"])
        reading = await equipment.read()
        assert len(reading.part_ids["oven"]) == places
        while not any(reading.part_ids["oven"]):
            await clock.sleep_until(clock.now_us() + 10_000_000)
            reading = await equipment.read()
        assert len(reading.part_ids["oven"]) == places
