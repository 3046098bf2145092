"""A mapping file found on a live server: nodes, their types, and how the line is read there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from asyncua import Client, ua

from twin.config import Mapping as MappingFile
from twin.config.errors import KeyPath
from twin.config.mapping import ActSpec, NodeSpec
from twin.equipment.foreign import translation
from twin.equipment.foreign.addresses import Live, look, resolve
from twin.equipment.foreign.interpretation import Echo, Interpretation
from twin.equipment.foreign.meaning import Encoding, width_of
from twin.equipment.opcua_types import node_id
from twin.equipment.plc import PlcMode
from twin.signals import Signal

ASKED_FOR_TIME, ASKED_AGAIN_S = 6, 0.5
"""How often a server is asked what time it is before it counts as one that does not know."""
ECHO, COUNTER = "control.echo_seq", "UInt32"
"""The signal that echoes our sequence number, and the type of a counter where nobody names another."""
_OWN_WORD = {
    "control.mode": float(PlcMode.AUTO),
    "control.permit_remote": 1.0,
    "control.shed": 0.0,
    "control.echo_seq": 0.0,
    "control.result": 0.0,
}
"""What the loop's side says of the handshake where the file calls the PLC's word absent."""


@dataclass(frozen=True, slots=True)
class Located:
    """The nodes of a mapping file on a server: by address or path as it stands in the file."""

    ids: Mapping[str, ua.NodeId]
    live: Mapping[ua.NodeId, Live]

    def at(self, spec: NodeSpec | None) -> Live | None:
        """The node that an entry names, if the server has it."""
        return None if spec is None else self.live.get(self.ids.get(spec.where, ua.NodeId()))

    def type_of(self, part: ActSpec, otherwise: str) -> str:
        """The type that a part of the handshake is written as: the file's, else the node's own."""
        live = self.at(part.target)
        return part.type or ("" if live is None else live.type) or otherwise

    def missing(self, mapping: MappingFile) -> list[tuple[KeyPath, NodeSpec]]:
        """The entries whose node the server does not have."""
        return [(path, node) for path, node in mapping.nodes() if self.at(node) is None]


@dataclass(frozen=True, slots=True)
class Bound:
    """A mapping file on one server, for the time of one session. ``place`` is that of each signal."""

    mapping: MappingFile
    located: Located
    place: Mapping[str, int]
    encodings: Mapping[str, Encoding]
    interpretation: Interpretation = field(compare=False)

    def node(self, spec: NodeSpec) -> ua.NodeId:
        """The id of a node that the file names."""
        return self.located.ids[spec.where]


async def locate(client: Client, mapping: MappingFile) -> Located:
    """Look for every node that the file names."""
    specs = [node for _, node in mapping.nodes()]
    ids = await resolve(client, mapping.server.namespaces, specs)
    return Located(ids, await look(client, tuple(ids.values())))


def bind(mapping: MappingFile, signals: Sequence[Signal], located: Located, epoch_us: int) -> Bound:
    """The file on a server that has all its nodes. Raises ``PlantError`` for a type that is not known."""
    place = {signal.name: n for n, signal in enumerate(signals)}
    encodings = {}
    for signal in signals:
        spec = mapping.signals.get(signal.name)
        if spec is not None and spec.write is not None:
            live = located.at(spec.write)
            kind = "" if live is None else live.type
            encodings[signal.name] = translation.encoding(mapping, signal, kind)
    interpretation = _interpretation(mapping, signals, place, epoch_us)
    interpretation.echo = _echo(mapping, place, located)
    return Bound(mapping, located, place, encodings, interpretation)


def epoch_before(now: datetime, starts_at_h: float, utc_offset_h: float) -> datetime:
    """Plant time 0: the last time that the plant's clock showed this hour."""
    shift = timedelta(hours=utc_offset_h)
    local = now + shift
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    begin = midnight + timedelta(hours=starts_at_h)
    return (begin if begin <= local else begin - timedelta(days=1)) - shift


async def server_times(client: Client) -> tuple[datetime | None, datetime | None]:
    """When the server was started and what time it is there, as far as it says so.

    One that has just begun may take a second or two before it tells the time.
    """
    started, now = await _times(client)
    for _ in range(ASKED_FOR_TIME - 1):
        if now is not None:
            break
        await asyncio.sleep(ASKED_AGAIN_S)
        started, now = await _times(client)
    return started, now


async def _times(client: Client) -> tuple[datetime | None, datetime | None]:
    ids = (ua.ObjectIds.Server_ServerStatus_StartTime, ua.ObjectIds.Server_ServerStatus_CurrentTime)
    parameters = ua.ReadParameters()
    parameters.NodesToRead = [
        ua.ReadValueId(NodeId=node_id(number), AttributeId=ua.AttributeIds.Value) for number in ids
    ]
    started, now = (
        answer.Value.Value if answer.Value is not None else None
        for answer in await client.uaclient.read(parameters)
    )
    return _utc(started), _utc(now)


def _utc(told: object) -> datetime | None:
    return told.replace(tzinfo=UTC) if isinstance(told, datetime) else None


def _echo(mapping: MappingFile, place: Mapping[str, int], located: Located) -> Echo:
    """How far the PLC's echo counts: as far as our counter, or less where its own node holds less."""
    sequence, shown = mapping.handshake.sequence, mapping.signals.get(ECHO)
    if sequence is None or sequence.target is None or shown is None:
        return Echo()
    live = located.at(shown)
    kinds = [located.type_of(sequence, COUNTER), "" if live is None else live.type]
    widths = [width for kind in kinds if (width := width_of(kind)) is not None]
    return Echo(place[ECHO], min(widths, default=None))


def _interpretation(
    mapping: MappingFile, signals: Sequence[Signal], place: Mapping[str, int], epoch_us: int
) -> Interpretation:
    meanings = {
        n: translation.meaning(mapping, signal, epoch_us)
        for n, signal in enumerate(signals)
        if signal.name in mapping.signals
    }
    since = {}
    for n, signal in enumerate(signals):
        state = place.get(signal.name.removesuffix("_since_s"), -1)
        if signal.name.endswith(".state_since_s") and n not in meanings and state in meanings:
            since[n] = state
    sampled = [n for n, signal in enumerate(signals) if signal.sampled_s and n in meanings]
    unchanged = sampled if mapping.server.stamps == "change" else []
    return Interpretation(
        translation.status_rules(mapping),
        meanings,
        epoch_us,
        since,
        np.array(unchanged, dtype=np.intp),
        stand_ins={place[name]: v for name, v in _OWN_WORD.items() if mapping.why_absent(name)},
    )
