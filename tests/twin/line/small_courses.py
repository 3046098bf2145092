"""What courses of small lines have in common: their seed, and a takt that is felt."""

from __future__ import annotations

from typing import Any

SEED = 1


def slow(takt_s: float) -> dict[str, Any]:
    """A source with a takt that is felt."""
    return {"source__takt_s__start": takt_s}
