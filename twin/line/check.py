"""The check that an element of another package has to pass, shipped for whoever writes one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.custom import ElementError, ElementKind
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.snapshot import from_json, to_json

if TYPE_CHECKING:
    from twin.line.model import Line
    from twin.state import LineState

SEEDS = (1, 2, 3)


def check_element(kind: ElementKind, line: Line, table: list[float], until_s: float) -> None:
    """Raise `ElementError` unless the element holds what both engines and a snapshot rely on.

    ``line`` is one that has such an element, ``table`` what comes from outside, ``until_s`` plant time
    in which it is used. Over several seeds: both engines take the same course to the last bit; so does
    a run that is saved and restored on the other engine in between; no part appears or is lost; what
    is due is never due in the past, and is what ``due`` says, if the kind has it; parts do come through it. Raises ``ProcessModelError`` if numba
    cannot compile it.
    """
    at = [e for e, element in enumerate(line.elements) if element.custom is kind]
    if not at:
        raise ElementError(f"the line has no element of kind {kind.name!r}: nothing is checked")
    good = 0
    for seed in SEEDS:
        whole = _run(line, table, seed, [until_s], ["simpy"])
        compiled = _run(line, table, seed, [until_s], ["compiled"])
        for e in at:
            for share in (0.13, 0.47, 0.71, 0.93):
                _check_due(kind, line, e, _run(line, table, seed, [until_s * share], ["simpy"]))
        cuts = [until_s * share for share in (0.21, 0.34, 0.55, 0.89, 1.0)]
        mixed = _run(line, table, seed, cuts, ["compiled", "simpy"])
        for other, how in ((compiled, "on the compiled engine"), (mixed, "saved in between")):
            if not _same(whole, other):
                raise ElementError(f"element {kind.name!r}, seed {seed}: another course {how}")
        _check_parts(kind, line, whole)
        for e in at:
            if whole.floats[e * s.E_FLOATS + s.DUE_S] < until_s:
                raise ElementError(
                    f"element {kind.name!r} leaves something due in the past: call schedule"
                    " whenever what was due has happened"
                )
            _check_due(kind, line, e, whole)
        good += whole.ints[line.k[s.K_LINE_I] + s.GOOD]
    if not good:
        raise ElementError(f"no part came through element {kind.name!r} by {until_s:g} s")


def _check_due(kind: ElementKind, line: Line, e: int, state: LineState) -> None:
    """What the kind says is due in a state must be what is due there, if not when: that may be drawn anew."""
    if kind.due is None:
        return
    own = state.copy()
    answer: object = kind.due(e, own.now_s, own.floats, own.ints, line.c, line.k)
    if not isinstance(answer, tuple) or len(answer) != 2 or math.isnan(answer[0]):
        raise ElementError(
            f"element {kind.name!r}: `due` answers {answer!r}, not a time and what is due"
        )
    due_s, pending = answer
    a, b = e * s.E_FLOATS, e * s.E_INTS
    is_due_s, is_pending = state.floats[a + s.DUE_S], state.ints[b + s.PENDING]
    if (due_s < s.FOREVER, pending) != (is_due_s < s.FOREVER, is_pending):
        msg = f"`due` says {pending} is due at {due_s:g} s, where it is {is_pending} at {is_due_s:g} s"
        raise ElementError(f"element {kind.name!r}: {msg}")
    first = line.k[s.ELEMENTS_K + e * s.EK + s.OWN_F]
    mine = {*range(a, a + s.E_FLOATS), *range(first, first + len(kind.columns))}
    touched = [n for n, (x, y) in enumerate(zip(own.floats, state.floats, strict=True)) if x != y]
    if own.ints != state.ints or not mine.issuperset(touched):
        raise ElementError(f"element {kind.name!r}: `due` writes what is not its own")


def _run(
    line: Line, table: list[float], seed: int, stops_s: list[float], engines: list[str]
) -> LineState:
    state = initial_state(line, seed, PLANT)
    engine(line, table, "simpy").prime(state)
    for n, stop_s in enumerate(stops_s):
        state = from_json(line, to_json(line, state))
        try:
            engine(line, table, engines[n % len(engines)]).advance(state, {}, stop_s)
        except (IndexError, ArithmeticError) as error:
            msg = f"seed {seed}, on {engines[n % len(engines)]}: {error!r}: is a part handed on twice, or lost?"
            raise ElementError(msg) from error
    return state


def _same(one: LineState, other: LineState) -> bool:
    bits = (np.array(state.floats).tobytes() for state in (one, other))
    return one.ints == other.ints and len(set(bits)) == 1


def _check_parts(kind: ElementKind, line: Line, state: LineState) -> None:
    i, k = state.ints, line.k
    at, n_slots = k[s.K_LINE_I], k[s.K_SLOTS]
    parts = [i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID] for slot in range(n_slots)]
    inside = sum(part > 0 for part in parts)
    if inside != n_slots - i[at + s.FREE_SLOTS]:
        raise ElementError(f"element {kind.name!r} has lost or doubled a part's record")
    made = i[at + s.NEXT_PART]
    gone = i[at + s.GOOD] + i[at + s.LINE_SCRAPPED]
    if not any(spec.also_takes or spec.also_gives for spec in line.plant.stations) and (
        made != gone + inside and not line.plant.supplies
    ):
        raise ElementError(
            f"element {kind.name!r}: {made} parts entered, {gone} left, {inside} are in"
        )
