"""How a line is found on an OPC UA server, and the connection to it.

Nothing is remembered across connections: namespace index, nodes, epoch and speed are looked up by
namespace URI and path each time, and the server must prove by its ConfigHash that it runs the plant
file that we know.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlparse

from asyncua import Client, ua
from asyncua.ua.ua_binary import struct_from_binary

from twin.equipment import address_space as nodes
from twin.equipment.ending import end
from twin.equipment.opcua_security import ClientSecurity, Unknown, is_loopback, secure_client
from twin.equipment.opcua_types import node_id, refusal
from twin.equipment.pki import CertificateError
from twin.equipment.wire import FILETIME_UNIX_US
from twin.signals import Signal

SESSION_MS = 30_000
"""A dead peer's session is released after this time."""
_T = TypeVar("_T")
_DEPTH = len(("enterprise", "site", "area", "line"))


class NoServer(ConnectionError):  # noqa: N818  (what it is, as callers see it)
    """Nobody answers at this address, or whoever does lets us not in."""

    hint = "start the emulator, or check the address"


REMEDIES = {
    ua.StatusCodes.BadCertificateUntrusted: "trust this side's certificate there: twin cert list here, "
    "twin cert trust there",
    ua.StatusCodes.BadCertificateTimeInvalid: "make a new certificate here and trust it there: twin cert new",
    ua.StatusCodes.BadUserAccessDenied: "check user and password; there: twin user list",
    ua.StatusCodes.BadSecurityPolicyRejected: "the server wants encryption: leave out --insecure",
}
"""What to do where a server that answers does not let us in."""


class OpenNetwork(ConnectionRefusedError):  # noqa: N818
    """Another machine is not talked to without encryption: refused on our side."""

    hint = "leave out --insecure: it is for this machine alone"


class WrongServer(ConnectionError):  # noqa: N818
    """A server answers, but it does not run this plant."""

    hint = "give both the same plant file, or check the address"


@dataclass(frozen=True, slots=True)
class Found:
    """A line on a server, as it was found at one connection.

    ``values`` has one node a signal, None where the server has none. ``epoch_us`` is the microsecond
    since 1601 at which plant time began. ``started`` changes when the server is started again.
    """

    root: ua.NodeId
    values: tuple[ua.NodeId | None, ...]
    part_ids: dict[str, ua.NodeId]
    others: dict[str, ua.NodeId]
    entities: tuple[str, ...]
    epoch_us: int
    speed: float
    lockstep: bool
    started: datetime | None
    barred: Mapping[str, str] = field(default_factory=dict)
    """MVs that cannot be written here, and why: as far as the server tells it without a write."""
    unclosable: str = ""
    """Why no loop must be closed on this line, whatever an operator says; empty if one may."""


async def dial(url: str, timeout_s: float, security: ClientSecurity | None) -> Client:
    """A connected client. Raises ``ConnectionError`` if nobody answers or we are refused."""
    host = urlparse(url).hostname or ""
    if security is None and not is_loopback(host):
        msg = f"refusing to talk to {host} without encryption"
        raise OpenNetwork(msg)
    client = Client(
        url,
        timeout=timeout_s,
        watchdog_intervall=1.0,
        auto_reconnect=True,
        reconnect_max_delay=1.0,
        reconnect_request_timeout=timeout_s,
    )
    client.session_timeout = SESSION_MS
    client.name = client.description = "takttwin"
    try:
        if security is not None:
            await secure_client(client, security, timeout_s)
        await client.connect()
    except (Unknown, CertificateError):
        raise
    except (OSError, ua.UaError) as error:  # a time-out is an OSError
        closed = NoServer(f"no OPC UA server lets us in at {url} ({reason_of(error)})")
        closed.hint = REMEDIES.get(getattr(error, "code", 0), NoServer.hint)
        raise closed from error
    return client


def reason_of(error: Exception) -> str:
    """Why an address could not be used. The system's word alone: others repeat the address."""
    if isinstance(error, OSError):
        known = error.errno is not None and error.errno > 0  # a name that is not found has none
        return os.strerror(error.errno or 0) if known else error.strerror or repr(error)
    return str(error) or type(error).__name__


async def request(client: Client, message: Any, timeout_s: float) -> Any:
    """Send one service request and return the undecoded answer."""
    if client.uaclient.protocol is None:
        raise ConnectionError("the connection is closed")
    _given_up_after(client.uaclient.protocol.transport, timeout_s)
    return await client.uaclient.protocol.send_request(message, timeout_s)


def _given_up_after(transport: asyncio.Transport | None, timeout_s: float) -> None:
    """Have the system give up a connection whose other side does not take what was sent in this time.

    Else it goes on sending after we have closed it, and a network that comes back brings a setpoint of long ago to
    a PLC that knows no deadline. Set at each request, since the library connects anew by itself.
    """
    connection = None if transport is None else transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
        connection.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, round(1e3 * timeout_s))
        )


async def unless(lost: Coroutine[Any, Any, str], wanted: Coroutine[Any, Any, _T]) -> _T:
    """What is wanted; ``ConnectionError`` if ``lost`` returns first: it tells the reason."""
    losing, asking = asyncio.create_task(lost), asyncio.create_task(wanted)
    try:
        await asyncio.wait((losing, asking), return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise ConnectionError(losing.result())
        return asking.result()
    finally:
        await end(losing, asking)


async def call(
    client: Client, found: Found, path: str, arguments: list[ua.Variant], timeout_s: float
) -> list[Any]:
    """Call a method of the line; returns plain values. Raises ``UaStatusCodeError`` if refused."""
    if path not in found.others:
        raise refusal(ua.StatusCodes.BadMethodInvalid)
    folder = found.others[path.rpartition("/")[0]]
    return await call_method(client, folder, found.others[path], arguments, timeout_s)


async def call_method(
    client: Client,
    of: ua.NodeId,
    method: ua.NodeId,
    arguments: list[ua.Variant],
    timeout_s: float,
) -> list[Any]:
    """Call a method of an object, once; plain values. Raises ``UaStatusCodeError`` if refused."""
    message = ua.CallRequest()
    message.Parameters.MethodsToCall = [ua.CallMethodRequest(of, method, arguments)]
    answer = struct_from_binary(ua.CallResponse, await request(client, message, timeout_s))
    answer.ResponseHeader.ServiceResult.check()
    result = answer.Results[0]
    if result.StatusCode.is_bad():  # uncertain: done, and the answer says what is the matter
        result.StatusCode.check()
    return [variant.Value for variant in result.OutputArguments]


async def find_line(client: Client, signals: Sequence[Signal], plant_hash: str | None) -> Found:
    """Look the line up. Raises ``WrongServer`` if it is not there or runs another plant file."""
    names = await client.get_namespace_array()
    if nodes.NAMESPACE not in names:
        raise WrongServer(f"the server does not know the namespace {nodes.NAMESPACE}")
    index = names.index(nodes.NAMESPACE)
    root = await _root(client, index, plant_hash)
    parts = nodes.part_id_paths(signals)
    paths = [nodes.value_path(signal) for signal in signals]
    others = [nodes.SIM_TIME, nodes.STEP, nodes.EPOCH, nodes.SPEED, nodes.LOCKSTEP]
    others += [nodes.ENTITIES, nodes.LATEST, nodes.RECENT, nodes.APPLY, nodes.ADVANCE]
    others += [*nodes.VERBS.values(), "Control", nodes.CONFIG_HASH]
    there = await _translate(client, root, [*paths, *parts.values(), *others], index)
    start = node_id(ua.ObjectIds.Server_ServerStatus_StartTime)
    given = await _values(client, there, start)
    epoch = given.get(nodes.EPOCH)
    return Found(
        root,
        tuple(there.get(path) for path in paths),
        {name: there[path] for name, path in parts.items() if path in there},
        {path: there[path] for path in others if path in there},
        tuple(given.get(nodes.ENTITIES) or ()),
        FILETIME_UNIX_US if epoch is None else ua.datetime_to_win_epoch(epoch) // 10,
        float(given.get(nodes.SPEED) or 1.0),
        bool(given.get(nodes.LOCKSTEP)),
        given["started"],
    )


async def _root(client: Client, index: int, plant_hash: str | None) -> ua.NodeId:
    """The line object whose ConfigHash is ours, among all lines of the namespace."""
    level = [client.nodes.objects]
    for _ in range(_DEPTH):
        below = []
        for _, result in await client.browse_nodes(level):
            below += [
                client.get_node(reference.NodeId)
                for reference in result.References
                if reference.IsForward
                and reference.NodeClass is ua.NodeClass.Object
                and reference.NodeId.NamespaceIndex == index
            ]
        level = below
        if not level:
            break
    hashes = []
    for node in level:
        there = await _translate(client, node.nodeid, [nodes.CONFIG_HASH], index)
        if nodes.CONFIG_HASH in there:
            hashed = await client.get_node(there[nodes.CONFIG_HASH]).read_value()
            if plant_hash in (None, hashed):
                return node.nodeid
            hashes.append(hashed)
    if not hashes:
        raise WrongServer("the server has no line with an Identification/ConfigHash")
    msg = (
        f"the server runs another plant file: its ConfigHash is {', '.join(hashes)}, "
        f"ours {plant_hash}"
    )
    raise WrongServer(msg)


async def _translate(
    client: Client, root: ua.NodeId, paths: Sequence[str], index: int
) -> dict[str, ua.NodeId]:
    """The nodes at these paths below another; those that do not exist are left out."""
    relative = ["".join(f"/{index}:{name}" for name in path.split("/")) for path in paths]
    results = await client.translate_browsepaths(root, relative)
    return {
        path: result.Targets[0].TargetId
        for path, result in zip(paths, results, strict=True)
        if result.StatusCode.is_good() and result.Targets
    }


async def _values(client: Client, there: dict[str, ua.NodeId], start: ua.NodeId) -> dict[str, Any]:
    asked = [nodes.EPOCH, nodes.SPEED, nodes.LOCKSTEP, nodes.ENTITIES]
    known = [path for path in asked if path in there]
    wanted = [*(there[path] for path in known), start]
    read = await client.read_values([client.get_node(node) for node in wanted])
    return dict(zip([*known, "started"], read, strict=True))
