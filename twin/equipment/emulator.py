"""The emulator: a line with its PLC behind an OPC UA server, as real equipment would be.

Paced, plant time runs with the wall clock and all that changes is written each scan. In lockstep,
plant time moves by the method Advance only, and whatever is read afterwards carries its step.

Transitions travel as numbered records in ``Events/Latest``: each value holds those since the scan
or step before, a client that subscribes with a queue gets them all, and one that finds a number
missing reads the last thousand in ``Events/Recent``. OPC UA events could not be read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from asyncua import Server
from asyncua.common.callback import CallbackType

from twin.clock import WallClock, utc_now
from twin.equipment import address_space as nodes
from twin.equipment.asyncua_log import quiet_asyncua
from twin.equipment.faults import Faults
from twin.equipment.gate import Gate
from twin.equipment.history import Past, ServedHistory
from twin.equipment.image import Image
from twin.equipment.opcua_security import (
    INSECURE_URI,
    ServerSecurity,
    certify,
    closed_server,
    is_loopback,
    open_server,
)
from twin.equipment.plc import Plc
from twin.equipment.served_plc import ServedPlc
from twin.equipment.server import add_nodes
from twin.equipment.write_rules import least_roles

FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
"""The Monday on which plant time begins in lockstep; the hour is the plant file's."""


class OpenServer(ValueError):  # noqa: N818  (what it would be)
    """A server without encryption that others could reach."""

    hint = "give certificates and users, or serve this machine alone: --insecure --host 127.0.0.1"


class Emulated:
    """A line that is served over OPC UA as long as the context is open.

    Raises ``ValueError`` if it would be open to others: without ``security`` it needs ``insecure``
    and a loopback host. Port 0 takes a free one. A paced line runs ``speed`` times as fast as the
    wall clock, in scans of ``scan_s`` seconds of wall time. ``write_log`` is a file for everything
    that the PLC receives, ``shown_log`` one for what it shows, ``past`` a record of readings, from
    which history is served. ``faults`` is a file of faults to show on purpose, see ``faults``.
    """

    def __init__(
        self,
        plc: Plc,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        lockstep: bool,
        speed: float = 1.0,
        insecure: bool = False,
        security: ServerSecurity | None = None,
        scan_s: float = 0.1,
        write_log: Path | None = None,
        past: Past | None = None,
        shown_log: Path | None = None,
        faults: Path | None = None,
    ) -> None:
        if security is None and not (insecure and is_loopback(host)):
            raise OpenServer(f"refusing to serve {host} without encryption")
        if not (speed > 0.0 and scan_s > 0.0):
            msg = f"speed and scan must be positive, not {speed} and {scan_s} s"
            raise ValueError(msg)
        self.plc = plc
        self._host, self._port = host, port
        self._lockstep, self._speed, self._scan_s = lockstep, speed, scan_s
        self._security, self._write_log, self._past = security, write_log, past
        self._shown_log = shown_log
        self._faults = None if faults is None else Faults(faults)
        self._server: Server
        self._gate: Gate | None = None
        self._served: ServedPlc
        self._scanning: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> str:
        """Where clients find it; known once it is serving."""
        listening = self._server.bserver
        return self._url(self._port if listening is None else listening.port)

    async def __aenter__(self) -> Self:
        quiet_asyncua()
        if self._security is None:
            self._server = server = open_server()
        else:
            self._server, self._gate = closed_server(self._security)
            server = self._server
        await server.init()
        server.set_server_name("takttwin emulator")
        server.set_endpoint(self._url(self._port))
        if self._security is None:
            await server.set_application_uri(INSECURE_URI)
        else:
            await certify(server, self._security.pki)
        server.disable_clock()  # it would delay every stop by up to a second; see _scan
        self._served = ServedPlc(
            self.plc,
            self._write_log,
            lockstep=self._lockstep,
            shown_log=self._shown_log,
            faults=self._faults,
        )
        try:
            await self._build()
            await server.start()
        except BaseException:
            self._served.close()
            raise
        if not self._lockstep:
            self._scanning = asyncio.create_task(self._scan())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._scanning is not None:
            self._scanning.cancel()
            with suppress(asyncio.CancelledError):
                await self._scanning
        await self._server.stop()
        self._served.close()
        if self._gate is not None:
            self._gate.close()

    async def closed(self) -> None:
        """Wait as long as the line runs; raises what stopped a paced one."""
        await (self._scanning or asyncio.get_running_loop().create_future())

    def _url(self, port: int) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"opc.tcp://{host}:{port}/takttwin"

    async def _build(self) -> None:
        plc, server, served = self.plc, self._server, self._served
        space = nodes.line_nodes(plc.line, plc.signals)
        actions, keeps = served.actions(), self._past is not None
        for number in range(0 if self._faults is None else self._faults.plan.namespaces):
            await server.register_namespace(f"urn:takttwin:foreign:{number}")
        found = await add_nodes(server, space, actions, historised=keeps)
        if self._gate is not None:
            least = least_roles(space)
            self._gate.rules = {found[path]: (path, role) for path, role in least.items()}
        if self._lockstep:
            epoch = FIRST_DAY + timedelta(hours=plc.line.plant.energy.starts_at_h)
        else:
            epoch = datetime.fromisoformat(utc_now()) - timedelta(microseconds=plc.now_us)
        image = Image(
            server,
            space,
            found,
            plc.signals,
            epoch=epoch,
            paced=not self._lockstep,
            faults=self._faults,
        )
        if self._past is not None:
            signals = {
                found[v.path]: (plc.signals[v.signal].name, v.data_type)
                for v in space.variables
                if v.signal >= 0 and not v.words
            }
            served.history = ServedHistory(self._past, signals, image.stamp(0))
            server.iserver.history_manager.set_storage(served.history)
        await served.appear(image, found, self._speed)
        server.set_attribute_value_callback(found[nodes.RECENT], served.recent)
        server.subscribe_server_callback(CallbackType.PostWrite, served.written)
        server.subscribe_server_callback(CallbackType.PreRead, served.about_to_read)

    async def _scan(self) -> None:
        """The PLC's own rhythm; and the server's clock, which foreign clients watch."""
        clock = WallClock(self.plc.now_us, self._speed)
        scan_us = self.plc.scan_us = round(self._scan_s * self._speed * 1e6)
        due_us = clock.now_us()
        while True:
            due_us = max(due_us + scan_us, clock.now_us())
            await clock.sleep_until(due_us)
            await self._served.scan(clock.now_us())
            if self._gate is not None:
                self._gate.look()
            now = datetime.fromisoformat(utc_now())
            await self._server.iserver.current_time_node.write_value(now)


async def serve(
    plc: Plc,
    host: str = "127.0.0.1",
    port: int = 4840,
    *,
    lockstep: bool,
    speed: float = 1.0,
    insecure: bool = False,
    security: ServerSecurity | None = None,
    write_log: Path | None = None,
    past: Past | None = None,
    shown_log: Path | None = None,
    faults: Path | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a line until cancelled; ``ready`` is told the endpoint. See ``Emulated``."""
    async with Emulated(
        plc,
        host,
        port,
        lockstep=lockstep,
        speed=speed,
        insecure=insecure,
        security=security,
        write_log=write_log,
        past=past,
        shown_log=shown_log,
        faults=faults,
    ) as line:
        if ready is not None:
            ready(line.endpoint)
        await line.closed()
