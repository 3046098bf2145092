"""The twin put in step with the line: a state in which the next event of every station is likely.

What the equipment tells (states, since when, parts, work done, counters, meters) is copied; what it
cannot tell (how long until the next failure, how long a repair still takes) is drawn from the
conditional distribution given what is known, in the twin's own world. The plant's luck stays
unknown here.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from twin.cycle import Observation
from twin.kernels import draws
from twin.line import schema as s
from twin.line.model import Line
from twin.line.transitions import FOREVER
from twin.state import LineState

_SOON_S = 1e-3
"""What should have happened already happens at once."""


def synchronise(line: Line, state: LineState, observation: Observation, ticket: int) -> bool:
    """Overwrite ``state`` with what is observed; False (and untouched) if too much is unknown.

    ``ticket`` numbers the observations: it keys the fresh draws.
    """
    for element in line.stations:
        if math.isnan(observation[f"{element.name}.state"]):
            return False
    now = observation.time_us / 1e6
    state.now_s = now
    f, i, k = state.floats, state.ints, line.k
    _clear_parts(i, k)
    products = _products(f, i, k)
    slot = _place_buffers(line, observation, f, i, k, products)
    for n, element in enumerate(line.stations):
        e = n + 1
        if element.kind == s.CONVEYOR:
            slot = _conveyor(line, e, observation, f, i, k, slot, products)
        else:
            slot = _station(line, e, observation, f, i, k, slot, ticket, products)
    _free_the_rest(slot, i, k)
    _line_record(line, observation, f, i, k, now)
    return True


def fresh_luck(line: Line, state: LineState, world: int) -> None:
    """Move a copied state into another world: what nobody knows yet is drawn anew there."""
    f, i, k = state.floats, state.ints, line.k
    at = k[s.K_LINE_I]
    i[at + s.WORLD] = world
    seed, now = i[at + s.SEED], state.now_s
    ticket = int(now)
    for e, element in enumerate(line.elements):
        if element.kind not in (s.STATION, s.CONVEYOR):
            continue
        a, b = e * s.E_FLOATS, e * s.E_INTS
        _draw_failures(line, e, f, seed, world, ticket)
        if i[b + s.STATE] == s.PROCESSING and element.kind == s.STATION:
            f[a + s.DUE_S], i[b + s.PENDING] = _work_ends(f, i, a, b, now)
        elif i[b + s.STATE] == s.DOWN and element.kind == s.STATION:
            elapsed = now - f[a + s.SINCE_S]
            f[a + s.DUE_S] = now + _repair_left(line, e, elapsed, seed, world, ticket)


def _draw_failures(
    line: Line, e: int, f: list[float], seed: int, world: int, ticket: int
) -> None:
    """Operating time to the next failures: without memory, what is left is like the whole."""
    for mode in (0, 1):
        mean = line.c[e * s.EC + s.C_BETWEEN_S + mode]
        f[e * s.E_FLOATS + s.TO_FAILURE_S + mode] = (
            draws.exponential(seed, world, e, draws.RESIDUAL, 2 * ticket + mode, mean)
            if mean > 0.0
            else FOREVER
        )


def _clear_parts(i: list[int], k: tuple[int, ...]) -> None:
    """Empty the queue of touched elements; a state between events has none."""
    at = k[s.K_LINE_I]
    i[at + s.QUEUE_HEAD] = i[at + s.QUEUE_LENGTH] = 0
    for e in range(k[s.K_ELEMENTS]):
        i[e * s.E_INTS + s.TOUCHED] = 0


def _products(f: list[float], i: list[int], k: tuple[int, ...]) -> dict[int, float]:
    """What the twin already knows of the parts in the line: their product, by part number."""
    known = {}
    for slot in range(k[s.K_SLOTS]):
        part = i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
        if part:
            known[part] = f[k[s.K_PART_F] + slot * s.P_FLOATS + s.PRODUCT]
    return known


def _part(
    slot: int,
    part: int,
    f: list[float],
    i: list[int],
    k: tuple[int, ...],
    products: dict[int, float],
    now_product: float,
) -> None:
    at = k[s.K_PART_I] + slot * s.P_INTS
    i[at + s.PART_ID], i[at + s.PART_DEFECTIVE] = part, 0
    at = k[s.K_PART_F] + slot * s.P_FLOATS
    f[at + s.PRODUCT] = products.get(part, now_product)
    f[at + s.PART_ENERGY_KWH] = 0.0


def _product_now(line: Line, f: list[float], k: tuple[int, ...]) -> float:
    mixed_by = k[k[s.K_ELEMENT_K] + s.MIXED_BY]
    return f[k[s.K_DISTURBANCE_F] + mixed_by] if mixed_by >= 0 else 0.0


def _place_buffers(
    line: Line,
    observation: Observation,
    f: list[float],
    i: list[int],
    k: tuple[int, ...],
    products: dict[int, float],
) -> int:
    for n, name in enumerate(line.disturbances):
        value = observation[f"env.{name}"]
        if not math.isnan(value):
            f[k[s.K_DISTURBANCE_F] + n] = value
    slot = 0
    fresh = _product_now(line, f, k)
    for b, name in enumerate(line.buffers):
        at = k[s.K_BUFFER_I] + b * s.B_INTS
        ring = k[s.K_RING_I] + k[k[s.K_BUFFER_K] + 2 * b + 1]
        parts = observation.part_ids.get(name, ())[: k[k[s.K_BUFFER_K] + 2 * b]]
        i[at + s.LEVEL], i[at + s.HEAD] = len(parts), 0
        for place, part in enumerate(parts):
            _part(slot, part, f, i, k, products, fresh)
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
    ticket: int,
    products: dict[int, float],
) -> int:
    name = line.elements[e].name
    a, b, cc = e * s.E_FLOATS, e * s.E_INTS, e * s.EC
    now, state = seen.time_us / 1e6, int(seen[f"{name}.state"])
    i[b + s.STATE] = state
    f[a + s.SINCE_S] = seen[f"{name}.state_since_s"]
    _meters(name, seen, f, i, a, b, now)
    _copy_setpoints(line, e, name, seen, f, i)
    part = int(seen[f"{name}.part_id"])
    i[b + s.SLOT] = -1
    if part:
        _part(slot, part, f, i, k, products, _product_now(line, f, k))
        i[b + s.SLOT] = slot
        slot += 1
    since, elapsed = f[a + s.SINCE_S], seen[f"{name}.elapsed_work_s"]
    if line.plant.stations[e - 1].tool is not None:
        use = seen[f"{name}.tool_use"]
        if not math.isnan(use):
            f[a + s.WEAR] = max(use, 0.0) * line.c[cc + s.C_TOOL_LIFE_MM]
        f[a + s.TOOL_FACTOR] = 1.0
    seed, world = i[k[s.K_LINE_I] + s.SEED], i[k[s.K_LINE_I] + s.WORLD]
    _draw_failures(line, e, f, seed, world, ticket)
    f[a + s.CYCLE_S] = f[a + s.CYCLE_S] or seen[f"{name}.last_cycle_s"] or elapsed + 1.0
    f[a + s.WORK_LEFT_S] = max(f[a + s.CYCLE_S] - elapsed, _SOON_S) if part else 0.0
    f[a + s.WORK_SINCE_S] = now
    due, pending = FOREVER, s.NOTHING
    if state == s.PROCESSING:
        due, pending = _work_ends(f, i, a, b, now)
    elif state == s.DOWN:
        left = _repair_left(line, e, now - since, seed, world, ticket)
        due, pending = now + left, s.REPAIRED
    elif state == s.WARM_UP:
        due, pending = max(since + line.c[cc + s.C_WARM_UP_S], now + _SOON_S), s.WARM
    elif state == s.TOOL_CHANGE:
        due, pending = max(since + line.c[cc + s.C_TOOL_CHANGE_S], now + _SOON_S), s.CHANGED
    elif state in (s.IDLE, s.BLOCKED) and f[a + s.STANDBY_AFTER_S] < 1e6:
        due, pending = max(since + f[a + s.STANDBY_AFTER_S], now + _SOON_S), s.TIMED_OUT
    f[a + s.DUE_S], i[b + s.PENDING] = due, pending
    i[b + s.RESUME] = i[b + s.STANDBY_ASKED]
    f[a + s.POWER_KW] = _power(line, e, state, f, a)
    return slot


def _meters(
    name: str, seen: Observation, f: list[float], i: list[int], a: int, b: int, now: float
) -> None:
    """Counters and meters; the meter's total stands in the present state's column."""
    for n, state_name in enumerate(s.STATES):
        f[a + s.TIME_S + n] = seen[f"{name}.time_{state_name}_s"]
        f[a + s.ENERGY_KWH + n] = 0.0
    f[a + s.ENERGY_KWH + i[b + s.STATE]] = seen[f"{name}.energy_kwh"]
    f[a + s.GAS_KWH] = seen[f"{name}.gas_kwh"]
    f[a + s.BOOKED_S] = now
    i[b + s.OPS] = int(seen[f"{name}.op_count"])
    i[b + s.SCRAPPED] = int(seen[f"{name}.scrap_count"])
    i[b + s.TOOLS] = int(seen[f"{name}.tool_changes"])
    f[a + s.LAST_CYCLE_S] = seen[f"{name}.last_cycle_s"]
    f[a + s.LAST_ENERGY_KWH] = seen[f"{name}.last_energy_kwh"]


def _copy_setpoints(
    line: Line, e: int, name: str, seen: Observation, f: list[float], i: list[int]
) -> None:
    a = e * s.E_FLOATS
    for n, setpoint in enumerate(line.elements[e].setpoints):
        f[a + s.SETPOINT + n] = seen[f"{name}.{setpoint}"]
    f[a + s.STANDBY_AFTER_S] = seen[f"{name}.standby_after_s"]
    if line.plant.stations[e - 1].standby:
        i[e * s.E_INTS + s.STANDBY_ASKED] = int(seen[f"{name}.standby"])


def _work_ends(
    f: list[float], i: list[int], a: int, b: int, now: float
) -> tuple[float, int]:
    left, mode = f[a + s.WORK_LEFT_S], -1
    for m in (0, 1):
        if f[a + s.TO_FAILURE_S + m] < left:
            left, mode = f[a + s.TO_FAILURE_S + m], m
    i[b + s.FAILED_MODE] = mode
    return now + left, s.FINISH if mode < 0 else s.FAIL


def _repair_left(
    line: Line, e: int, elapsed_s: float, seed: int, world: int, ticket: int
) -> float:
    """How long a repair still takes: which kind it is by Bayes, then lognormal beyond elapsed."""
    weights, laws = [], []
    for mode in (0, 1):
        cc = e * s.EC
        between, mean = line.c[cc + s.C_BETWEEN_S + mode], line.c[cc + s.C_REPAIR_S + mode]
        if between <= 0.0 or mean <= 0.0:
            continue
        variance = math.log(1.0 + line.c[cc + s.C_REPAIR_CV + mode] ** 2)
        law = NormalDist(math.log(mean) - variance / 2.0, math.sqrt(variance) or 1e-9)
        beyond = 1.0 - law.cdf(math.log(max(elapsed_s, 1e-9)))
        weights.append(beyond / between)
        laws.append((law, beyond))
    if not laws or sum(weights) <= 0.0:
        return _SOON_S
    u = draws.uniform(seed, world, e, draws.RESIDUAL, 10**6 + 2 * ticket) * sum(weights)
    law, beyond = laws[0] if u < weights[0] or len(laws) == 1 else laws[1]
    v = draws.uniform(seed, world, e, draws.RESIDUAL, 10**6 + 2 * ticket + 1)
    quantile = min(1.0 - beyond * v, 1.0 - 1e-12)
    return max(math.exp(law.inv_cdf(max(quantile, 1e-12))) - elapsed_s, _SOON_S)


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
    products: dict[int, float],
) -> int:
    """Zones are measured; what is inside the parts only the twin knows, so that stays."""
    name, ek = line.elements[e].name, k[s.K_ELEMENT_K] + e * s.EK
    a, b = e * s.E_FLOATS, e * s.E_INTS
    now = seen.time_us / 1e6
    i[b + s.STATE] = int(seen[f"{name}.state"])
    f[a + s.SINCE_S] = seen[f"{name}.state_since_s"]
    _meters(name, seen, f, i, a, b, now)
    _copy_setpoints(line, e, name, seen, f, i)
    places, first = k[ek + s.PLACES], k[ek + s.PLACES_I]
    for place, part in enumerate(seen.part_ids.get(name, (0,) * places)[:places]):
        if part:
            _part(slot, part, f, i, k, products, _product_now(line, f, k))
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
    if i[b + s.STATE] != s.DOWN:
        f[a + s.WORK_LEFT_S] = 0.0
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
    i[at + s.GOOD] = int(seen["line.good_count"])
    i[at + s.LINE_SCRAPPED] = int(seen["line.scrap_count"])
    i[at + s.RELEASED] = i[at + s.NEXT_PART] = int(seen["line.released_count"])
    i[at + s.ORDERED] = int(seen["line.ordered_count"])
    f[k[s.K_LINE_F] + s.LINE_MATERIAL_KG] = seen["line.material_kg"]
    f[k[s.K_LINE_F] + s.LINE_SCRAP_KG] = seen["line.scrap_kg"]
    f[s.TAKT_S], f[s.LAST_RELEASE_S] = seen["line.takt_s"], seen["line.last_release_s"]
    # The source looks for itself: a due release in the past happens at the next instant.
    f[s.DUE_S] = max(f[s.LAST_RELEASE_S] + f[s.TAKT_S], now)
    i[s.PENDING] = s.RELEASE
    environment = (len(line.elements) - 1) * s.E_FLOATS
    f[environment + s.DUE_S] = (math.floor(now / 60.0 + 1e-9) + 1) * 60.0
