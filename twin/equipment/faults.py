"""Faults that an emulated line shows on purpose, as a file says that may change while it serves.

The file is one JSON object; an empty one, or none, is a line without faults:

* ``values``: by signal, what its node shows instead of the truth: ``{"kind": "bias", "by": 5}``;
* ``answers``: what becomes of setpoints: the name of a status code with which they are refused,
  ``ignored`` (taken as good, and not put in force) or ``overwritten`` (put back by the PLC's own logic);
* ``by_hand``: setpoints that somebody moves at the PLC, once each time the file changes;
* ``namespaces``: how many foreign namespaces come before our own, looked at when the server starts.

The truth of the line, and what its log says that it received, are never touched.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from asyncua import ua

from twin.equipment.opcua_types import status

_log = logging.getLogger(__name__)
_KEYS = {"values", "answers", "by_hand", "namespaces"}
IGNORED, OVERWRITTEN = "ignored", "overwritten"
_OVERFLOW = 0x0480
_DOUBLE = ua.VariantType.Double
_NOTHING = ua.Variant(None, ua.VariantType.Null)


@dataclass(frozen=True, slots=True)
class ValueFault:
    """What one node shows instead of the truth; ``by`` and ``code`` as its kind needs them."""

    kind: str
    by: float = 0.0
    code: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All faults of a moment."""

    values: Mapping[str, ValueFault] = field(default_factory=dict)
    answers: str = ""
    by_hand: Mapping[str, float] = field(default_factory=dict)
    namespaces: int = 0


def read_plan(text: str) -> Plan:
    """The faults that a file asks for. ``ValueError`` for what is none."""
    asked = json.loads(text or "{}")
    if unknown := asked.keys() - _KEYS:
        msg = f"faults have no {', '.join(sorted(unknown))}; there are: {', '.join(sorted(_KEYS))}"
        raise ValueError(msg)
    values = {name: ValueFault(**one) for name, one in asked.get("values", {}).items()}
    for fault in values.values():
        if fault.kind not in KINDS:
            msg = f"no fault of a value is called {fault.kind!r}; there are: {', '.join(KINDS)}"
            raise ValueError(msg)
        if fault.kind == "status":
            code_of(fault.code)
    answers = str(asked.get("answers", ""))
    if answers not in ("", IGNORED, OVERWRITTEN):
        code_of(answers)
    by_hand = {name: float(value) for name, value in asked.get("by_hand", {}).items()}
    return Plan(values, answers, by_hand, int(asked.get("namespaces", 0)))


def code_of(name: str) -> int:
    """A status code by the standard's word for it."""
    code = getattr(ua.StatusCodes, name, None)
    if not isinstance(code, int):
        msg = f"OPC UA has no status {name!r}"
        raise ValueError(msg)  # noqa: TRY004  (a wrong word in a file, and no wrong type)
    return code


class Faults:
    """The faults of one emulated line, from a file that is looked at again each scan."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] = (0, 0)
        self.plan = Plan()
        self.look()

    def look(self) -> bool:
        """Read the file if it has changed; whether it has. One that is none changes nothing."""
        try:
            known = self._path.stat()
            stamp = (known.st_mtime_ns, known.st_ino)
            if stamp == self._seen:
                return False
            self._seen = stamp
            self.plan = read_plan(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return False
        except (ValueError, TypeError) as error:
            _log.error("%s: %s", self._path, error)
            return False
        return True

    def shown(self, name: str, true: ua.DataValue, held: ua.DataValue) -> list[ua.DataValue]:
        """What comes from the node of a signal, where a fault is on it: one or several values.

        ``held`` is what it shows already. Nothing that comes back is checked for its type.
        """
        fault = self.plan.values[name]
        return KINDS[fault.kind](_Moment(fault, true, held))


@dataclass(frozen=True, slots=True)
class _Moment:
    """A fault, what is true now, and what the node shows already."""

    fault: ValueFault
    true: ua.DataValue
    held: ua.DataValue

    @property
    def number(self) -> float:
        """The true value; NaN for none."""
        value = None if self.true.Value is None else self.true.Value.Value
        return math.nan if value is None else float(value)

    def with_value(self, value: Any, kind: ua.VariantType = _DOUBLE) -> list[ua.DataValue]:
        """Another value with the same stamp."""
        shown = ua.Variant(value, kind, is_array=isinstance(value, list))
        return [replace(self.true, Value=shown)]

    def with_stamp(self, move: Callable[[Any], Any]) -> list[ua.DataValue]:
        """The same value with another stamp."""
        stamp = self.true.SourceTimestamp
        return [self.true if stamp is None else replace(self.true, SourceTimestamp=move(stamp))]

    def with_status(self, code: int) -> list[ua.DataValue]:
        """The same with another status; a bad one has no value."""
        told = status(code)
        value = _NOTHING if told.is_bad() else self.true.Value
        return [replace(self.true, StatusCode=told, Value=value)]

    def shifted(self, by_s: float) -> list[ua.DataValue]:
        """The same, stamped earlier or later."""
        return self.with_stamp(lambda stamp: stamp + timedelta(seconds=by_s))


KINDS: Mapping[str, Callable[[_Moment], list[ua.DataValue]]] = {
    "nan": lambda now: now.with_value(math.nan),
    "inf": lambda now: now.with_value(math.inf),
    "minus_inf": lambda now: now.with_value(-math.inf),
    "frozen": lambda now: [replace(now.true, Value=now.held.Value)],
    "gone": lambda _: [],
    "times": lambda now: now.with_value(now.number * now.fault.by),
    "bias": lambda now: now.with_value(now.number + now.fault.by),
    "status": lambda now: now.with_status(code_of(now.fault.code)),
    "string": lambda now: now.with_value(f"{now.number:g} degrees", ua.VariantType.String),
    "array": lambda now: now.with_value([now.number, now.number]),
    "integer": lambda now: now.with_value(round(now.number), ua.VariantType.Int16),
    "boolean": lambda now: now.with_value(now.number > 0.0, ua.VariantType.Boolean),
    "shifted": lambda now: now.shifted(now.fault.by),
    "year": lambda now: now.with_stamp(lambda t: t.replace(year=int(now.fault.by), day=1)),
    "twice": lambda now: [now.true, now.true],
    "disordered": lambda now: [now.true, *now.shifted(-now.fault.by)],
    "overflow": lambda now: now.with_status(_OVERFLOW),
}
"""By name, what each fault of a value makes of the true one: what comes from the node, in its order."""
