from __future__ import annotations

import asyncio

import pytest

from benchmarks.anchor_lines import Machine, serial_plant
from tests.properties.random_plants import MIX
from tests.twin.equipment.lines import PLANTS, assert_same, mvs, plant, plc, signals
from tests.twin.line.small_lines import changed
from twin.config import Plant
from twin.cycle import Batch
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.plc import Plc
from twin.equipment.simulated import SimulatedEquipment
from twin.line.model import Line, build_line
from twin.line.tags import line_signals
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


def rich() -> Line:
    """A line that has one of each: a crew, a belt, a batch, a supply, rework, a setup, a service."""
    stop = {"mean_between_s": {"value": 300.0}, "mean_repair_s": {"value": 40.0}}
    changes = {
        "disturbances": {"size": MIX},
        "source.mixed_by": "size",
        "source.takt_s.start": 25.0,
        "crews": ({"name": "ann", "people": 1, "on_duty_h": ((6.0, 6.5), (6.6, 30.0))},),
        "supplies": ({"name": "lids", "gives_to": "b_lids", "every_s": 20.0, "component_kg": 0.2},),
        "buffers.0.capacity": {"value": 4.0},
        "buffers.1.transit_s": 33.3,
        "stations.0.batch": {"parts": 2},
        "stations.0.needs": {"repair": ("ann",), "work": ("ann",)},
        "stations.2.needs": {"work": ("ann",), "repair": ("ann",)},
        "stations.2.failures": {"stop": stop},
        "stations.0.failures": {"stop": stop},
        "stations.0.service": {"every_parts": 9, "service_s": 25.0},
        "stations.1.setup": {"default_s": 12.0},
        "stations.1.also_takes": ({"takes_from": "b_lids", "parts": 1},),
        "stations.1.inspects": True,
        "stations.1.inspection": {"false_alarms": 0.2, "rework_to": "infeed"},
    }
    plant = serial_plant([Machine(11.0), Machine(9.0), Machine(8.0)], [4, 4])
    data = plant.model_dump(by_alias=True)
    lids = {"name": "b_lids", "capacity": {"value": 3.0}}
    plant = Plant.model_validate({**data, "buffers": (*data["buffers"], lids)})
    return build_line(changed(plant, changes))


async def test_a_line_of_all_elements_shows_the_same_over_the_network():
    line = rich()

    def plc_of() -> Plc:
        table = [q for minute in range(60) for q in (1.0 + minute // 3 % 2, 1e9, 1.0)]
        return Plc(line, table, 5, line.plant.scenarios["nominal"])

    shown = line_signals(line)
    lists, told, waited = set(), set(), 0
    async with (
        Emulated(plc_of(), lockstep=True, insecure=True) as served,
        OpcUaEquipment.connect(served.endpoint, shown, plant_hash=None) as remote,
    ):
        direct = SimulatedEquipment(plc_of())
        assert remote.missing == ()
        for k in range(1, 121):
            for side in (remote, direct):
                await side.command("Advance", float(k * 17_000_000))
            one, other = await remote.read(), await direct.read()
            assert_same(one, other)
            lists |= {name for name, numbers in one.part_ids.items() if numbers}
            at = {q.name: value for q, value in zip(shown, one.values, strict=True)}
            waited += any(
                at[f"{m}.repair_since_s"] > at[f"{m}.state_since_s"] for m in ("m0", "m2")
            )
            told |= {q.name for q, value in zip(shown, one.values, strict=True) if value > 0.0}
    assert lists >= {"line.components", "line.rework", "b0.arrivals_us", "m0"}
    assert told >= {"m0.waits_for", "m0.attended_by", "ann.on_duty"}
    assert waited > 0  # the crew came later than the failure
    assert told >= {"m0.serviced_op_count", "lids.last_release_s", "b0.on_belt_count"}
