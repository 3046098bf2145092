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

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from twin.kernels import draws
from twin.kernels.cost import running_cost_eur, stock_cost_eur, tool_charge_eur
from twin.kernels.limits import FREE, granted
from twin.kernels.observation import asked, pack, scaled
from twin.line import schema as s
from twin.line.events import STANDBY_NOW

Array: TypeAlias = Any

QUARTER_S = 900.0
NEVER_SEEN_S = -1e9

# What of an observation goes on as it is, by kind.
SEEN, AGE, CARRIERS, DISTURBANCE, FORECAST, ACTIVE, PREVIOUS = range(7)

# --- the books of one line, a row of floats ------------------------------------------------------
BOOKS = 15
(
    READ_S,
    ELECTRICITY_EUR,
    ENERGY_KWH,
    SITE_KWH,
    GRID_KWH,
    QUARTER_KWH,
    QUARTER_ENDS_S,
    IS_OPEN,
    PEAK_KW,
    HEAT_OWED_KWH,
    GAS_OWED_KWH,
    FIRST_EUR,
    OBJECTIVE_EUR,
    BAD_READS,
    IS_LOST,
) = range(BOOKS)
"""The last reading: its time, cost of electricity so far, meters; the quarter of an hour under way: grid meter
at its begin, its end, whether it was whole; the highest so far; what heat and gas were owed at the start; the
objective at the first decision and at the last; readings in a row without a critical input, and whether
this is one."""

# --- what a shift has come to so far -------------------------------------------------------------
FIGURES = (
    "objective_eur",
    "good_parts",
    "scrap_parts",
    "ordered_parts",
    "backlog_end",
    "wip_end",
    "energy_kwh",
    "gas_kwh",
    "material_kg",
    "tool_cost_eur",
    "peak_kw",
)


class Common(NamedTuple):
    """What all lines of a batch have in common: structure, prices and stores of the nominal plant.

    ``prices``: gas EUR/MWh, material and scrap EUR/kg, backlog and WIP EUR/part, tool budget EUR/part, excess
    factor, peak EUR/kW. ``edges``: price of an edge by station, its life in mm (0: no edge). ``warm_up``: time
    and power by station. ``stores``: column of a zone's temperature, recipe, kJ/K, efficiency. ``columns``: of the
    price and of the site's load among the disturbances, -1 without.
    """

    k: Array
    stations: int
    elements: int
    buffers: int
    shift_s: float
    period_us: int
    bad_reads_allowed: int
    starts_at_s: float
    prices: Array
    edges: Array
    warm_up: Array
    stores: Array
    columns: Array


class Moves(NamedTuple):
    """The MVs of an action: where they stand, what the guard allows, between which ends a policy asks."""

    kinds: Array
    elements: Array
    columns: Array
    limits: Array
    rate_per_s: Array
    discrete: Array
    lo: Array
    hi: Array


class Instruments(NamedTuple):
    """What is measured with noise, or may be lost.

    ``column`` in ``f`` over ``over`` is the true value; ``counter`` in ``i`` tells a new sample, -1: one a second.
    ``stream`` keys the luck, negative where there is no instrument and the value is exact. ``expected``
    stands in until something was seen.
    """

    column: Array
    over: Array
    counter: Array
    stream: Array
    noise_sd: Array
    dropout: Array
    critical: Array
    expected: Array


class View(NamedTuple):
    """The rest of what is shown: kinds and where each is found; limits of all fields of an observation."""

    kinds: Array
    places: Array
    lo: Array
    hi: Array


class Batch(NamedTuple):
    """Lines side by side, one a row, with all that is remembered of each.

    ``f i c w``: state, constants, table; ``now_us``; ``faults``: drift an hour and dropout of the scenario;
    ``seen`` and ``seen_s``: last good value of each instrument and when; ``forecast``: by decision, two prices;
    ``books``; ``previous``: last action, in engineering units; ``ends_us`` of the shift.
    """

    f: Array
    i: Array
    c: Array
    w: Array
    now_us: Array
    faults: Array
    seen: Array
    seen_s: Array
    forecast: Array
    books: Array
    previous: Array
    ends_us: Array


class Answer(NamedTuple):
    """What a step gives: observations, rewards, trips, ends, and what the guard made of the actions."""

    observation: Array
    reward: Array
    tripped: Array
    ended: Array
    applied: Array
    correction: Array
    filtered: Array
    figures: Array


class Terms(NamedTuple):
    """How a step is judged: EUR that weigh one, EUR a unit of correction, decision period, when the first one is."""

    eur_per_reward: float
    correction_eur: float
    decision_us: int
    first_us: int


# --- instruments -----------------------------------------------------------------------------------


def measure(
    n: int, now_us: int, is_due: bool, line: Common, instruments: Instruments, batch: Batch
) -> None:
    """Look at the instruments of line ``n``; what is lost keeps its last value.

    As `twin.line.sensors` and `twin.sense.fusion` have it: without a critical input nothing is seen at all.
    """
    f, i, books = batch.f[n], batch.i[n], batch.books[n]
    drift, fault = batch.faults[n, 0], batch.faults[n, 1]
    hours, second = now_us / 3.6e9, now_us // 1_000_000
    seed, world = i[line.k[s.K_LINE_I] + s.SEED], i[line.k[s.K_LINE_I] + s.WORLD]
    books[IS_LOST] = 0.0
    may_be_lost = fault > 0.0
    for m in range(instruments.column.size):
        may_be_lost = may_be_lost or instruments.dropout[m] > 0.0
        if instruments.critical[m] and lost(m, second, fault, seed, world, instruments):
            books[IS_LOST] = 1.0
    if books[IS_LOST] > 0.0:
        books[BAD_READS] += 1.0
        return
    books[BAD_READS] = 0.0
    if not (may_be_lost or is_due):  # the next reading shows all of it anew
        return
    for m in range(instruments.column.size):
        if lost(m, second, fault, seed, world, instruments):
            continue
        value = f[instruments.column[m]] / instruments.over[m]
        stream = instruments.stream[m]
        if stream >= 0:
            if instruments.noise_sd[m] > 0.0:
                at = instruments.counter[m]
                sample = i[at] if at >= 0 else second
                value += instruments.noise_sd[m] * draws.normal(
                    seed, world, stream, draws.NOISE, sample
                )
            value *= 1.0 + drift * hours
        batch.seen[n, m] = value
        batch.seen_s[n, m] = now_us / 1e6


def lost(
    m: int, second: int, fault: float, seed: int, world: int, instruments: Instruments
) -> bool:
    """Whether an instrument loses the sample of this second."""
    stream = instruments.stream[m]
    share = max(instruments.dropout[m], fault)
    if stream < 0 or share <= 0.0:
        return False
    return bool(draws.uniform(seed, world, stream, draws.DROPOUT, second) < share)


# --- books -----------------------------------------------------------------------------------------


def energy_kwh(now_s: float, f: Array, line: Common) -> float:
    """Electricity of all stations so far."""
    total = 0.0
    for e in range(1, line.elements):
        kind = line.k[s.ELEMENTS_K + e * s.EK + s.KIND]
        if kind in (s.STATION, s.CONVEYOR, s.CUSTOM):
            a = e * s.E_FLOATS
            for state in range(s.N_STATES):
                total += f[a + s.ENERGY_KWH + state]
            total += f[a + s.POWER_KW] * (now_s - f[a + s.BOOKED_S]) / 3600.0
    return total


def gas_kwh(now_s: float, f: Array, line: Common) -> float:
    """Gas of all stations so far."""
    total = 0.0
    for e in range(1, line.stations + 1):
        a = e * s.E_FLOATS
        total += f[a + s.GAS_KWH] + f[a + s.GAS_KW] * (now_s - f[a + s.BOOKED_S]) / 3600.0
    return total


def open_books(
    rows: Array, line: Common, instruments: Instruments, batch: Batch, answer: Answer
) -> None:
    """Begin the books of fresh lines, and look at their instruments for the first time."""
    for n in rows:
        answer.tripped[n] = answer.ended[n] = answer.filtered[n] = False
        open_book(n, batch.now_us[n] / 1e6, line, batch)
        batch.seen[n, :] = instruments.expected
        batch.seen_s[n, :] = NEVER_SEEN_S
        measure(n, batch.now_us[n], True, line, instruments, batch)


def open_book(n: int, now_s: float, line: Common, batch: Batch) -> None:
    """Begin the books of line ``n``."""
    books = batch.books[n]
    books[:] = 0.0
    books[READ_S] = now_s
    into = (now_s + line.starts_at_s) % QUARTER_S
    books[QUARTER_ENDS_S] = now_s - into + QUARTER_S
    books[IS_OPEN] = 1.0 if into == 0.0 else 0.0
    books[HEAT_OWED_KWH] = heat_owed_kwh(now_s, batch.f[n], batch.i[n], line)
    books[GAS_OWED_KWH] = gas_owed_kwh(batch.f[n], line)


def read_meters(n: int, now_s: float, line: Common, batch: Batch) -> None:
    """Charge what was drawn since the last reading at the price that is shown now; cut it at the quarters."""
    f, books = batch.f[n], batch.books[n]
    disturbances = line.k[s.K_DISTURBANCE_F]
    energy = energy_kwh(now_s, f, line)
    if line.columns[0] >= 0:
        price = f[disturbances + line.columns[0]]
        books[ELECTRICITY_EUR] += (energy - books[ENERGY_KWH]) * price * 1e-3
    if line.columns[1] >= 0:
        load_kw = f[disturbances + line.columns[1]]
        books[SITE_KWH] += load_kw * (now_s - books[READ_S]) / 3600.0
    grid = energy + books[SITE_KWH]
    while books[QUARTER_ENDS_S] <= now_s:
        share = (books[QUARTER_ENDS_S] - books[READ_S]) / (now_s - books[READ_S])
        at_end = grid
        if share < 1.0:
            at_end = books[GRID_KWH] + share * (grid - books[GRID_KWH])
        if books[IS_OPEN] > 0.0:
            books[PEAK_KW] = max(books[PEAK_KW], 4.0 * (at_end - books[QUARTER_KWH]))
        books[IS_OPEN], books[QUARTER_KWH] = 1.0, at_end
        books[QUARTER_ENDS_S] += QUARTER_S
    books[ENERGY_KWH], books[GRID_KWH], books[READ_S] = energy, grid, now_s


def heat_owed_kwh(now_s: float, f: Array, i: Array, line: Common) -> float:
    """Electricity that brings every station back to ready, see ``twin.feedback.account``."""
    owed = 0.0
    for n in range(line.stations):
        state, whole_s = i[(n + 1) * s.E_INTS + s.STATE], line.warm_up[n, 0]
        left_s = whole_s if state in (s.OFF, s.STANDBY) else 0.0
        if state == s.WARM_UP:
            passed_s = now_s - f[(n + 1) * s.E_FLOATS + s.SINCE_S]
            left_s = min(max(whole_s - passed_s, 0.0), whole_s)
        owed += line.warm_up[n, 1] * left_s / 3600.0
    return owed


def gas_owed_kwh(f: Array, line: Common) -> float:
    """Gas that brings every zone back to its recipe, by its true temperature."""
    owed = 0.0
    for n in range(line.stores.shape[0]):
        missing_k = line.stores[n, 1] - f[int(line.stores[n, 0])]
        owed += missing_k * line.stores[n, 2] / 3600.0 / line.stores[n, 3]
    return owed


def objective_eur(n: int, now_s: float, line: Common, batch: Batch, figures: Array) -> float:
    """The objective of the shift so far, as if it ended now: running cost, stocks, peak. Fills ``figures``."""
    f, i, books, o = batch.f[n], batch.i[n], batch.books[n], line.prices
    at, line_f = line.k[s.K_LINE_I], line.k[s.K_LINE_F]
    good, scrap, released = i[at + s.GOOD], i[at + s.LINE_SCRAPPED], i[at + s.RELEASED]
    backlog, wip = float(i[at + s.ORDERED] - good), float(released - good - scrap)
    energy, gas = books[ENERGY_KWH], gas_kwh(now_s, f, line)
    price = 0.0
    if energy > 0.0:
        price = books[ELECTRICITY_EUR] / energy * 1e3
    elif line.columns[0] >= 0:
        price = f[line.k[s.K_DISTURBANCE_F] + line.columns[0]]
    tools_eur = 0.0
    for m in range(line.stations):
        if line.edges[m, 1] > 0.0:
            used = i[(m + 1) * s.E_INTS + s.TOOLS]
            worn = f[(m + 1) * s.E_FLOATS + s.WEAR] / line.edges[m, 1]
            tools_eur += (used + worn) * line.edges[m, 0]
    material_kg = f[line_f + s.LINE_MATERIAL_KG]
    charge_eur = tool_charge_eur(tools_eur, o[5] * good, o[6])
    scrap_kg = f[line_f + s.LINE_SCRAP_KG]
    cost = running_cost_eur(energy, price, gas, o[0], material_kg, o[1], scrap_kg, o[2], charge_eur)
    heat = heat_owed_kwh(now_s, f, i, line)
    cost += stock_cost_eur(backlog, o[3], wip, o[4], heat, price, gas_owed_kwh(f, line), o[0])
    before = books[HEAT_OWED_KWH], books[GAS_OWED_KWH]
    cost -= stock_cost_eur(0.0, o[3], 0.0, o[4], before[0], price, before[1], o[0])
    cost += books[PEAK_KW] * o[7]
    figures[0], figures[1], figures[2] = cost, good, scrap
    figures[3], figures[4], figures[5] = i[at + s.ORDERED], backlog, wip
    figures[6], figures[7], figures[8] = energy, gas, material_kg
    figures[9], figures[10] = tools_eur, books[PEAK_KW]
    return float(cost)


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
            ek, inside = s.ELEMENTS_K + where * s.EK, 0
            for slot in range(k[ek + s.PLACES]):
                inside += i[k[ek + s.PLACES_I] + slot] >= 0
            shown[place + m] = inside
        elif kind == DISTURBANCE:
            shown[place + m] = f[k[s.K_DISTURBANCE_F] + where]
        elif kind == FORECAST:
            shown[place + m] = batch.forecast[n, decision, where]
        elif kind == ACTIVE:
            shown[place + m] = active(n, where, moves, batch)
        else:
            shown[place + m] = batch.previous[n, where]


def active(n: int, m: int, moves: Moves, batch: Batch) -> float:
    """The setpoint that is in force on line ``n``."""
    if moves.kinds[m] == STANDBY_NOW:
        return float(batch.i[n, moves.columns[m]])
    return float(batch.f[n, moves.columns[m]])


# --- turns -------------------------------------------------------------------------------------------

CALLED = ("open_books", "aim", "ask", "read", "take_over", "answer_all")
"""What is called from Python; ``rows`` are the lines that are meant."""


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
        decision = min(now_us // terms.decision_us, batch.forecast.shape[1] - 1)
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
