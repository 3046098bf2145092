"""The transitions as machine code: what the compiled engine owes them, and the loop over events.

Everything here is plain Python over arrays until ``twin.line.compilation`` makes machine code of it. The engine's own record, called
``journal`` by the transitions and *desk* here, is a pair of arrays:

    floats: due times of all elements, work space of the process models, rows of the journal
    ints:   header, places of the elements in the tie order, streams of their luck, winners of the tree

It is derived data and may be dropped between two calls. A few due times are looked through one by one.
Many are a tree of two levels: each block of neighbours keeps the element that is due first in it, a
change looks through its own block, and the next event is the best of the blocks (a binary tournament
let 100 stations with constant cycles run at nine tenths of this pace). Equal times are taken in the order of (class of element,
element), as in the SimPy engine.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from twin.kernels.draws import CYCLE, uniform_of
from twin.kernels.draws import stream as draw_stream
from twin.line.events import happen, put_in_force, settle
from twin.line.hooks import Constants, Floats, Ints, Structure
from twin.line.residual import fresh_luck
from twin.line.schema import (
    C_SHIFT_H,
    CYCLE_KWH,
    CYCLE_S,
    CYCLE_WEAR,
    D_K,
    DRIFTS,
    DUE_S,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ELAPSED_D,
    ELEMENTS_K,
    K_DISTURBANCE_F,
    K_LINE_I,
    K_PART_F,
    MATERIAL_KG,
    N_D,
    N_P,
    N_SETPOINTS,
    N_X,
    N_Y,
    OUT_V,
    OWN_F,
    P_C,
    P_FLOATS,
    PENDING,
    PRODUCT,
    PRODUCT_D,
    READY_AT,
    SEED,
    SHIFT_AT,
    SLOT,
    STEP_AT,
    VECTORS_V,
    WEAR,
    WORLD,
    WRITE_AT,
    X_F,
)

ROWS, ROWS_ROOM, FIRST_ROW, ELEMENTS, BLOCKS, TABLE_ROWS, MOVED, OF_SEED, OF_WORLD = range(9)
HEADER = 9
"""Rows written, rows there is room for, where they begin; elements; blocks of the tree, 0 if the due
times are scanned; rows of the table of what comes from outside; the element whose due time has changed
since its block was last looked through, -1 for none; whose luck the streams are."""
Desk: TypeAlias = Any
ROW = 5
"""A row of the journal: time, element, state before, state after, part."""
SPARE = 16
"""Rows that one instant may write, an element (assumption; more than that is refused, not lost)."""
SCANNED = 24
"""Up to so many elements the due times are looked through one by one; assumption."""
BLOCK = 16
"""Neighbours in a block of the tree; assumption."""
DONE, FULL = 0, 1


# --- the calendar ------------------------------------------------------------------------------


def earlier(left: int, right: int, desk: Desk) -> int:
    """Of two elements, that whose turn comes first."""
    due_s, order = desk[0], desk[1]
    if due_s[left] != due_s[right]:
        return left if due_s[left] < due_s[right] else right
    return left if order[HEADER + left] < order[HEADER + right] else right


def lay_out(f: Floats, k: Structure, desk: Desk) -> None:
    """Fill the calendar from the due times of a state."""
    due_s, at = desk[0], desk[1]
    for e in range(at[ELEMENTS]):
        due_s[e] = f[e * E_FLOATS + DUE_S]
    at[MOVED] = -1
    for block in range(at[BLOCKS]):
        look_through(block, desk)


def look_through(block: int, desk: Desk) -> None:
    """Find the element of a block that is due first."""
    at = desk[1]
    first = block * BLOCK
    at[HEADER + 2 * at[ELEMENTS] + block] = first_of_range(
        first, min(first + BLOCK, at[ELEMENTS]), desk
    )


def first_of_range(first: int, end: int, desk: Desk) -> int:
    """The element that is due first among neighbours."""
    due_s = desk[0]
    best = first
    least_s = due_s[first]
    for e in range(first + 1, end):
        if due_s[e] < least_s:
            best, least_s = e, due_s[e]
        elif due_s[e] == least_s:
            best = earlier(best, e, desk)
    return best


def soonest(desk: Desk) -> int:
    """The element that is due next."""
    at = desk[1]
    n, blocks = at[ELEMENTS], at[BLOCKS]
    if blocks == 0:
        return first_of_range(0, n, desk)
    if at[MOVED] >= 0:
        look_through(at[MOVED] // BLOCK, desk)
        at[MOVED] = -1
    best = int(at[HEADER + 2 * n])
    for block in range(1, blocks):
        best = earlier(best, at[HEADER + 2 * n + block], desk)
    return best


# --- what the transitions are owed -------------------------------------------------------------


def schedule(e: int, pending: int, due_s: float, f: Floats, i: Ints, desk: Desk) -> None:
    """Set what is due next at an element, in the state and in the calendar.

    Most instants set the same element's due time twice: it falls idle and finds work at once. So a
    block is looked through when an element of another block changes, or when it is asked.
    """
    f[e * E_FLOATS + DUE_S] = due_s
    i[e * E_INTS + PENDING] = pending
    at = desk[1]
    if at[BLOCKS] > 0:
        if at[MOVED] >= 0 and at[MOVED] // BLOCK != e // BLOCK:
            look_through(at[MOVED] // BLOCK, desk)
        at[MOVED] = e
    desk[0][e] = due_s


def record(desk: Desk, now: float, e: int, before: int, after: int, part: int) -> None:
    """A row of the journal; beyond its room they are only counted."""
    at = desk[1]
    if at[ROWS_ROOM] > 0:
        row = at[ROWS]
        at[ROWS] = row + 1
        if row < at[ROWS_ROOM]:
            rows = desk[0]
            first = at[FIRST_ROW] + ROW * row
            rows[first] = now
            rows[first + 1] = float(e)
            rows[first + 2] = float(before)
            rows[first + 3] = float(after)
            rows[first + 4] = float(part)


def fire_custom(
    e: int, pending: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, desk: Desk
) -> None:
    """Call what another package's element does; its address lies where a model's would."""
    code = k[ELEMENTS_K + e * EK + WRITE_AT]
    call_element(code, e, pending, now, f, i, c, k, desk[0], desk[1])


def look_custom(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, desk: Desk
) -> None:
    """The same when something near it has changed."""
    code = k[ELEMENTS_K + e * EK + STEP_AT]
    call_element(code, e, 0, now, f, i, c, k, desk[0], desk[1])


def lay_out_luck(i: Ints, k: Structure, desk: Desk) -> None:
    """The streams of the cycles, unless they are those of the same seed and world already."""
    at, line = desk[1], k[K_LINE_I]
    seed, world = i[line + SEED], i[line + WORLD]
    if at[OF_SEED] != seed or at[OF_WORLD] != world:
        at[OF_SEED], at[OF_WORLD] = seed, world
        for e in range(at[ELEMENTS]):
            at[HEADER + at[ELEMENTS] + e] = np.int64(draw_stream(seed, world, e, CYCLE))


def cycle_luck(e: int, index: int, i: Ints, k: Structure, desk: Desk) -> float:
    """The uniform number behind a cycle's scatter: four of its five mixing steps are laid out."""
    at = desk[1]
    return uniform_of(np.uint64(at[HEADER + at[ELEMENTS] + e]), index)


def rows_of(w: Constants, width: int, desk: Desk) -> int:
    """Rows of the table."""
    return int(desk[1][TABLE_ROWS])


def work_space(desk: Desk) -> Any:
    """The floats of the desk: the offsets in the engine's own ``k`` count from their beginning."""
    return desk[0]


def run_cycle(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, desk: Desk
) -> float:
    """Call the station's model on the columns where its setpoints, wear and parameters lie."""
    v = desk[0]
    a, ek = e * E_FLOATS, ELEMENTS_K + e * EK
    d = k[ek + VECTORS_V] + k[ek + N_X] + k[ek + N_SETPOINTS]
    out = k[ek + OUT_V]
    gather_disturbances(e, d, now, f, c, k, desk)
    if k[ek + PRODUCT_D] >= 0:  # of the part in hand, not of those that enter the line now
        slot = i[e * E_INTS + SLOT]
        v[d + k[ek + PRODUCT_D]] = f[k[K_PART_F] + slot * P_FLOATS + PRODUCT]
    code = k[ek + WRITE_AT]
    if k[ek + DRIFTS]:
        p = d + k[ek + N_D]
        gather_parameters(e, p, now, c, k, desk)
        call_write(code, f, a + WEAR, f, k[ek + OWN_F], v, d, v, p, v, out)
    else:
        call_write(code, f, a + WEAR, f, k[ek + OWN_F], v, d, c, k[ek + P_C], v, out)
    f[a + CYCLE_S], f[a + CYCLE_KWH], f[a + MATERIAL_KG] = v[out], v[out + 1], v[out + 2]
    f[a + CYCLE_WEAR] = v[out + 4]
    coming = k[ek + OWN_F] + k[ek + N_SETPOINTS] + k[ek + N_Y]
    for n in range(k[ek + N_Y]):
        f[coming + n] = v[out + 5 + n]
    return float(v[out + 3])


def gather_disturbances(
    e: int, d: int, now: float, f: Floats, c: Constants, k: Structure, desk: Desk
) -> None:
    """The disturbances of a model: the line's own where it has them, else their reference values."""
    v = desk[0]
    ek = ELEMENTS_K + e * EK
    reference = k[ek + P_C] + 2 * k[ek + N_P]
    for n in range(k[ek + N_D]):
        column = k[k[ek + D_K] + n]
        v[d + n] = f[k[K_DISTURBANCE_F] + column] if column >= 0 else c[reference + n]
    if k[ek + ELAPSED_D] >= 0:
        shift_h, hours = c[e * EC + C_SHIFT_H], now / 3600.0
        v[d + k[ek + ELAPSED_D]] = hours - shift_h * int(hours / shift_h)


def gather_parameters(e: int, p: int, now: float, c: Constants, k: Structure, desk: Desk) -> None:
    """The parameters of a model, as far as they have drifted by now."""
    v = desk[0]
    ek = ELEMENTS_K + e * EK
    first, n_p = k[ek + P_C], k[ek + N_P]
    hours = now / 3600.0
    for n in range(n_p):
        v[p + n] = c[first + n] * (1.0 + c[first + n_p + n] * hours)


def gather(e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, desk: Desk) -> None:
    """All vectors of a continuous station."""
    v = desk[0]
    ek = ELEMENTS_K + e * EK
    x = k[ek + VECTORS_V]
    u = x + k[ek + N_X]
    d = u + k[ek + N_SETPOINTS]
    for n in range(k[ek + N_X]):
        v[x + n] = f[k[ek + X_F] + n]
    for n in range(k[ek + N_SETPOINTS]):
        v[u + n] = f[k[ek + OWN_F] + n]
    gather_disturbances(e, d, now, f, c, k, desk)
    gather_parameters(e, d + k[ek + N_D], now, c, k, desk)


def outputs(e: int, c: Constants, k: Structure, desk: Desk) -> None:
    """The outputs of a continuous station's model."""
    v = desk[0]
    ek = ELEMENTS_K + e * EK
    x = k[ek + VECTORS_V]
    u = x + k[ek + N_X]
    d = u + k[ek + N_SETPOINTS]
    p = d + k[ek + N_D]
    call_write(k[ek + WRITE_AT], v, x, v, u, v, d, v, p, v, k[ek + OUT_V])


def carry_on(e: int, step_s: float, f: Floats, c: Constants, k: Structure, desk: Desk) -> None:
    """One step of a continuous station's model, into the state."""
    v = desk[0]
    ek = ELEMENTS_K + e * EK
    x = k[ek + VECTORS_V]
    u = x + k[ek + N_X]
    d = u + k[ek + N_SETPOINTS]
    p = d + k[ek + N_D]
    call_step(k[ek + STEP_AT], v, x, v, u, v, d, v, p, f, k[ek + X_F], step_s)


def shift_carriers(e: int, entering_c: float, k: Structure, desk: Desk) -> None:
    """All carriers in the vector of states move on."""
    v = desk[0]
    ek = ELEMENTS_K + e * EK
    call_shift(k[ek + SHIFT_AT], v, k[ek + VECTORS_V], entering_c)


def entry_open(e: int, c: Constants, k: Structure, desk: Desk) -> int:
    """Whether the process lets a carrier in."""
    v = desk[0]
    ek = ELEMENTS_K + e * EK
    x = k[ek + VECTORS_V]
    u = x + k[ek + N_X]
    p = u + k[ek + N_SETPOINTS] + k[ek + N_D]
    return int(call_ready(k[ek + READY_AT], v, x, v, u, v, p))


# --- the loop over events ------------------------------------------------------------------------


def advance(
    untils_s: Any,
    nows_s: Any,
    worlds: Any,
    kinds: Any,
    elements: Any,
    columns: Any,
    values: Any,
    fs: Any,
    ints: Any,
    cs: Any,
    ks: Any,
    ws: Any,
    floats: Any,
    header: Any,
) -> int:
    """Put setpoints in force in each state, then let all happen that is due before its end.

    The one function that is called from Python, with arrays (states by row); everything below it works
    on bare pointers. ``nows_s`` is where each state stands, ``untils_s`` where it is to go; one whose world is
    not negative is first sent into that world. ``values`` of the setpoints (not finite: it stays), constants
    ``cs`` and tables ``ws`` have a row for each state, or one for all. FULL: the journal wants to be emptied
    first, and the call to be made again, without setpoints; only a single state has a journal.
    """
    k = first_of(ks)
    desk = (first_of(floats), first_of(header))
    room = header[ROWS_ROOM] - SPARE * header[ELEMENTS]
    for n in range(fs.shape[0]):
        f, i = ahead(first_of(fs), n * fs.shape[1]), ahead(first_of(ints), n * ints.shape[1])
        c = ahead(first_of(cs), n % cs.shape[0] * cs.shape[1])
        w = ahead(first_of(ws), n % ws.shape[0] * ws.shape[1])
        until_s, own = untils_s[n % untils_s.shape[0]], n % values.shape[0]
        if worlds[n] >= 0:
            fresh_luck(worlds[n], nows_s[n], f, i, c, k)
        lay_out(f, k, desk)
        lay_out_luck(i, k, desk)
        for m in range(len(kinds)):
            value = values[own, m]
            if np.isfinite(value):
                put_in_force(kinds[m], elements[m], columns[m], value, nows_s[n], f, i, c, k, desk)
        settle(nows_s[n], f, i, c, k, desk)
        while True:
            e = soonest(desk)
            now = floats[e]
            if not now < until_s:
                break
            if header[ROWS_ROOM] > 0 and header[ROWS] > room:
                return FULL
            happen(e, now, f, i, c, k, w, desk)
        nows_s[n] = until_s
    return DONE


# Bound when it is compiled, see ``twin.line.compilation``.
call_write: Any = None
call_step: Any = None
call_shift: Any = None
call_ready: Any = None
call_element: Any = None
first_of: Any = None
ahead: Any = None
