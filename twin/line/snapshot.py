"""A line in the middle of its work as text: saved here, gone on with in another process or engine.

The format is one JSON object, the same for both engines (`docs/reference/snapshot.md`):

=============  ====================================================================================
``format``     ``"takttwin snapshot"``
``version``    2; another one is refused
``plant``      name of the plant
``hash``       ``config_hash`` of the plant file: a snapshot fits the plant that it was taken of
``layout``     digest of the columns: it changes when this package lays a state out anew
``now_s``      plant time
``floats``     the float columns; ``null`` where nothing is due (infinity)
``ints``       the integer columns
``sum``        digest of the three above: what was changed by hand, or damaged, is refused
=============  ====================================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.line import schema as s
from twin.line.model import Line
from twin.state import LineState

FORMAT, VERSION = "takttwin snapshot", 2


class SnapshotError(ValueError):
    """A text that is no snapshot of this line; the message says what it is instead."""


def to_json(line: Line, state: LineState) -> str:
    """The state as text. Raises ``SnapshotError`` for one that holds a NaN."""
    values = np.asarray(state.floats, dtype=np.float64)
    if not (values > -math.inf).all():
        raise SnapshotError("the state holds a NaN: it is no state of a line")
    floats: list[float | None] = values.tolist()
    for never in np.flatnonzero(values == math.inf).tolist():
        floats[never] = None
    plant_hash, own_layout = _identity(line)
    record = {
        "format": FORMAT,
        "version": VERSION,
        "plant": line.plant.name,
        "hash": plant_hash,
        "layout": own_layout,
        "now_s": state.now_s,
        "floats": floats,
        "ints": np.asarray(state.ints, dtype=np.int64).tolist(),
    }
    record["sum"] = _sum(state.now_s, values, state.ints)
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
    for key, own in zip(("hash", "layout"), _identity(line), strict=True):
        if record.get(key) != own:
            raise SnapshotError(
                f"a snapshot of plant {record.get('plant')!r} with {key} {record.get(key)!r}, not of"
                f" {line.plant.name!r} with {own!r}: take one of this plant file, by this version"
            )
    floats = _numbers(record, "floats", line.n_floats, {float, int, type(None)})
    values = np.array(floats, dtype=np.float64)
    values[np.isnan(values)] = math.inf
    ints = _numbers(record, "ints", line.n_ints, {int})
    if type(record.get("now_s")) not in (int, float):
        raise SnapshotError("now_s is missing")
    if record.get("sum") != _sum(record["now_s"], values, ints):
        raise SnapshotError("its numbers are not those that were saved: it was changed or damaged")
    return LineState(float(record["now_s"]), values.tolist(), ints)


def _sum(now_s: float, floats: NDArray[np.float64], ints: Sequence[int]) -> str:
    """Sixteen hex digits of all numbers."""
    bits = np.float64(now_s).tobytes() + floats.tobytes()
    try:
        bits += np.asarray(ints, dtype=np.int64).tobytes()
    except OverflowError as error:
        raise SnapshotError(f"ints: {error}") from error
    return hashlib.sha256(bits).hexdigest()[:16]


@lru_cache(maxsize=64)
def _identity(line: Line) -> tuple[str, str]:
    """What a snapshot must have in common with its line: hash of the plant file, layout."""
    return line.plant.config_hash, layout(line)


def layout(line: Line) -> str:
    """Sixteen hex digits that change with the columns and with what lies where in them."""
    columns = (s.E_FLOAT_COLUMNS, s.E_INT_COLUMNS, s.P_FLOAT_COLUMNS, s.P_INT_COLUMNS)
    more = (s.L_FLOAT_COLUMNS, s.L_INT_COLUMNS, line.k)
    return hashlib.sha256(repr((columns, more)).encode()).hexdigest()[:16]


def _numbers(record: dict[str, Any], key: str, length: int, kinds: set[type]) -> list[Any]:
    values = record.get(key)
    if not isinstance(values, list) or len(values) != length:
        found = len(values) if isinstance(values, list) else "none"
        raise SnapshotError(f"{key}: {length} numbers are needed, not {found}")
    if not set(map(type, values)) <= kinds:
        raise SnapshotError(f"{key} must hold numbers only, and ints whole ones")
    return values


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number of a snapshot")
