"""The values that a line shows in its address space, and when they are news."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from asyncua import Server, ua
from asyncua.server.address_space import AttributeValue

from twin.cycle import Reading
from twin.equipment.address_space import SIM_TIME, STEP, part_id_paths
from twin.equipment.faults import Faults
from twin.equipment.node_types import AddressSpace
from twin.equipment.opcua_types import TYPES, data_value, status
from twin.equipment.server import CASTS
from twin.signals import Quality, Signal

VALUE = ua.AttributeIds.Value
GOOD = status(ua.StatusCodes.Good)
BAD = status(ua.StatusCodes.BadSensorFailure)
UNCERTAIN = status(ua.StatusCodes.UncertainLastUsableValue)
_BAD, _UNCERTAIN = int(Quality.BAD), int(Quality.UNCERTAIN)  # plain numbers compare faster
_FAULTY = -2
"""In the place of bits: what the node shows is not the truth, and may not even be of its type."""
_NOTHING = ua.Variant(None, ua.VariantType.Null)


class _Cell:
    """One node and what it shows now."""

    __slots__ = ("attribute", "bits", "convert", "node", "source_us", "steady", "type", "value")

    def __init__(self, server: Server, node: ua.NodeId, kind: ua.VariantType) -> None:
        self.node = node
        self.type = kind
        self.attribute: AttributeValue = server.iserver.aspace[node].attributes[VALUE]
        self.convert: Callable[[Any], Any] = float
        self.value: Any = None
        self.bits = -1
        self.source_us = -1
        self.steady = False
        """Whether a new time without a new value is no news."""


class Image:
    """The values of all nodes; writes what has changed.

    ``paced``: only a new value or status is news, and a new time only for signals that are sampled.
    In lockstep every node carries the time of its step.
    """

    def __init__(
        self,
        server: Server,
        space: AddressSpace,
        nodes: Mapping[str, ua.NodeId],
        signals: Sequence[Signal],
        *,
        epoch: datetime,
        paced: bool,
        faults: Faults | None = None,
    ) -> None:
        self._server = server
        self._epoch, self._faults = epoch, faults
        self._names = tuple(signal.name for signal in signals)
        self._cells: list[tuple[int, _Cell]] = []
        self._others = {
            v.path: _Cell(server, nodes[v.path], TYPES[v.data_type]) for v in space.variables
        }
        for variable in space.variables:
            if variable.signal < 0:
                continue
            cell = self._others[variable.path]
            words = variable.words
            cell.convert = _Words(words) if words else CASTS[variable.data_type]
            cell.steady = bool(words) or (paced and not signals[variable.signal].sampled_s)
            self._cells.append((variable.signal, cell))
        self._parts = {name: self._others[path] for name, path in part_id_paths(signals).items()}

    def stamp(self, time_us: int) -> datetime:
        """Plant time as OPC UA carries it."""
        return self._epoch + timedelta(microseconds=time_us)

    async def show(self, reading: Reading) -> None:
        """Write a reading to its nodes, then its time and its step number."""
        now_us = reading.time_us
        values, sources = reading.values.tolist(), reading.source_us.tolist()
        marks = reading.status.tolist()
        stamps = {now_us: self.stamp(now_us)}
        faulty = {} if self._faults is None else self._faults.plan.values
        for at, cell in self._cells:
            value, source_us, bits = values[at], sources[at], marks[at]
            if faulty and self._names[at] in faulty:
                true = _data_value(cell, value, bits, self.stamp(source_us), same=False)
                await self._show_faulty(cell, self._names[at], true)
                continue
            if cell.bits == _FAULTY:
                await _force(
                    cell, _data_value(cell, value, bits, self.stamp(source_us), same=False)
                )
                cell.value, cell.bits, cell.source_us = value, bits, source_us
                continue
            same = value == cell.value and bits == cell.bits
            if same and (cell.steady or source_us == cell.source_us):
                continue
            cell.value, cell.bits, cell.source_us = value, bits, source_us
            if source_us not in stamps:
                stamps[source_us] = self.stamp(source_us)
            await self._write(cell, _data_value(cell, value, bits, stamps[source_us], same=same))
        for name, ids in reading.part_ids.items():
            await self._put(self._parts[name], list(ids), now_us)
        await self.put(STEP, reading.step, now_us)
        await self.put(SIM_TIME, now_us, now_us)

    def numbers(self, names: Collection[str]) -> dict[str, float | None]:
        """What the nodes of some signals show now, faults and all; None for what is no finite number."""
        return {
            self._names[at]: _number(cell.attribute.value)
            for at, cell in self._cells
            if self._names[at] in names
        }

    async def _show_faulty(self, cell: _Cell, name: str, true: ua.DataValue) -> None:
        """What a fault makes of a value, past all checks; when it ends, the truth is news."""
        assert self._faults is not None
        held = cell.attribute.value or true
        cell.bits = _FAULTY
        for value in self._faults.shown(name, true, held):
            await _force(cell, value)

    async def put(self, path: str, value: Any, time_us: int) -> None:
        """Write one node that is no signal, if the value is new."""
        await self._put(self._others[path], value, time_us)

    async def _put(self, cell: _Cell, value: Any, time_us: int) -> None:
        if value == cell.value:
            return
        cell.value = value
        variant = ua.Variant(value, cell.type, is_array=isinstance(value, list))
        await self._write(cell, data_value(variant, GOOD, self.stamp(time_us)))

    async def _write(self, cell: _Cell, value: ua.DataValue) -> None:
        if cell.attribute.datachange_callbacks:
            await self._server.iserver.aspace.write_attribute_value(cell.node, VALUE, value)
        else:
            cell.attribute.value = value


async def _force(cell: _Cell, value: ua.DataValue) -> None:
    """Put a value into a node past all checks of its type, and tell whoever listens."""
    cell.attribute.value = value
    for handle, call in list(cell.attribute.datachange_callbacks.items()):
        await call(handle, value)


def _number(shown: ua.DataValue | None) -> float | None:
    """The number in a value; None for text, a list, a truth value, NaN, infinity, nothing at all."""
    held = None if shown is None or shown.Value is None else shown.Value.Value
    if isinstance(held, bool) or not isinstance(held, int | float):
        return None
    return float(held) if math.isfinite(held) else None


class _Words:
    """What a node says for each code of its signal; nothing for a code that it does not know."""

    def __init__(self, words: Sequence[Any]) -> None:
        self._words = words

    def __call__(self, code: float) -> Any:
        return self._words[int(code)]


def _data_value(
    cell: _Cell, value: float, bits: int, stamp: datetime, *, same: bool
) -> ua.DataValue:
    if bits & _BAD or value != value:  # noqa: PLR0124  (NaN is the value that differs from itself)
        return data_value(_NOTHING, BAD, stamp)
    held = cell.attribute.value
    if same and held is not None and held.Value is not None and held.Value is not _NOTHING:
        variant = held.Value
    else:
        variant = ua.Variant(cell.convert(value), cell.type)
    return data_value(variant, UNCERTAIN if bits & _UNCERTAIN else GOOD, stamp)
