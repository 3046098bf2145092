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


def run_cycle(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> float:
    """Run the station's process model for the part it holds; returns the defect probability."""
    _unbound()


def record(journal: Journal, now: float, e: int, before: int, after: int, part: int) -> None:
    """Write a state change into the journal."""
    _unbound()


def schedule(e: int, pending: int, due_s: float, f: Floats, i: Ints, journal: Journal) -> None:
    """Set what is due next at an element, and when; ``inf`` is never."""
    _unbound()


def fire_custom(
    e: int,
    pending: int,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    journal: Journal,
) -> None:
    """What was due at an element of another package happens."""
    _unbound()


def look_custom(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Something near an element of another package has changed."""
    _unbound()


def cycle_luck(e: int, index: int, i: Ints, k: Structure, journal: Journal) -> float:
    """The uniform number behind a cycle's scatter, of the stream CYCLE: drawn for each part."""
    _unbound()


def rows_of(w: Constants, width: int, journal: Journal) -> int:
    """Rows of the table of what comes from outside."""
    _unbound()


# A continuous station works on the vectors x, u, d, p and out of its process model. They lie one after
# the other in the engine's work space, from ``VECTORS_V`` on; nothing in there outlives an event.


def work_space(journal: Journal) -> Floats:
    """The engine's work space, in which the vectors of all process models lie."""
    _unbound()


def gather(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Fill x, u, d and p of a continuous station from the state."""
    _unbound()


def outputs(e: int, c: Constants, k: Structure, journal: Journal) -> None:
    """Run the process model's outputs: fills ``out``."""
    _unbound()


def carry_on(
    e: int, step_s: float, f: Floats, c: Constants, k: Structure, journal: Journal
) -> None:
    """Carry x over one step, into the state."""
    _unbound()


def shift_carriers(e: int, entering_c: float, k: Structure, journal: Journal) -> None:
    """Move what x knows of the carriers on by one place."""
    _unbound()


def entry_open(e: int, c: Constants, k: Structure, journal: Journal) -> int:
    """Whether the process lets a carrier in."""
    _unbound()
