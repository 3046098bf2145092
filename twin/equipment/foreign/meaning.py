"""What a raw value of a foreign node means as a signal, and what a setpoint is as a raw value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from struct import Struct
from typing import Any

import numpy as np
from asyncua import ua

from twin.config.mapping import Scalar
from twin.signals import Limits, Quality

_INTEGERS = {
    "SByte": (-(2**7), 2**7 - 1),
    "Byte": (0, 2**8 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "UInt16": (0, 2**16 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "UInt32": (0, 2**32 - 1),
    "Int64": (-(2**63), 2**63 - 1),
    "UInt64": (0, 2**64 - 1),
}
_FLOAT = Struct("<f")
_FLOAT_DIGITS = 7
"""A 32-bit number is told from its neighbours by so many decimal digits, or two more."""
_MARKS = {"good": Quality.GOOD, "uncertain": Quality.UNCERTAIN, "bad": Quality.BAD}


class NotWritable(ValueError):  # noqa: N818  (what the value is)
    """A value that a node of this type cannot hold."""


@dataclass(frozen=True, slots=True)
class StatusRules:
    """What status codes mean: ``codes`` by number, else their severity, ``uncertain`` as told."""

    uncertain: Quality = Quality.UNCERTAIN
    codes: Mapping[int, Quality] = field(default_factory=dict)

    @classmethod
    def of(cls, uncertain: str, codes: Mapping[str, str]) -> StatusRules:
        """The same from words. Raises ``KeyError`` for a code that OPC UA does not have."""
        numbers = {_code(name): _MARKS[mark] for name, mark in codes.items()}
        return cls(_MARKS[uncertain], numbers)

    def mark(self, code: int) -> Quality:
        """The quality of a value with this status. The low half of a code is detail, no matter."""
        known = self.codes.get(code & 0xFFFF0000)
        if known is not None:
            return known
        severity = code >> 30
        if severity == 0:
            return Quality.GOOD
        return self.uncertain if severity == 1 else Quality.BAD


@dataclass(frozen=True, slots=True)
class Meaning:
    """Signal = gain · raw + offset, in the signal's own unit; or what ``words`` say of the raw value.

    A raw value that is no number, has no word or is among ``bad_values`` is bad, and so is one of which a
    bit is wanted and that is no integer. A time of day becomes seconds of plant time, which began
    ``epoch_us`` microseconds after 1601.
    """

    gain: float = 1.0
    offset: float = 0.0
    bit: int | None = None
    words: Mapping[str, float] = field(default_factory=dict)
    bad_values: frozenset[float] = frozenset()
    epoch_us: int = 0

    def value(self, raw: Any) -> float:
        """The signal's value; NaN for none."""
        if self.bit is not None:
            if not isinstance(raw, int) or isinstance(raw, bool):
                return math.nan
            raw = bool(raw >> self.bit & 1)
        if isinstance(raw, datetime):
            return (ua.datetime_to_win_epoch(raw) // 10 - self.epoch_us) / 1e6
        if self.words:
            return self.words.get(_as_key(raw), math.nan)
        if isinstance(raw, str):
            try:
                raw = float(raw)
            except ValueError:
                return math.nan
        if not isinstance(raw, bool | int | float) or float(raw) in self.bad_values:
            return math.nan
        return self.gain * float(raw) + self.offset


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a setpoint goes into a node of a type: raw = (value - offset) / gain, rounded to what it holds.

    Rounded to the nearest, unless that lies outside ``validity``: then to the next one inside.
    """

    type: str
    gain: float = 1.0
    offset: float = 0.0
    words: Mapping[float, Scalar] = field(default_factory=dict)
    validity: Limits | None = None

    def raw(self, value: float) -> Scalar:
        """What is written. Raises ``NotWritable`` for what the type cannot hold inside validity."""
        if self.words:
            if value not in self.words:
                msg = f"there is no word for {value:g}"
                raise NotWritable(msg)
            return fitted(self.words[value], self.type)
        nearest = fitted((value - self.offset) / self.gain, self.type)
        if self.validity is None or isinstance(nearest, str) or self._is_valid(nearest):
            return nearest
        is_high = self._value(nearest) > self.validity.hi
        inward = neighbour(nearest, self.type, up=is_high is (self.gain < 0.0))
        if inward is None or not self._is_valid(inward):
            limits = f"[{self.validity.lo:g}, {self.validity.hi:g}]"
            msg = f"no {self.type} near {value:g} lies inside {limits}"
            raise NotWritable(msg)
        return inward

    def _value(self, raw: float) -> float:
        return self.gain * raw + self.offset

    def _is_valid(self, raw: float) -> bool:
        """Whether what is written means a value inside validity, but for the rounding of this sum."""
        assert self.validity is not None
        value, lo, hi = self._value(raw), self.validity.lo, self.validity.hi
        slack = 1e-12 * max(abs(value), abs(self.offset))
        return lo - slack <= value <= hi + slack

    @property
    def step(self) -> float:
        """How far apart two neighbouring values are that the node can hold; 0 where it depends."""
        return abs(self.gain) if self.type in _INTEGERS else 0.0

    def holds(self, shown: float, asked: float) -> bool:
        """Whether what is shown is what was asked, as closely as the type can say it."""
        share = 2.0 * 10.0**-_FLOAT_DIGITS if self.type == "Float" else 1e-12
        rounding = share * max(abs(asked), abs(self.offset))
        is_near = abs(shown - asked) <= max(0.5 * self.step * (1.0 + 1e-9), rounding)
        return is_near or (self.step > 0.0 and self._is_rounded_inward(shown, asked))

    def _is_rounded_inward(self, shown: float, asked: float) -> bool:
        if self.validity is None or self.words:
            return False
        try:
            written = self.raw(asked)
        except NotWritable:
            return False
        return abs(shown - self._value(float(written))) <= 1e-9 * self.step


def fitted(value: Scalar, kind: str) -> Scalar:
    """The value as one of this type, integers by rounding. Raises ``NotWritable`` if it is not one."""
    if kind == "String":
        return str(value)
    if isinstance(value, str) or not math.isfinite(value):
        msg = f"{value!r} is no {kind}"
        raise NotWritable(msg)
    if kind == "Boolean":
        return bool(value)
    if kind in _INTEGERS:
        whole = round(value)
        lo, hi = _INTEGERS[kind]
        if not lo <= whole <= hi:
            msg = f"{whole} does not fit into {kind}"
            raise NotWritable(msg)
        return whole
    if kind == "Float":
        try:
            return float(_FLOAT.unpack(_FLOAT.pack(value))[0])
        except OverflowError as error:
            msg = f"{value:g} does not fit into Float"
            raise NotWritable(msg) from error
    return float(value)


def neighbour(raw: float, kind: str, *, up: bool) -> float | None:
    """The next value that a type holds above or below another; None where it is at its end."""
    if kind in _INTEGERS:
        lo, hi = _INTEGERS[kind]
        beside = int(raw) + (1 if up else -1)
        return beside if lo <= beside <= hi else None
    if kind == "Float":
        return float(np.nextafter(np.float32(raw), np.float32(math.inf if up else -math.inf)))
    return None


def counted(number: int, kind: str) -> Scalar:
    """A counter as one of this type: it begins again where the type ends."""
    width = width_of(kind)
    return fitted(number, kind) if width is None else number % width


def width_of(kind: str) -> int | None:
    """How many numbers a counter of this type has before it begins again; None if it is no integer."""
    return _INTEGERS[kind][1] + 1 if kind in _INTEGERS else None


def bits_of(kind: str) -> int:
    """How many bits a value of this type has; 0 if it is no integer."""
    if kind not in _INTEGERS:
        return 0
    lo, hi = _INTEGERS[kind]
    return (hi - lo).bit_length()


def variant(value: Scalar, kind: str) -> ua.Variant:
    """A typed value for the wire."""
    return ua.Variant(value, ua.VariantType[kind])


def _as_key(raw: Any) -> str:
    """A raw value as it stands as a key of ``words``: booleans in small letters, numbers plain."""
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, float) and raw.is_integer():
        return str(int(raw))
    return str(raw)


def _code(name: str) -> int:
    number: int | None = getattr(ua.StatusCodes, name, None)
    if number is None:
        raise KeyError(name)
    return number
