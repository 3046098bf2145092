"""What an engine gives to the transitions: bound in place of these names before anything runs.

The types say what each engine owes. ``f i`` are the state columns, ``c k`` the constant columns of
``twin.line.schema``; ``journal`` is the engine's own record of what happened.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import Any, NoReturn, TypeAlias

Floats: TypeAlias = MutableSequence[float]
Ints: TypeAlias = MutableSequence[int]
Constants: TypeAlias = Sequence[float]
Structure: TypeAlias = Sequence[int]
Journal: TypeAlias = Any


def _unbound() -> NoReturn:
    msg = "the transitions run inside an engine only: see twin.line.simulator"
    raise RuntimeError(msg)


def run_cycle(e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure) -> float:
    """Run the station's process model for the part it holds; returns the defect probability."""
    _unbound()


def record(journal: Journal, now: float, e: int, before: int, after: int, part: int) -> None:
    """Write a state change into the journal."""
    _unbound()


def schedule(e: int, pending: int, due_s: float, f: Floats, i: Ints, journal: Journal) -> None:
    """Set what is due next at an element, and when; ``inf`` is never."""
    _unbound()


def core_of(e: int) -> Any:
    """The compiled process model of a continuous station."""
    _unbound()
