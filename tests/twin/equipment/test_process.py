from __future__ import annotations

import asyncio
import json
import os
import signal

import pytest

from tests.twin.equipment.lines import (
    PERIOD_US,
    SPEED,
    assert_same,
    batch,
    emulator_process,
    plant,
    plc,
    signals,
    value,
)
from twin.cycle import Outcome
from twin.equipment import own_line
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.simulated import SimulatedEquipment

PATIENCE_S = 240.0


async def test_a_process_of_its_own_shows_the_same_line(tmp_path):
    log = tmp_path / "writes.jsonl"
    direct = SimulatedEquipment(plc(8))
    async with (
        asyncio.timeout(PATIENCE_S),
        emulator_process("--lockstep", "--seed", "8", "--write-log", str(log)) as (process, told),
        OpcUaEquipment.connect(
            told["endpoint"], signals(), plant_hash=plant().config_hash
        ) as remote,
    ):
        assert told["pid"] == process.pid
        for side in (remote, direct):
            await side.command("RequestRemote")
        for k in range(1, 61):
            for side in (remote, direct):
                await side.command("Advance", float(k * PERIOD_US))
            assert_same(await remote.read(), await direct.read())
            asked = batch(k, k * PERIOD_US, **{SPEED: 220.0 + k % 5})
            assert await remote.write(asked) == await direct.write(asked)
        assert len(log.read_text().splitlines()) == 60


async def test_it_stops_on_sigterm_without_a_word(tmp_path):
    async with asyncio.timeout(PATIENCE_S), emulator_process("--lockstep") as (process, _):
        process.send_signal(signal.SIGTERM)
        out, errors = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in out + errors
        assert "no encryption" in errors.decode()


async def test_it_does_not_outlive_its_parent():
    async with asyncio.timeout(PATIENCE_S), emulator_process("--speed", "10") as (process, _):
        process.stdin.close()
        assert await process.wait() == 0


@pytest.mark.parametrize("mode", [("--lockstep",), ("--speed", "60")], ids=["lockstep", "paced"])
async def test_a_killed_server_is_noticed_and_its_successor_is_found(mode):
    async with asyncio.timeout(PATIENCE_S), emulator_process(*mode) as (process, told):
        endpoint = told["endpoint"]
        port = endpoint.split(":")[2].split("/")[0]
        async with OpcUaEquipment.connect(
            endpoint, signals(), plant_hash=plant().config_hash
        ) as equipment:
            if equipment.lockstep:
                await equipment.command("Advance", float(20 * PERIOD_US))
            before = await equipment.read()
            process.kill()
            async with asyncio.timeout(5):
                await equipment.wait_connected(connected=False)
            with pytest.raises(ConnectionError):
                await equipment.read()
            with pytest.raises(ConnectionError):
                await equipment.write(batch(1, before.time_us))
            with pytest.raises(ConnectionError):
                await equipment.command("RequestRemote")
            async with emulator_process(*mode, "--port", port):
                await equipment.wait_connected()
                (gap,) = equipment.drain_gaps()
                assert before.time_us <= gap.from_us <= gap.until_us
                assert gap.reason == "connection lost, new session"
                after = await equipment.read()
                assert value(after, "control.mode") == 2.0  # nobody is in remote control
                assert after.time_us >= before.time_us  # plant time goes on
                for instant in ("milling.state_since_s", "line.last_release_s"):
                    assert value(after, instant) * 1e6 >= gap.from_us
                if equipment.lockstep:
                    assert (after.time_us, after.step) == (before.time_us, 0)
                    await equipment.command("Advance", float(21 * PERIOD_US))
                    assert (await equipment.read()).time_us == 21 * PERIOD_US
                await equipment.command("RequestRemote")
                answer = await equipment.write(batch(1, after.time_us + 10**9, **{SPEED: 220.5}))
                assert answer.outcome in (Outcome.ACCEPTED, Outcome.MISMATCH)


async def test_a_write_without_an_answer_is_unknown_and_not_repeated(tmp_path):
    """A frozen server carries the write out once it thaws: nobody may have called it failed."""
    log = tmp_path / "writes.jsonl"
    async with (
        asyncio.timeout(PATIENCE_S),
        emulator_process("--lockstep", "--write-log", str(log)) as (process, told),
        OpcUaEquipment.connect(
            told["endpoint"], signals(), plant_hash=None, timeout_s=1.5
        ) as equipment,
    ):
        await equipment.command("RequestRemote")
        await equipment.command("Advance", float(PERIOD_US))
        os.kill(process.pid, signal.SIGSTOP)
        answer = await equipment.write(batch(1, PERIOD_US, **{SPEED: 230.0}))
        assert answer.outcome is Outcome.UNKNOWN
        assert answer.active == {}
        await equipment.wait_connected(connected=False)
        os.kill(process.pid, signal.SIGCONT)
        await equipment.wait_connected()
        reading = await equipment.read()
        assert value(reading, SPEED) == 230.0
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        assert [row["value"] for row in rows] == [230.0]


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
async def test_a_server_that_dies_in_the_middle_of_a_step_does_not_hold_us(frozen):
    async with (
        asyncio.timeout(PATIENCE_S),
        emulator_process("--lockstep") as (process, told),
        OpcUaEquipment.connect(
            told["endpoint"], signals(), plant_hash=None, timeout_s=1.5
        ) as equipment,
    ):
        os.kill(process.pid, signal.SIGSTOP)
        step = asyncio.create_task(equipment.command("Advance", float(PERIOD_US)))
        await asyncio.sleep(0.1)
        assert not step.done()
        if not frozen:
            process.kill()
        async with asyncio.timeout(6.0):
            with pytest.raises(ConnectionError, match=r"(?i)connection (is closed|lost)"):
                await step
        assert not equipment.connected
        if frozen:
            process.kill()


@pytest.mark.parametrize(
    "answer",
    [
        ["PERHAPS", "OK", [230.0]],  # a word that we do not know
        ["ACCEPTED", "OK", [230.0, 0.3]],  # more values than asked
        ["ACCEPTED", "OK", None],
        ["ACCEPTED", "OK", ["fast"]],
        ["ACCEPTED"],
        RuntimeError("undecodable"),
    ],
    ids=str,
)
async def test_an_odd_answer_to_a_write_is_unknown(monkeypatch, answer):
    async def odd(*_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with (
        Emulated(plc(), lockstep=True, insecure=True) as line,
        OpcUaEquipment.connect(line.endpoint, signals(), plant_hash=None) as equipment,
    ):
        monkeypatch.setattr(own_line, "call", odd)
        told = await equipment.write(batch(1, 0, **{SPEED: 230.0}))
        assert (told.sequence, told.outcome, told.active) == (1, Outcome.UNKNOWN, {})
        assert told.detail
