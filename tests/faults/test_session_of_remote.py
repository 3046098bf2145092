"""Remote control belongs to a session: a loop whose session was renewed asks for it before it writes again."""

from __future__ import annotations

import asyncio

import pytest

from tests.twin.equipment.lines import plant, plc, signals
from tests.twin.equipment.wires import Wire
from twin.cycle import Action, Cycle, Mode, Outcome, Situation
from twin.equipment import opcua
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.plc import PlcMode
from twin.line.model import build_line
from twin.loop import ControlLoop
from twin.runtime import Runtime

ASLEEP = "wash.standby"
PATIENCE_S = 240.0


class Restless:
    """Turns a machine off and on: each turn has a write."""

    def decide(self, situation: Situation) -> Action:
        return Action({ASLEEP: 1.0 - situation.active[ASLEEP]})


async def test_a_loop_goes_on_in_a_new_session_without_a_refused_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opcua, "RETURN_S", 0.0)
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, insecure=True) as line,
        Wire(line.endpoint) as wire,
        OpcUaEquipment.connect(
            wire.endpoint, signals(), plant_hash=None, timeout_s=10.0, fast_ms=50.0
        ) as equipment,
    ):
        loop = ControlLoop(build_line(plant()), Restless(), 0)
        runtime = Runtime(loop, equipment, equipment.clock(), paced=True)
        cycles: list[Cycle] = []

        async def until_accepted() -> None:
            answer = None
            while answer is None:
                cycles.append(await runtime.turn(equipment.clock().now_us()))
                answer, mode = cycles[-1].acknowledged, cycles[-1].decision.mode
                assert mode in (Mode.INIT, Mode.CLOSED, Mode.HOLD), cycles[-1].decision.reasons
            assert answer.outcome is Outcome.ACCEPTED, answer

        runtime.command("close", "a trial")
        await until_accepted()
        first = equipment._session
        wire.cut()
        await equipment.wait_connected(connected=False)
        wire.mend()
        await equipment.wait_connected()
        assert equipment._session is not first
        assert line.plc.mode is PlcMode.REMOTE  # by a session that is no more
        del cycles[:]
        cycles.append(await runtime.turn(equipment.clock().now_us()))  # the last answer from before
        await until_accepted()
    assert cycles[0].decision.mode is Mode.HOLD
    assert cycles[0].decision.command == "RequestRemote"
    assert cycles[-1].decision.mode is Mode.CLOSED
