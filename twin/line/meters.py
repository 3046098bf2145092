"""The books of lines side by side: what instruments show, what meters count, what a shift has cost so far.

`twin.sense`, ``twin.feedback`` and ``twin.line.sensors`` say the same of one line at a time, with all that a real
line may do to a reading; here is the arithmetic of it, for many simulated lines. Plain functions over arrays,
until ``twin.line.compilation`` makes machine code of them. Names as in ``twin.line.kernel``: ``f i`` are the
columns of one state, ``c k`` constants, ``w`` the table.
"""

from __future__ import annotations

from twin.kernels import draws
from twin.kernels.cost import running_cost_eur, stock_cost_eur, tool_charge_eur
from twin.line import schema as s
from twin.line.batch import (
    BAD_READS,
    BEGUN,
    ELECTRICITY_EUR,
    ENERGY_KWH,
    GAS_OWED_KWH,
    GRID_KWH,
    HEAT_OWED_KWH,
    IS_LOST,
    IS_OPEN,
    PEAK_KW,
    QUARTER_ENDS_S,
    QUARTER_KWH,
    READ_S,
    SITE_KWH,
    TAKEN_KG,
    Array,
    Batch,
    Common,
    Instruments,
)

QUARTER_S = 900.0


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
    note_products(n, line, batch)
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


def note_products(n: int, line: Common, batch: Batch) -> None:
    """Parts that are seen for the first time, in a buffer, a station or on a conveyor, are of the product of now.

    A PLC lists its parts, and tells which product is being hung on; of what product each is, nobody asks it.
    """
    i, k, of = batch.i[n], line.k, line.columns[2]
    if of < 0:
        return
    now = batch.f[n, k[s.K_DISTURBANCE_F] + of]
    for b in range(line.buffers):
        at, structure = k[s.K_BUFFER_I] + b * s.B_INTS, k[s.K_BUFFER_K] + s.BK * b
        room, ring = max(k[structure], 1), k[s.K_RING_I] + k[structure + 1]
        for place in range(i[at + s.LEVEL]):
            note_product(n, i[ring + (i[at + s.HEAD] + place) % room], now, line, batch)
    for e in range(1, line.stations + 1):
        note_product(n, i[e * s.E_INTS + s.SLOT], now, line, batch)
        ek = s.ELEMENTS_K + e * s.EK
        for place in range(k[ek + s.PLACES]):
            note_product(n, i[k[ek + s.PLACES_I] + place], now, line, batch)


def note_product(n: int, slot: int, now: float, line: Common, batch: Batch) -> None:
    """The part in a slot, if there is one and it is a new one."""
    if slot < 0:
        return
    part = batch.i[n, line.k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
    if part != batch.parts[n, slot]:
        batch.parts[n, slot], batch.product[n, slot] = part, now


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
    books[TAKEN_KG] = batch.f[n, line.k[s.K_LINE_F] + s.LINE_MATERIAL_KG]
    books[BEGUN] = batch.i[n, line.k[s.K_LINE_I] + s.RELEASED]


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
    material_kg = f[line_f + s.LINE_MATERIAL_KG] - books[TAKEN_KG]
    charge_eur = tool_charge_eur(tools_eur, o[5] * good, o[6])
    scrap_kg = f[line_f + s.LINE_SCRAP_KG]
    cost = running_cost_eur(energy, price, gas, o[0], material_kg, o[1], scrap_kg, o[2], charge_eur)
    heat = heat_owed_kwh(now_s, f, i, line)
    cost += stock_cost_eur(backlog, o[3], wip, o[4], heat, price, gas_owed_kwh(f, line), o[0])
    heat, gas_owed = books[HEAT_OWED_KWH], books[GAS_OWED_KWH]
    cost -= stock_cost_eur(0.0, o[3], books[BEGUN], o[4], heat, price, gas_owed, o[0])
    cost += books[PEAK_KW] * o[7]
    figures[0], figures[1], figures[2] = cost, good, scrap
    figures[3], figures[4], figures[5] = i[at + s.ORDERED], backlog, wip
    figures[6], figures[7], figures[8] = energy, gas, material_kg
    figures[9], figures[10] = tools_eur, books[PEAK_KW]
    return float(cost)
