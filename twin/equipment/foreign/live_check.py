"""Whether a live server is what the plant needs: a row for each signal, and what to do about it.

Nothing is written. Looked at are the node, its type, its unit and range, whether it may be read and
written by this user, and whether its value means anything now.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from asyncua import Client, ua

from twin.clock import utc_now
from twin.config import Mapping as MappingFile
from twin.config.mapping import ActSpec, NodeSpec, SignalSpec
from twin.equipment import address_space as nodes
from twin.equipment.foreign import translation
from twin.equipment.foreign.addresses import Live
from twin.equipment.foreign.bound import Located, epoch_before, locate, server_times
from twin.equipment.foreign.inventory import Item, take_inventory
from twin.equipment.foreign.meaning import bits_of
from twin.equipment.node_types import Variable
from twin.equipment.opcua_link import find_line
from twin.equipment.units import conversion
from twin.line.model import Line
from twin.signals import Limits, Quality, Role, Signal

NOISE = 0.01
"""Share of a range by which a good value may lie outside of it."""
_KINDS = {
    *("Boolean", "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64"),
    *("Float", "Double", "String", "DateTime"),
}


class Verdict(StrEnum):
    """What came of one row, the worst first."""

    MISSING = "missing"
    UNDECIDED = "undecided"
    TYPE = "type"
    ACCESS = "access"
    UNIT = "unit"
    RANGE = "range"
    VALUE = "value"
    GUESS = "guess"
    ABSENT = "absent"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Row:
    """A signal, list or part of the handshake on a live server. ``todo`` says what to do about it."""

    name: str
    node: str
    verdict: Verdict
    type: str = ""
    unit: str = ""
    access: str = ""
    value: float = math.nan
    todo: str = ""

    @property
    def rank(self) -> int:
        """Its place among all rows, the worst first."""
        return list(Verdict).index(self.verdict)

    @property
    def is_problem(self) -> bool:
        """Whether somebody has to do something."""
        return self.verdict not in (Verdict.ABSENT, Verdict.OK)


async def check_mapped(
    client: Client, mapping: MappingFile, signals: Sequence[Signal], starts_at_h: float
) -> tuple[Row, ...]:
    """A mapping file against the server behind a connected client. Raises ``PlantError`` for the file."""
    translation.check(mapping, signals)
    located = await locate(client, mapping)
    _, now = await server_times(client)
    shown = now or datetime.fromisoformat(utc_now())
    epoch = epoch_before(shown, starts_at_h, mapping.server.utc_offset_h)
    items = {item.live.id: item for item in await take_inventory(client)}
    look = _Look(mapping, located, items, ua.datetime_to_win_epoch(epoch) // 10)
    rows = [look.signal(signal) for signal in signals]
    rows += [look.listed(name, node) for name, node in mapping.lists.items()]
    rows += [look.act(name, act) for name, act in mapping.acts().items()]
    if now is None:
        todo = "the server does not tell its time, by which plant time goes: no loop can run on it"
        rows.append(Row("server.CurrentTime", "i=2258", Verdict.VALUE, todo=todo))
    rows += [
        Row(name, "", Verdict.UNDECIDED, todo="bind it, or say absent and why")
        for name in mapping.undecided(())
    ]
    return tuple(rows)


async def check_own(
    client: Client, line: Line, signals: Sequence[Signal], plant_hash: str
) -> tuple[Row, ...]:
    """Our own address space on a server. Raises ``WrongServer`` for another plant's."""
    await find_line(client, signals, plant_hash)
    space = nodes.line_nodes(line, signals)
    items = await take_inventory(client)
    by_path = {item.text.removeprefix(f"{space.root}/"): item for item in items}
    rows = []
    for variable in space.variables:
        name = signals[variable.signal].name if variable.signal >= 0 and not variable.words else ""
        item = by_path.get(variable.path)
        if item is None:
            todo = "the server is of another version: start it again from this one"
            rows.append(Row(name or variable.path, variable.path, Verdict.MISSING, todo=todo))
            continue
        verdict, todo = _as_declared(item, variable)
        rows.append(_row(name or variable.path, variable.path, item.live, item, verdict, todo))
    for method in space.methods:
        item = by_path.get(method.path)
        verdict = Verdict.MISSING if item is None else Verdict.OK
        todo = "" if item is not None else "the server is of another version"
        if item is not None and not item.live.executable:
            verdict, todo = Verdict.ACCESS, "this user may not call it: name one who may"
        rows.append(Row(method.path, method.path, verdict, "method", todo=todo))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class _Look:
    """One mapping file on one server."""

    mapping: MappingFile
    located: Located
    items: Mapping[ua.NodeId, Item]
    epoch_us: int

    def signal(self, signal: Signal) -> Row:
        """What is to be said of a signal."""
        spec = self.mapping.signals.get(signal.name)
        if spec is None:
            return self._unbound(signal)
        live = self.located.at(spec)
        if live is None:
            return _missing(signal.name, spec)
        item = self.items.get(live.id)
        value = translation.meaning(self.mapping, signal, self.epoch_us).value(_raw(live))
        faults = self._faults(signal, spec, live, item, value)
        verdict, todo = next(faults, (Verdict.OK, ""))
        row = _row(signal.name, spec.where, live, item, verdict, todo)
        return Row(row.name, row.node, verdict, row.type, row.unit, row.access, value, todo)

    def listed(self, name: str, node: NodeSpec) -> Row:
        """A list of part numbers."""
        live = self.located.at(node)
        if live is None:
            return _missing(name, node)
        fits = live.is_array and live.readable
        todo = "" if fits else "bind a readable array of whole numbers"
        item = self.items.get(live.id)
        return _row(name, node.where, live, item, Verdict.OK if fits else Verdict.TYPE, todo)

    def act(self, name: str, act: ActSpec) -> Row:
        """A part of the handshake."""
        label = f"handshake.{name}"
        if act.absent is not None:
            return Row(label, "", Verdict.ABSENT, todo=act.absent)
        for node in (act.target, act.call, act.of):
            if node is not None and self.located.at(node) is None:
                return _missing(label, node)
        node = act.target or act.call
        live = self.located.at(node)
        assert node is not None
        assert live is not None
        verdict, todo = Verdict.OK, ""
        if not (live.executable if act.call is not None else live.writable):
            verdict, todo = Verdict.ACCESS, "this user may not: give it the right at the server"
        elif act.guess is not None:
            verdict, todo = _guessed(act.guess)
        return _row(label, node.where, live, self.items.get(live.id), verdict, todo)

    def _unbound(self, signal: Signal) -> Row:
        why = self.mapping.why_absent(signal.name)
        if why and signal.critical:
            todo = "the loop cannot do without: bind it, by words of another node if need be"
            return Row(signal.name, "", Verdict.UNDECIDED, todo=todo)
        if why:
            return Row(signal.name, "", Verdict.ABSENT, todo=why)
        return Row(
            signal.name, "", Verdict.UNDECIDED, todo="bind it, or call it absent and say why"
        )

    def _faults(
        self, signal: Signal, spec: SignalSpec, live: Live, item: Item | None, value: float
    ) -> Iterator[tuple[Verdict, str]]:
        """What is to be said against a signal whose node is there, the worst first."""
        if live.is_method or live.is_array or live.type not in _KINDS:
            kind = live.type or "of no known type"
            yield Verdict.TYPE, f"the node is {kind}, no single value: bind another"
        if spec.bit is not None and spec.bit >= bits_of(live.type):
            kind = live.type or "of no known type"
            yield (
                Verdict.TYPE,
                f"the node is {kind}, which has no bit {spec.bit}: bind a status word",
            )
        if live.type == "String" and not spec.words:
            yield Verdict.TYPE, "texts need words: say what each of them means"
        if self.mapping.is_wordless(signal.name):
            yield Verdict.UNDECIDED, "say what its codes mean: words: {0: off, 1: idle, …}"
        if not live.readable:
            yield Verdict.ACCESS, "this user may not read it"
        if signal.role is Role.MV:
            yield from self._unwritable(spec)
        if item is not None and (told := _other_unit(signal, spec, item)):
            yield Verdict.UNIT, told
        code = 0 if live.value.StatusCode is None else live.value.StatusCode.value
        mark = translation.status_rules(self.mapping).mark(code)
        if mark is Quality.BAD or math.isnan(value):
            yield Verdict.VALUE, f"it has no good value now ({_raw(live)!r}): see why at the PLC"
        elif signal.validity is not None and _is_far_from(value, signal.validity):
            todo = f"{value:g} is outside {_text(signal.validity)}: check unit, gain and offset"
            yield Verdict.VALUE, todo
        if item is not None and (told := _narrower(signal, spec, item)):
            yield Verdict.RANGE, told
        if spec.guess is not None:
            yield _guessed(spec.guess)

    def _unwritable(self, spec: SignalSpec) -> Iterator[tuple[Verdict, str]]:
        """What is wrong with where a setpoint goes."""
        if spec.pause is not None:
            for node in (spec.pause.of, spec.pause.start, spec.pause.end):
                if self.located.at(node) is None:
                    yield Verdict.MISSING, f"the server has no {node.where}"
        elif spec.write is None:
            yield Verdict.UNDECIDED, "say where it is written: write, or pause"
        elif (to := self.located.at(spec.write)) is None:
            yield Verdict.MISSING, f"the server has no {spec.write.where}"
        elif not to.writable:
            yield Verdict.ACCESS, f"this user may not write {spec.write.where}"
        elif spec.write.type is not None and to.type and spec.write.type != to.type:
            yield Verdict.TYPE, f"{spec.write.where} takes {to.type}, not {spec.write.type}"


def _other_unit(signal: Signal, spec: SignalSpec, item: Item) -> str:
    """Where the server's own unit speaks against the file; empty if it does not."""
    if spec.words or spec.gain != 1.0 or spec.offset != 0.0:
        return ""
    if item.unit in ("", spec.unit or signal.unit):
        return ""
    hint = "write" if conversion(item.unit, signal.unit) else "scale it: gain and offset for"
    return f"the server says {item.said_unit}: {hint} unit: {item.unit}"


def _narrower(signal: Signal, spec: SignalSpec, item: Item) -> str:
    """Where the server takes less of a setpoint than the plant file; empty if it does not."""
    shift = conversion(spec.unit or signal.unit, signal.unit)
    if item.limits is None or signal.validity is None or shift is None or spec.words:
        return ""
    if signal.role is not Role.MV:
        return ""
    ends = [
        shift[0] * (spec.gain * end + spec.offset) + shift[1]
        for end in (item.limits.lo, item.limits.hi)
    ]
    theirs = Limits(min(ends), max(ends))
    if theirs.nests(signal.validity):
        return ""
    todo = f"the server takes {_text(theirs)}, the plant file's validity is "
    return f"{todo}{_text(signal.validity)}: narrow the plant file"


def _is_far_from(value: float, limits: Limits) -> bool:
    """Whether a value lies further outside than the noise of an instrument takes it."""
    slack = NOISE * (limits.hi - limits.lo)
    return not limits.lo - slack <= value <= limits.hi + slack


def _as_declared(item: Item, variable: Variable) -> tuple[Verdict, str]:
    """One of our own nodes against what it is declared to be."""
    live = item.live
    if live.type and live.type != variable.data_type.value:
        return Verdict.TYPE, f"it is {live.type}, and {variable.data_type.value} is expected"
    if not live.readable or (variable.writable and not live.writable):
        return Verdict.ACCESS, "this user may not: name one who may"
    if variable.unit not in ("1", item.said_unit):
        return Verdict.UNIT, f"it is in {item.said_unit or 'no unit'}, not in {variable.unit}"
    if variable.limits is not None and item.limits != variable.limits:
        shown = "no range" if item.limits is None else _text(item.limits)
        return Verdict.RANGE, f"it shows {shown}, not {_text(variable.limits)}"
    code = live.value.StatusCode
    if code is not None and code.is_bad():
        return Verdict.VALUE, "it has no good value now: see why at the instrument"
    return Verdict.OK, ""


def _row(name: str, node: str, live: Live, item: Item | None, verdict: Verdict, todo: str) -> Row:
    access = ("r" if live.readable else "") + ("w" if live.writable else "")
    unit = "" if item is None else item.said_unit
    kind = "method" if live.is_method else live.type + ("[]" if live.is_array else "")
    raw = _raw(live)
    value = float(raw) if isinstance(raw, bool | int | float) else math.nan
    access = ("x" if live.executable else "") if live.is_method else access
    return Row(name, node, verdict, kind, unit, access, value, todo)


def _missing(name: str, node: NodeSpec) -> Row:
    todo = "the server has no such node: correct the address, or call it absent"
    return Row(name, node.where, Verdict.MISSING, todo=todo)


def _guessed(score: float) -> tuple[Verdict, str]:
    return Verdict.GUESS, f"guessed ({score:.2f}): look at it, then delete its guess"


def _raw(live: Live) -> object:
    return None if live.value.Value is None else live.value.Value.Value


def _text(limits: Limits) -> str:
    return f"[{limits.lo:g}, {limits.hi:g}]"
