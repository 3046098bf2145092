"""The twin put in step with the line: a state in which the next event of every station is likely.

What the equipment tells (states, since when, parts, work done, counters, meters) is copied; what it
does not tell at present stays as the twin expected it; what it cannot tell (how long until the next
failure, how long a repair still takes) is drawn from the conditional distribution given what is
known, in the twin's own world. The plant's luck stays unknown here.
"""

from __future__ import annotations

import math

from twin.analyze.guess import STRANGER, Guess
from twin.cycle import Observation
from twin.line import schema as s
from twin.line.conveyor import book
from twin.line.cores import begin_cycle
from twin.line.model import Line
from twin.line.residual import (
    SOON_S,
    cycle_goes_on,
    draw_failures,
    repair_left_s,
    strike_first,
    work_ends,
)
from twin.line.schema import FOREVER
from twin.state import LineState


def synchronise(line: Line, state: LineState, observation: Observation, ticket: int) -> bool:
    """Overwrite ``state`` with what is observed; False (and untouched) if too much is unknown.

    That is, if a station does not show one of its states. ``state`` is where the twin expected the
    line to be now; ``ticket`` numbers the observations: it keys the fresh draws.
    """
    for element in line.stations:
        if observation[f"{element.name}.state"] not in range(s.N_STATES):  # nor is NaN
            return False
    now = observation.time_us / 1e6
    state.now_s = now
    f, i, k = state.floats, state.ints, line.k
    guess = Guess(line, observation, state, ticket)
    _clear_parts(i, k)
    known, inside = _known(f, i, k), _inside(line, i, k)
    slot = _place_buffers(line, observation, f, i, k, known, guess)
    for n, element in enumerate(line.stations):
        e = n + 1
        if element.kind == s.CONVEYOR:
            slot = _conveyor(line, e, observation, f, i, k, slot, ticket, known)
        else:
            part = int(_told(observation, f"{element.name}.part_id", inside[n]))
            own = part == inside[n]
            slot = _station(line, e, observation, f, i, k, slot, part, own, ticket, known)
    _free_the_rest(slot, i, k)
    _line_record(line, observation, f, i, k, now)
    return True


def _clear_parts(i: list[int], k: tuple[int, ...]) -> None:
    """Empty the queue of touched elements; a state between events has none."""
    at = k[s.K_LINE_I]
    i[at + s.QUEUE_HEAD] = i[at + s.QUEUE_LENGTH] = 0
    for e in range(k[s.K_ELEMENTS]):
        i[e * s.E_INTS + s.TOUCHED] = 0


def _known(f: list[float], i: list[int], k: tuple[int, ...]) -> dict[int, tuple[float, float]]:
    """What the twin already knows of the parts in the line: product and material, by part number."""
    known = {}
    for slot in range(k[s.K_SLOTS]):
        part = i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
        if part and part < STRANGER:  # what a stranger is stays a guess
            at = k[s.K_PART_F] + slot * s.P_FLOATS
            known[part] = f[at + s.PRODUCT], f[at + s.PART_MATERIAL_KG]
    return known


def _inside(line: Line, i: list[int], k: tuple[int, ...]) -> list[int]:
    """The part that the twin has in each station, 0 for none."""
    slots = [i[(n + 1) * s.E_INTS + s.SLOT] for n in range(len(line.stations))]
    return [i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID] if slot >= 0 else 0 for slot in slots]


def _told(seen: Observation, name: str, own: float) -> float:
    """What the line tells, or the twin's own value where it tells nothing."""
    value = seen[name]
    return own if math.isnan(value) else value


def _part(
    slot: int,
    part: int,
    f: list[float],
    i: list[int],
    k: tuple[int, ...],
    known: dict[int, tuple[float, float]],
    now_product: float,
) -> None:
    at = k[s.K_PART_I] + slot * s.P_INTS
    i[at + s.PART_ID], i[at + s.PART_MARKS] = part, 0
    at = k[s.K_PART_F] + slot * s.P_FLOATS
    blank = now_product, f[s.MATERIAL_KG]
    f[at + s.PRODUCT], f[at + s.PART_MATERIAL_KG] = known.get(part, blank)
    f[at + s.PART_ENERGY_KWH] = 0.0


def _product_now(f: list[float], k: tuple[int, ...]) -> float:
    mixed_by = k[s.ELEMENTS_K + s.MIXED_BY]
    return f[k[s.K_DISTURBANCE_F] + mixed_by] if mixed_by >= 0 else 0.0


def _place_buffers(
    line: Line,
    observation: Observation,
    f: list[float],
    i: list[int],
    k: tuple[int, ...],
    known: dict[int, tuple[float, float]],
    guess: Guess,
) -> int:
    for n, name in enumerate(line.disturbances):
        value = observation[f"env.{name}"]
        if not math.isnan(value):
            f[k[s.K_DISTURBANCE_F] + n] = value
    slot = 0
    fresh = _product_now(f, k)
    for b, name in enumerate(line.buffers):
        at = k[s.K_BUFFER_I] + b * s.B_INTS
        ring = k[s.K_RING_I] + k[k[s.K_BUFFER_K] + s.BK * b + 1]
        places = k[k[s.K_BUFFER_K] + s.BK * b]
        if name in observation.part_ids:
            parts = observation.part_ids[name][:places]
        else:
            parts = guess.contents(name, observation, places)
        i[at + s.LEVEL], i[at + s.HEAD] = len(parts), 0
        for place, part in enumerate(parts):
            _part(slot, part, f, i, k, known, guess.product(part, fresh))
            i[ring + place] = slot
            slot += 1
    return slot


def _station(
    line: Line,
    e: int,
    seen: Observation,
    f: list[float],
    i: list[int],
    k: tuple[int, ...],
    slot: int,
    part: int,
    own: bool,
    ticket: int,
    known: dict[int, tuple[float, float]],
) -> int:
    """``own``: the twin has begun this part itself, and so knows its cycle."""
    name = line.elements[e].name
    a, b, cc = e * s.E_FLOATS, e * s.E_INTS, e * s.EC
    now, before = seen.time_us / 1e6, i[b + s.STATE]
    own_elapsed_s = f[a + s.CYCLE_S] - f[a + s.WORK_LEFT_S]
    if before == s.PROCESSING:
        own_elapsed_s += now - f[a + s.WORK_SINCE_S]
    finished = i[b + s.OPS]
    _copy_status(line, e, seen, f, i, now)
    state = i[b + s.STATE]
    if s.PROCESSING in (state, before) or i[b + s.OPS] != finished:
        f[a + s.REST_SINCE_S] = now if state == s.PROCESSING else f[a + s.SINCE_S]
    i[b + s.SLOT] = -1
    if part:
        _part(slot, part, f, i, k, known, _product_now(f, k))
        i[b + s.SLOT] = slot
        slot += 1
    since, elapsed = f[a + s.SINCE_S], _told(seen, f"{name}.elapsed_work_s", own_elapsed_s)
    if line.plant.stations[e - 1].tool is not None:
        use = seen[f"{name}.tool_use"]
        if not math.isnan(use):
            f[a + s.WEAR] = max(use, 0.0) * line.c[cc + s.C_TOOL_LIFE_MM]
        f[a + s.TOOL_FACTOR] = 1.0
    draw_failures(e, ticket, now, f, i, line.c, k)
    if part and not own:
        begin_cycle(line, e, now, f, i)
        f[a + s.MEAN_CYCLE_S] = f[a + s.CYCLE_S]
    f[a + s.WORK_LEFT_S] = max(f[a + s.CYCLE_S] - elapsed, SOON_S) if part else 0.0
    if part and state in (s.PROCESSING, s.DOWN) and line.c[cc + s.C_CYCLE_LAW] != s.FIXED:
        cycle_goes_on(e, elapsed, ticket, f, i, line.c, k)
    f[a + s.WORK_SINCE_S] = now
    due, pending = _state_ends(line, e, since, now, f, i, ticket)
    f[a + s.DUE_S], i[b + s.PENDING] = due, pending
    strike_first(e, now, f, i, line.c, k)
    i[b + s.RESUME] = i[b + s.STANDBY_ASKED]
    f[a + s.POWER_KW] = _power(line, e, state, f, a)
    return slot


def _state_ends(
    line: Line, e: int, since: float, now: float, f: list[float], i: list[int], ticket: int
) -> tuple[float, int]:
    """When the state that a station is in is over, and what then happens; never, if it waits."""
    a, b, c = e * s.E_FLOATS, e * s.E_INTS, line.c[e * s.EC : (e + 1) * s.EC]
    state, soon = i[b + s.STATE], now + SOON_S
    if state == s.PROCESSING:
        work_ends(e, now, f, i)
        return f[a + s.DUE_S], i[b + s.PENDING]
    if state == s.DOWN:
        return now + repair_left_s(e, now - since, ticket, i, line.c, line.k), s.REPAIRED
    lasting = {
        s.WARM_UP: (c[s.C_WARM_UP_S], s.WARM),
        s.TOOL_CHANGE: (c[s.C_TOOL_CHANGE_S], s.CHANGED),
        s.SERVICE: (c[s.C_SERVICE_S], s.SERVICED),
    }
    if state in (s.IDLE, s.BLOCKED) and f[a + s.STANDBY_AFTER_S] < s.NEVER_S:
        lasting[state] = f[a + s.STANDBY_AFTER_S], s.TIMED_OUT
    if state in lasting:
        lasts_s, pending = lasting[state]
        return max(since + lasts_s, soon), pending
    if state in (s.SETUP, s.WAITING):
        return _until_work(line, e, state, since, now, i[b + s.SLOT] >= 0)
    return FOREVER, s.NOTHING


def _until_work(
    line: Line, e: int, state: int, since: float, now: float, has_part: bool
) -> tuple[float, int]:
    """When a station goes on that is set up or waits for somebody: who is free is not told, so soon."""
    soon = now + SOON_S
    if not has_part:
        return soon, s.SERVICED
    setup = line.plant.stations[e - 1].setup
    if state == s.SETUP and setup is not None:
        return max(since + float(setup.default_s), soon), s.SET_UP
    return soon, s.SET_UP


def _copy_status(
    line: Line, e: int, seen: Observation, f: list[float], i: list[int], now: float
) -> None:
    """State, counters, meters, results, setpoints; the meter stands in the present state's column."""
    name, a, b = line.elements[e].name, e * s.E_FLOATS, e * s.E_INTS
    book(e, now, f, i)
    before = i[b + s.STATE]
    i[b + s.STATE] = state = int(seen[f"{name}.state"])
    since = f[a + s.SINCE_S] if state == before else now
    f[a + s.SINCE_S] = _told(seen, f"{name}.state_since_s", since)
    energy_kwh = math.fsum(f[a + s.ENERGY_KWH : a + s.ENERGY_KWH + s.N_STATES])
    for n, state_name in enumerate(s.STATES):
        time_s = f[a + s.TIME_S + n]
        f[a + s.TIME_S + n] = _told(seen, f"{name}.time_{state_name}_s", time_s)
        f[a + s.ENERGY_KWH + n] = 0.0
    f[a + s.ENERGY_KWH + state] = _told(seen, f"{name}.energy_kwh", energy_kwh)
    for column, tag in (
        (s.GAS_KWH, "gas_kwh"),
        (s.LAST_CYCLE_S, "last_cycle_s"),
        (s.LAST_ENERGY_KWH, "last_energy_kwh"),
        (s.STANDBY_AFTER_S, "standby_after_s"),
        *((line.outputs_f(e) - a + n, output) for n, output in enumerate(line.elements[e].outputs)),
        *(
            (line.setpoints_f(e) - a + n, setpoint)
            for n, setpoint in enumerate(line.elements[e].setpoints)
        ),
    ):
        f[a + column] = _told(seen, f"{name}.{tag}", f[a + column])
    for column, tag in (
        (s.OPS, "op_count"),
        (s.SCRAPPED, "scrap_count"),
        (s.TOOLS, "tool_changes"),
    ):
        i[b + column] = int(_told(seen, f"{name}.{tag}", i[b + column]))
    failures = i[b + s.FAILURES] + i[b + s.FAILURES + 1] + i[b + s.STRIKES]
    told = int(_told(seen, f"{name}.failure_count", failures))
    if told != failures:  # of which kind they were is not told
        i[b + s.FAILURES], i[b + s.FAILURES + 1], i[b + s.STRIKES] = told, 0, 0
    if line.plant.stations[e - 1].standby:
        asked = i[b + s.STANDBY_ASKED]
        i[b + s.STANDBY_ASKED] = int(_told(seen, f"{name}.standby", asked))


def _power(line: Line, e: int, state: int, f: list[float], a: int) -> float:
    cc = e * s.EC
    if state == s.PROCESSING:
        if f[a + s.CYCLE_KWH] > 0.0:
            return f[a + s.CYCLE_KWH] / f[a + s.CYCLE_S] * 3600.0
        return line.c[cc + s.C_IDLE_KW]
    column = {s.OFF: s.C_OFF_KW, s.STANDBY: s.C_STANDBY_KW, s.WARM_UP: s.C_WARM_UP_KW}
    return line.c[cc + column.get(state, s.C_IDLE_KW)]


def _conveyor(
    line: Line,
    e: int,
    seen: Observation,
    f: list[float],
    i: list[int],
    k: tuple[int, ...],
    slot: int,
    ticket: int,
    known: dict[int, tuple[float, float]],
) -> int:
    """Zones are measured; what is inside the parts only the twin knows, so that stays."""
    name, ek = line.elements[e].name, s.ELEMENTS_K + e * s.EK
    a, b = e * s.E_FLOATS, e * s.E_INTS
    now = seen.time_us / 1e6
    _copy_status(line, e, seen, f, i, now)
    places, first = k[ek + s.PLACES], k[ek + s.PLACES_I]
    for place, part in enumerate(seen.part_ids.get(name, (0,) * places)[:places]):
        if part:
            _part(slot, part, f, i, k, known, _product_now(f, k))
            i[first + place] = slot
            slot += 1
        else:
            i[first + place] = -1
    phase = seen[f"{name}.conveyor_phase"]
    if not math.isnan(phase):
        f[a + s.PHASE] = phase
    zone = 0
    while f"{name}.zone_temp_{zone + 1}_c" in seen.index:
        value = seen[f"{name}.zone_temp_{zone + 1}_c"]
        if not math.isnan(value):
            f[k[ek + s.X_F] + zone] = value
        zone += 1
    step_s = line.c[e * s.EC + s.C_STEP_S]
    f[a + s.DUE_S] = math.ceil(now / step_s - 1e-9) * step_s
    i[b + s.PENDING] = s.GRID
    f[a + s.WORK_LEFT_S] = 0.0
    if i[b + s.STATE] == s.DOWN:
        left = repair_left_s(e, now - f[a + s.SINCE_S], ticket, i, line.c, k)
        f[a + s.WORK_LEFT_S] = now + left
    return slot


def _free_the_rest(used: int, i: list[int], k: tuple[int, ...]) -> None:
    slots = k[s.K_SLOTS]
    for slot in range(used, slots):
        i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID] = 0
    for n, slot in enumerate(range(slots - 1, used - 1, -1)):
        i[k[s.K_FREE_I] + n] = slot
    i[k[s.K_LINE_I] + s.FREE_SLOTS] = slots - used


def _line_record(
    line: Line, seen: Observation, f: list[float], i: list[int], k: tuple[int, ...], now: float
) -> None:
    at = k[s.K_LINE_I]
    for column, tag in (
        (s.GOOD, "good_count"),
        (s.LINE_SCRAPPED, "scrap_count"),
        (s.RELEASED, "released_count"),
        (s.ORDERED, "ordered_count"),
    ):
        i[at + column] = int(_told(seen, f"line.{tag}", i[at + column]))
    told = max((part for parts in seen.part_ids.values() for part in parts), default=0)
    i[at + s.NEXT_PART] = max(i[at + s.RELEASED], told % STRANGER)
    line_f = k[s.K_LINE_F]
    for column, tag in (
        (line_f + s.LINE_MATERIAL_KG, "material_kg"),
        (line_f + s.LINE_SCRAP_KG, "scrap_kg"),
        (s.TAKT_S, "takt_s"),
        (s.LAST_RELEASE_S, "last_release_s"),
    ):
        f[column] = _told(seen, f"line.{tag}", f[column])
    # The source looks for itself: a due release in the past happens at the next instant.
    f[s.DUE_S] = max(f[s.LAST_RELEASE_S] + f[s.TAKT_S], now)
    i[s.PENDING] = s.RELEASE
    environment = (len(line.elements) - 1) * s.E_FLOATS
    f[environment + s.DUE_S] = (math.floor(now / 60.0 + 1e-9) + 1) * 60.0
