"""Answers to Read requests, decoded into columns.

The library decodes each value into four objects; a line of two hundred signals, read at every step,
needs three columns. The layout is that of OPC UA Part 6, 5.2 (built-in types) and Part 4, 5.10.2
(Read). What is no number becomes NaN here, and is told by its status.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

FILETIME_UNIX_US: Final = 11_644_473_600_000_000
"""Microseconds from 1601-01-01, where OPC UA begins to count, to 1970-01-01."""

_LENGTH, _STATUS, _TICKS = Struct("<i"), Struct("<I"), Struct("<q")
_GOOD_DOUBLE = Struct("<BBdIq")
"""What nearly all values look like: mask, type 11 (Double), value, status, source time."""
_NUMBERS = {
    1: Struct("<?"),
    2: Struct("<b"),
    3: Struct("<B"),
    4: Struct("<h"),
    5: Struct("<H"),
    6: Struct("<i"),
    7: Struct("<I"),
    8: Struct("<q"),
    9: Struct("<Q"),
    10: Struct("<f"),
    11: Struct("<d"),
}
_ARRAY, _MATRIX = 0x80, 0x40


class Undecodable(ua.UaError):
    """An answer that does not have the layout it must have, or a value of an unexpected type."""


@dataclass(frozen=True, slots=True)
class Columns:
    """One entry a node: numbers (NaN for none), arrays by place, status codes, source times.

    ``source_us`` counts from 1601; -1 where the server gave no time.
    """

    values: list[float]
    arrays: dict[int, tuple[Any, ...]]
    status: list[int]
    source_us: list[int]


def read_answer(answer: Buffer) -> Columns:
    """Decode the body of a ReadResponse. Raises ``UaStatusCodeError`` if the server refused."""
    nodeid_from_binary(answer)
    header = struct_from_binary(ua.ResponseHeader, answer)
    header.ServiceResult.check()
    return _decode(bytes(answer))


def _decode(body: bytes) -> Columns:
    columns = Columns([], {}, [], [])
    values, status, source_us = columns.values, columns.status, columns.source_us
    (count,) = _LENGTH.unpack_from(body, 0)
    at, usual = 4, _GOOD_DOUBLE.unpack_from
    size = _GOOD_DOUBLE.size
    # The longest form of a value is probed first; zeros behind the end let it be probed safely.
    body += bytes(size)
    for place in range(count):
        mask, kind, value, code, ticks = usual(body, at)
        if mask == 0x07 and kind == 11:
            at += size
        else:
            value, code, ticks, at = _unusual(body, at, place, columns.arrays)
        values.append(value)
        status.append(code)
        source_us.append(ticks // 10)
    return columns


def _unusual(
    body: bytes, at: int, place: int, arrays: dict[int, tuple[Any, ...]]
) -> tuple[float, int, int, int]:
    mask, at = body[at], at + 1
    value, code, ticks = math.nan, 0, -1
    if mask & 0x01:
        value, at = _variant(body, at, place, arrays)
    if mask & 0x02:
        (code,) = _STATUS.unpack_from(body, at)
        at += 4
    if mask & 0x04:
        (ticks,) = _TICKS.unpack_from(body, at)
        at += 8
    at += 2 * bool(mask & 0x10) + 8 * bool(mask & 0x08) + 2 * bool(mask & 0x20)
    return value, code, ticks, at


def _variant(
    body: bytes, at: int, place: int, arrays: dict[int, tuple[Any, ...]]
) -> tuple[float, int]:
    kind, at = body[at], at + 1
    if kind == 0:
        return math.nan, at
    number = _NUMBERS.get(kind & 0x3F)
    if number is None or kind & _MATRIX:
        msg = f"value {place} has the type {kind & 0x3F}, which is no number"
        raise Undecodable(msg)
    if not kind & _ARRAY:
        return float(number.unpack_from(body, at)[0]), at + number.size
    (length,) = _LENGTH.unpack_from(body, at)
    length, at = max(length, 0), at + 4
    letter = number.format[1:]
    arrays[place] = Struct(f"<{length}{letter}").unpack_from(body, at)
    return math.nan, at + length * number.size
