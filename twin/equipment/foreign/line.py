"""A line behind a foreign server: found, read, written and asked as its mapping file says.

What the server cannot do the loop's side stands in for, as far as the file calls it absent: a PLC
without a mode word is in remote control from our request to our release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from asyncua import Client, ua

from twin.config import Mapping, Plant
from twin.cycle import Acknowledgement, Batch
from twin.equipment import address_space as nodes
from twin.equipment.binding import Refusal
from twin.equipment.foreign import translation, writing
from twin.equipment.foreign.bound import Bound, bind, epoch_before, locate, server_times
from twin.equipment.foreign.capability import barred
from twin.equipment.foreign.interpretation import Interpretation
from twin.equipment.opcua_link import Found, WrongServer
from twin.equipment.opcua_types import node_id
from twin.equipment.plc import PlcMode
from twin.signals import Signal

_NAMED = 5
"""So many nodes that are missing are told by name."""
_CLOCK = node_id(ua.ObjectIds.Server_ServerStatus_CurrentTime)
_VERBS = {
    "RequestRemote": "request_remote",
    "ReleaseRemote": "release_remote",
    "ResetShed": "reset_shed",
}


class LackingNodes(WrongServer):
    """A server that answers, but has not all that the mapping file names."""

    hint = "twin check PLANT --against URL --mapping FILE shows them all"


class ForeignLine:
    """One line by its mapping file; ``PlantError`` for units and words that cannot be used.

    Plant time goes on through all sessions from where the first one began it.
    """

    def __init__(self, mapping: Mapping, plant: Plant, signals: Sequence[Signal]) -> None:
        translation.check(mapping, signals)
        self._mapping, self._starts_at_h = mapping, plant.energy.starts_at_h
        self._epoch: datetime | None = None
        self._bound: Bound
        self._found: Found | None = None

    async def find(self, client: Client, signals: Sequence[Signal]) -> tuple[Found, Interpretation]:
        """Find every node that the file names. Raises ``WrongServer`` if it is another server's."""
        mapping = self._mapping
        await _expect(client, mapping.server.application_uri)
        located = await locate(client, mapping)
        if missing := located.missing(mapping):
            named = [f"{'.'.join(map(str, path))} ({node.where})" for path, node in missing]
            more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
            raise LackingNodes(f"the server does not have {', '.join(named[:_NAMED])}{more}")
        started, now = await server_times(client)
        if now is None:
            raise LackingNodes("the server does not tell its time, by which plant time goes")
        if self._epoch is None:
            self._epoch = epoch_before(now, self._starts_at_h, mapping.server.utc_offset_h)
        epoch_us = ua.datetime_to_win_epoch(self._epoch) // 10
        bound = bind(mapping, signals, located, epoch_us)
        specs = [mapping.signals.get(signal.name) for signal in signals]
        found = Found(
            node_id(ua.ObjectIds.ObjectsFolder),
            tuple(None if spec is None else bound.node(spec) for spec in specs),
            {name: bound.node(spec) for name, spec in mapping.lists.items()},
            {nodes.SIM_TIME: _CLOCK},
            (),
            epoch_us,
            1.0,
            lockstep=False,
            started=started,
            barred=barred(bound, signals),
            unclosable=mapping.unclosable(),
        )
        if found == self._found:  # the same line again: who reads it already goes on as it was
            bound = replace(bound, interpretation=self._bound.interpretation)
        elif self._found is not None:
            bound.interpretation.echo.sent = self._bound.interpretation.echo.sent
        self._found, self._bound = found, bound
        return found, bound.interpretation

    async def write(
        self, client: Client, found: Found, batch: Batch, timeout_s: float, refusal_of: Refusal
    ) -> Acknowledgement:
        """Write a batch once, then read until the PLC shows it, or long enough."""
        return await writing.write(self._bound, client, batch, timeout_s, refusal_of)

    async def command(
        self, client: Client, found: Found, verb: str, argument: float, timeout_s: float
    ) -> None:
        """Carry out a part of the handshake; one that is absent is the loop's own affair."""
        if verb not in _VERBS:
            msg = f"the line has no method {verb!r}"
            raise ValueError(msg)
        bound = self._bound
        await writing.act(bound, client, self._mapping.acts().get(_VERBS[verb]), timeout_s)
        own, place = bound.interpretation.stand_ins, bound.place["control.mode"]
        if place in own and verb != "ResetShed":
            own[place] = float(PlcMode.REMOTE if verb == "RequestRemote" else PlcMode.AUTO)


async def _expect(client: Client, application_uri: str | None) -> None:
    """Refuse a server that is not the one that the file was made for."""
    if application_uri is None:
        return
    shown = await client.get_node(node_id(ua.ObjectIds.Server_ServerArray)).read_value()
    if not shown or shown[0] != application_uri:
        told = shown[0] if shown else "nothing"
        msg = f"the server calls itself {told}, and the mapping is for {application_uri}"
        raise WrongServer(msg)
