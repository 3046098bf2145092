"""A desk with as much of a running loop behind it as it sees, and who asks there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from twin.act.memory import GuardMemory
from twin.act.told import hear
from twin.cli.desk import Desk
from twin.cli.lease import Lease
from twin.cli.local_socket import Peer, ask
from twin.cycle import Action, Cycle, Decision, Health, Mode, Reading
from twin.loop import ControlLoop
from twin.runtime import Runtime
from twin.signals import Limits, Role, Signal
from twin.store.audit import Audit

TAKT = Signal(
    "line.takt_s",
    "s",
    Role.MV,
    "Line/Takt",
    Limits(20.0, 400.0),
    Limits(40.0, 200.0),
    Limits(60.0, 120.0),
)
STANDBY = Signal("wash.standby", "1", Role.MV, "Stations/wash/Standby")


class Loop:
    mode = Mode.ADVISORY
    mvs = ("line.takt_s", "wash.standby")
    limited = ControlLoop.limited

    def __init__(self) -> None:
        self.memory = SimpleNamespace(guard=GuardMemory())
        self.signals = (TAKT, STANDBY)
        self.health: dict[str, Health] = {}


class Line:
    """As much of a runtime as the desk sees; each turn ends in the mode that was set for it."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.latest: Cycle | None = None
        self.commands: list[str] = []
        self.next = Mode.ADVISORY
        self.mvs = {signal.name: signal for signal in self.loop.signals}
        self._equipment = None
        self._woken = asyncio.Event()

    command = Runtime.command

    @property
    def _commands(self) -> list[str]:
        return self.commands

    def turn(
        self, desk: Desk, commands: tuple[str, ...] | None = None, action: Action | None = None
    ) -> None:
        taken = tuple(self.commands) if commands is None else commands
        none = np.zeros(0)
        whole = none.astype(np.int64)
        for command in taken:
            hear((command,), self.mvs, self.loop.memory.guard, {}, {})
        decision = Decision(30_000_000, self.next, ("because",), action or Action({}), None, ())
        self.latest = Cycle(1, Reading(30_000_000, 0, none, whole, whole), taken, None, decision)
        self.loop.mode = self.next
        desk.turned(self.latest)


def desk_of(line: Any, audit: Audit, lease: Lease | None = None, trouble: str = "") -> Desk:
    return Desk(line, audit, {"run": "r-1"}, lease, lambda: trouble, lambda: 3600.0)


ANN = Peer("ann", is_owner=True)


async def asked(folder: Path, **request: object) -> dict[str, Any]:
    return await asyncio.to_thread(ask, folder, request)
