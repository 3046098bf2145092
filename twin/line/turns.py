"""Turns of the loop on many lines at once: guard, line, instruments, books and what is shown, compiled.

A turn is what ``ControlLoop.step`` and the PLC make of one control period, as far as a policy feels it: what
is asked is granted by the guard's own kernel (`ask`), the line goes on by the engine, then the instruments
show it and the meters are read (`read`). A policy decides once in several turns, and is then answered
(`answer_all`). An environment on the SimPy twin has its single line read and judged by the same functions, so
that both keep the same books.

Names as in ``twin.line.kernel``: ``f i`` are the columns of one state, ``c k`` constants, ``w`` the table.
Everything is plain Python over arrays until `compiled` makes machine code of it.
"""

from __future__ import annotations

import numpy as np

from twin.kernels.limits import FREE, granted
from twin.kernels.observation import asked, pack, scaled
from twin.line import schema as s
from twin.line.batch import (
    ACTIVE,
    AGE,
    BAD_READS,
    CARRIERS,
    DISTURBANCE,
    FIGURES,
    FIRST_EUR,
    FORECAST,
    IS_LOST,
    MOST_PRODUCT,
    NEVER_SEEN_S,
    OBJECTIVE_EUR,
    SEEN,
    Answer,
    Array,
    Batch,
    Common,
    Instruments,
    Moves,
    Terms,
    View,
)
from twin.line.events import STANDBY_NOW
from twin.line.meters import measure, objective_eur, open_book, read_meters

# --- what is shown -----------------------------------------------------------------------------------


def show(n: int, now_us: int, decision: int, line: Common, moves: Moves, view: View, batch: Batch, shown: Array) -> None:  # fmt: skip
    """What a PLC shows of line ``n``, in the order of ``twin.kernels.observation``."""
    f, i, k, now_s = batch.f[n], batch.i[n], line.k, now_us / 1e6
    at = k[s.K_LINE_I]
    good, scrap = i[at + s.GOOD], i[at + s.LINE_SCRAPPED]
    shown[0], shown[1], shown[2], shown[3] = now_s, i[at + s.ORDERED], good, scrap
    shown[4], shown[5] = i[at + s.RELEASED] - good - scrap, f[s.LAST_RELEASE_S]
    place = 6
    for b in range(line.buffers):
        shown[place] = i[k[s.K_BUFFER_I] + b * s.B_INTS]
        place += 1
    for e in range(1, line.stations + 1):
        shown[place] = i[e * s.E_INTS + s.STATE]
        shown[place + 1] = f[e * s.E_FLOATS + s.SINCE_S]
        place += 2
    for m in range(view.kinds.size):
        kind, where = view.kinds[m], view.places[m]
        if kind == SEEN:
            shown[place + m] = batch.seen[n, where]
        elif kind == AGE:
            shown[place + m] = now_s - batch.seen_s[n, where]
        elif kind == CARRIERS:
            shown[place + m] = carriers(n, m, line, view, batch)
        elif kind == MOST_PRODUCT:
            shown[place + m] = most_product(n, m, line, view, batch)
        elif kind == DISTURBANCE:
            shown[place + m] = f[k[s.K_DISTURBANCE_F] + where]
        elif kind == FORECAST:
            shown[place + m] = batch.forecast[n, decision, where]
        elif kind == ACTIVE:
            shown[place + m] = active(n, where, moves, batch)
        else:
            shown[place + m] = batch.previous[n, where]


def carriers(n: int, m: int, line: Common, view: View, batch: Batch) -> float:
    """How many places of a conveyor hold a part."""
    first, inside = line.k[s.ELEMENTS_K + view.places[m] * s.EK + s.PLACES_I], 0
    for at in range(first + view.first[m], first + view.last[m]):
        inside += batch.i[n, at] >= 0
    return float(inside)


def most_product(n: int, m: int, line: Common, view: View, batch: Batch) -> float:
    """The greatest product in some places of a conveyor; parts that were never seen do not count."""
    first, most = line.k[s.ELEMENTS_K + view.places[m] * s.EK + s.PLACES_I], 0.0
    for at in range(first + view.first[m], first + view.last[m]):
        slot = batch.i[n, at]
        if slot >= 0:
            part = batch.i[n, line.k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
            if part == batch.parts[n, slot]:
                most = max(most, batch.product[n, slot])
    return most


def active(n: int, m: int, moves: Moves, batch: Batch) -> float:
    """The setpoint that is in force on line ``n``."""
    if moves.kinds[m] == STANDBY_NOW:
        return float(batch.i[n, moves.columns[m]])
    return float(batch.f[n, moves.columns[m]])


# --- turns -------------------------------------------------------------------------------------------

CALLED = ("open_books", "aim", "ask", "read", "take_over", "answer_all")
"""What is called from Python; ``rows`` are the lines that are meant."""


def open_books(
    rows: Array, line: Common, instruments: Instruments, batch: Batch, answer: Answer
) -> None:
    """Begin the books of fresh lines, of which nothing is told yet, and look at their instruments for the first time."""
    for n in rows:
        answer.tripped[n] = answer.ended[n] = answer.filtered[n] = False
        answer.figures[n, :] = 0.0  # of the shift before, as all of the answer
        answer.correction[n] = answer.reward[n] = 0.0
        open_book(n, batch.now_us[n] / 1e6, line, batch)
        batch.seen[n, :] = instruments.expected
        batch.seen_s[n, :] = NEVER_SEEN_S
        batch.parts[n, :] = 0
        measure(n, batch.now_us[n], True, line, instruments, batch)


def aim(actions: Array, moves: Moves, batch: Batch, answer: Answer) -> None:
    """What the policy asks of each line from now on: ``actions`` between -1 and 1, one row a line."""
    for n in range(actions.shape[0]):
        answer.filtered[n] = False
        for m in range(actions.shape[1]):
            batch.previous[n, m] = asked(actions[n, m], moves.lo[m], moves.hi[m])


def ask(rows: Array, line: Common, moves: Moves, batch: Batch, answer: Answer, values: Array) -> None:  # fmt: skip
    """The guard's part of a turn: what goes to the PLC of each line, NaN where nothing is to move.

    A line without a critical input is left alone, and one that was so for too long is given up.
    """
    for row in range(rows.size):
        n = rows[row]
        if batch.books[n, BAD_READS] > line.bad_reads_allowed:
            answer.tripped[n] = True
        for m in range(moves.kinds.size):
            values[row, m] = np.nan
            wanted, before = batch.previous[n, m], active(n, m, moves, batch)
            if batch.books[n, IS_LOST] > 0.0 or wanted == before:  # whatever is asked is allowed
                continue
            value, why = granted(
                wanted, before, moves.limits[m], moves.rate_per_s[m], line.period_us,
                moves.discrete[m],
            )  # fmt: skip
            if why != FREE:
                answer.filtered[n] = True
            if value != before:
                values[row, m] = value


def read(rows: Array, is_due: bool, line: Common, instruments: Instruments, batch: Batch) -> None:
    """A reading of each line at its ``now_us``: instruments and meters. ``is_due``: a decision is."""
    for n in rows:
        measure(n, batch.now_us[n], is_due, line, instruments, batch)
        read_meters(n, batch.now_us[n] / 1e6, line, batch)


def take_over(
    rows: Array, line: Common, instruments: Instruments, moves: Moves, batch: Batch
) -> None:
    """The loop has its hand on each line: what it costs counts from here, and nothing was asked yet."""
    unused = np.zeros(len(FIGURES))
    for n in rows:
        objective = objective_eur(n, batch.now_us[n] / 1e6, line, batch, unused)
        batch.books[n, FIRST_EUR] = batch.books[n, OBJECTIVE_EUR] = objective
        for m in range(moves.kinds.size):
            batch.previous[n, m] = active(n, m, moves, batch)


def answer_all(rows: Array, since_us: Array, line: Common, moves: Moves, view: View, terms: Terms, batch: Batch, answer: Answer, shown: Array) -> None:  # fmt: skip
    """Observation of each line, and the reward of the decision since ``since_us`` if that is before now."""
    for row in range(rows.size):
        n = rows[row]
        now_us = batch.now_us[n]
        if since_us[row] < now_us or answer.tripped[n]:
            judge(n, since_us[row], line, moves, terms, batch, answer)
        # Rounded up: a shift may end within a period.
        begun = (now_us + terms.decision_us - 1) // terms.decision_us
        decision = min(begun, batch.forecast.shape[1] - 1)
        show(n, now_us, decision, line, moves, view, batch, shown[n])
        one = slice(n, n + 1)
        pack(
            shown[one], line.buffers, line.stations, line.shift_s, view.lo, view.hi,
            answer.observation[one],
        )  # fmt: skip


def judge(n: int, since_us: int, line: Common, moves: Moves, terms: Terms, batch: Batch, answer: Answer) -> None:  # fmt: skip
    """The reward of the decision that line ``n`` has been under since ``since_us``.

    What the objective has grown by, less the step's share of what it was before the first decision, so that
    the rewards of a shift add up to the objective; a line that is given up pays the rest of that at once.
    """
    now_us, books = batch.now_us[n], batch.books[n]
    correction = 0.0
    for m in range(moves.kinds.size):
        answer.applied[n, m] = scaled(active(n, m, moves, batch), moves.lo[m], moves.hi[m])
        wanted = batch.previous[n, m]
        if moves.discrete[m]:
            wanted = np.rint(wanted)
        correction += abs(scaled(wanted, moves.lo[m], moves.hi[m]) - answer.applied[n, m])
    answer.correction[n] = correction
    answer.ended[n] = now_us >= batch.ends_us[n]
    objective = objective_eur(n, now_us / 1e6, line, batch, answer.figures[n])
    due_us = batch.ends_us[n] if answer.tripped[n] else now_us
    share = (due_us - since_us) / (batch.ends_us[n] - terms.first_us)
    grown = objective - books[OBJECTIVE_EUR] + books[FIRST_EUR] * share
    books[OBJECTIVE_EUR] = objective
    answer.reward[n] = -(grown + terms.correction_eur * correction) / terms.eur_per_reward
