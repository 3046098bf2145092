"""A line in the middle of its work as text: saved here, gone on with in another process or engine.

The format is one JSON object, the same for both engines (`docs/reference/snapshot.md`):

=============  ====================================================================================
``format``     ``"takttwin snapshot"``
``version``    1; another one is refused
``plant``      name of the plant
``hash``       ``config_hash`` of the plant file: a snapshot fits the plant that it was taken of
``layout``     digest of the columns: it changes when this package lays a state out anew
``now_s``      plant time
``floats``     the float columns; ``null`` where nothing is due (infinity)
``ints``       the integer columns
=============  ====================================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from twin.line import schema as s
from twin.line.model import Line
from twin.state import LineState

FORMAT, VERSION = "takttwin snapshot", 1


class SnapshotError(ValueError):
    """A text that is no snapshot of this line; the message says what it is instead."""


def to_json(line: Line, state: LineState) -> str:
    """The state as text. Raises ``SnapshotError`` for one that holds a NaN."""
    floats = [float(value) for value in state.floats]
    if any(math.isnan(value) or value == -math.inf for value in floats):
        raise SnapshotError("the state holds a NaN: it is no state of a line")
    record = {
        "format": FORMAT,
        "version": VERSION,
        "plant": line.plant.name,
        "hash": line.plant.config_hash,
        "layout": layout(line),
        "now_s": state.now_s,
        "floats": [None if value == math.inf else value for value in floats],
        "ints": [int(value) for value in state.ints],
    }
    return json.dumps(record, separators=(",", ":"), allow_nan=False)


def from_json(line: Line, text: str) -> LineState:
    """The state again, bit for bit, on lists.

    Raises ``SnapshotError`` for text that is none, and for a snapshot of another plant or layout.
    """
    try:
        record = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise SnapshotError(f"not a snapshot: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise SnapshotError(f"not a snapshot: it does not begin with format {FORMAT!r}")
    if record.get("version") != VERSION:
        raise SnapshotError(f"version {record.get('version')!r}; this package reads {VERSION}")
    for key, own in (("hash", line.plant.config_hash), ("layout", layout(line))):
        if record.get(key) != own:
            raise SnapshotError(
                f"a snapshot of plant {record.get('plant')!r} with {key} {record.get(key)!r}, not of"
                f" {line.plant.name!r} with {own!r}: take one of this plant file, by this version"
            )
    floats = [math.inf if v is None else v for v in _numbers(record, "floats", line.n_floats)]
    ints = _numbers(record, "ints", line.n_ints)
    if not all(isinstance(value, int) for value in ints):
        raise SnapshotError("ints must hold whole numbers")
    now_s = record.get("now_s")
    if not isinstance(now_s, int | float) or isinstance(now_s, bool):
        raise SnapshotError("now_s is missing")
    return LineState(float(now_s), [float(value) for value in floats], ints)


def layout(line: Line) -> str:
    """Sixteen hex digits that change with the columns and with what lies where in them."""
    columns = (s.E_FLOAT_COLUMNS, s.E_INT_COLUMNS, s.P_FLOAT_COLUMNS, s.P_INT_COLUMNS)
    more = (s.L_FLOAT_COLUMNS, s.L_INT_COLUMNS, line.k)
    return hashlib.sha256(repr((columns, more)).encode()).hexdigest()[:16]


def _numbers(record: dict[str, Any], key: str, length: int) -> list[Any]:
    values = record.get(key)
    if not isinstance(values, list) or len(values) != length:
        found = len(values) if isinstance(values, list) else "none"
        raise SnapshotError(f"{key}: {length} numbers are needed, not {found}")
    kinds = (int, float, type(None)) if key == "floats" else (int,)
    if not all(isinstance(value, kinds) and not isinstance(value, bool) for value in values):
        raise SnapshotError(f"{key} must hold numbers only")
    return values


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number of a snapshot")
