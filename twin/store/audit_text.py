"""Text and numbers as an audit keeps them: whatever a terminal, a PLC or a controller says, UTF-8 is what is stored.

A byte that was no UTF-8 where it was read stands in a text as a lone surrogate (PEP 383), which no file of
SQLite's takes. It is no reason to lose the row: its escape is kept in its place.
"""

from __future__ import annotations

import json
import math


def encodable(text: str) -> str:
    """The text, each lone surrogate written as its escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def as_json(data: object) -> str:
    """JSON of plain data, in which every text is encodable once it is read back."""
    return json.dumps(_clean(data), separators=(",", ":"), sort_keys=True, allow_nan=False)


def cleaned(text: str) -> str:
    """The same for JSON that somebody else has made; nothing else in it is changed."""
    if r"\ud" not in text:  # no surrogate, neither alone nor in a pair
        return text
    return json.dumps(_clean(json.loads(text)), separators=(",", ":"), allow_nan=False)


def known(value: float | None) -> float | None:
    """The value, or None where it is not a finite number: JSON has no word for the others."""
    return value if value is not None and math.isfinite(value) else None


def _clean(data: object) -> object:
    if isinstance(data, str):
        return encodable(data)
    if isinstance(data, dict):
        return {encodable(name): _clean(value) for name, value in data.items()}
    return [_clean(one) for one in data] if isinstance(data, list) else data
