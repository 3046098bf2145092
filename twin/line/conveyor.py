"""A continuous station with parts on a conveyor: an oven, a dryer, a furnace.

It moves on an absolute grid ``k * step_s``. At a grid point the part whose place has reached the
exit leaves, the next one enters, and power and gas for the coming step are fixed; then the process
model carries its states over the step with the setpoints and disturbances of this moment. Between
grid points the state columns therefore hold what is true at the next one: a reading at a grid
point, before its own event, is exact. Setpoints act from the next grid point on.

The conveyor stops (the zones go on) while the station is down or there is no room behind it. Empty
places travel too. Asked to sleep (by its setback or as any other station) it takes no more parts,
runs empty, and is then set back; its own time-out counts from when it ran empty. Woken, it takes the
setback back evenly over its warm-up time, for a jump would overshoot; parts enter again when that
is over and the process says that it is ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.line.flow import has_room, level, part_leaves, put, take, touch
from twin.line.hooks import (
    Constants,
    Floats,
    Ints,
    Journal,
    Structure,
    carry_on,
    entry_open,
    gather,
    outputs,
    record,
    schedule,
    shift_carriers,
    work_space,
)
from twin.line.luck import repair_s, to_failure_s
from twin.line.schema import (
    BAD,
    BLOCKED,
    BOOKED_S,
    C_STEP_S,
    C_WARM_UP_S,
    CAN_STANDBY,
    CYCLE_S,
    D_AMBIENT,
    D_PHASE,
    D_PLACES,
    DOWN,
    DUE_S,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ELEMENTS_K,
    ENERGY_KWH,
    FAILURES,
    GAS_KW,
    GAS_KWH,
    GIVES_TO,
    GRID,
    IDLE,
    K_PART_F,
    K_PART_I,
    N_SETPOINTS,
    N_X,
    N_Y,
    NEVER_S,
    OPS,
    OUT_V,
    OWN_F,
    P_FLOATS,
    P_INTS,
    PART_MARKS,
    PENDING,
    PHASE,
    PK,
    PLACED_K,
    PLACES,
    PLACES_I,
    POWER_KW,
    PROCESSING,
    PRODUCT,
    RESUME,
    SCRAPPED,
    SINCE_S,
    SINK,
    STANDBY,
    STANDBY_AFTER_S,
    STANDBY_ASKED,
    STATE,
    TAKES_FROM,
    TIME_S,
    TO_FAILURE_S,
    U_SETBACK,
    VECTORS_V,
    WARM_UP,
    WORK_LEFT_S,
    X_F,
    Y_DEFECT,
    Y_GAS,
    Y_POWER,
    Y_RATE,
)
from twin.line.work import is_spoilt

if TYPE_CHECKING:
    from twin.line.model import Line

NOTHING_INSIDE = -1


def grid(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """One grid point of a continuous station."""
    a = e * E_FLOATS
    ek = ELEMENTS_K + e * EK
    pk = k[ek + PLACED_K]
    out = k[ek + OUT_V]
    v = work_space(journal)
    step_s = c[e * EC + C_STEP_S]
    book(e, now, f, i)
    gather(e, now, f, i, c, k, journal)
    closed = sleeps(e, now, load_places(e, f, i, k, v), f, i, c, k, v)
    blocked = False
    if f[a + PHASE] >= 1.0:
        leaving = i[k[ek + PLACES_I] + k[ek + PLACES] - 1]
        goes_to = k[ek + GIVES_TO]
        blocked = leaving >= 0 and goes_to != SINK and not has_room(goes_to, i, k)
        if not blocked:
            shift(e, closed, now, f, i, c, k, journal)
    inside = load_places(e, f, i, k, v)
    share = set_back(e, k, v)
    down = stopped(e, not (blocked or share > 0.0), now, step_s, f, i, c, k)
    outputs(e, c, k, journal)
    if not (down or blocked):
        f[a + PHASE] += float(v[out + k[pk + Y_RATE]]) * step_s / 3600.0
    state = DOWN if down else BLOCKED if blocked else PROCESSING if inside else IDLE
    if state == IDLE and share > 0.0:
        state = STANDBY if share == 1.0 else WARM_UP
    f[a + GAS_KW] = float(v[out + k[pk + Y_GAS]])
    f[a + POWER_KW] = float(v[out + k[pk + Y_POWER]])
    if state != i[e * E_INTS + STATE]:
        record(journal, now, e, i[e * E_INTS + STATE], state, 0)
        i[e * E_INTS + STATE] = state
        f[a + SINCE_S] = now
    carry_on(e, step_s, f, c, k, journal)
    point = int(now / step_s + 0.5)
    schedule(e, GRID, (point + 1) * step_s, f, i, journal)


def load_places(e: int, f: Floats, i: Ints, k: Structure, v: Floats) -> bool:
    """Tell the process model what is on its places; returns whether there is anything."""
    ek = ELEMENTS_K + e * EK
    pk = k[ek + PLACED_K]
    d = k[ek + VECTORS_V] + k[ek + N_X] + k[ek + N_SETPOINTS]
    inside = False
    v[d + k[pk + D_PHASE]] = min(f[e * E_FLOATS + PHASE], 1.0)
    for place in range(k[ek + PLACES]):
        slot = i[k[ek + PLACES_I] + place]
        product = 0.0
        if slot >= 0:
            inside = True
            product = f[k[K_PART_F] + slot * P_FLOATS + PRODUCT]
        v[d + k[pk + D_PLACES] + place] = product
    return inside


def set_back(e: int, k: Structure, v: Floats) -> float:
    """The share of setback in force."""
    ek = ELEMENTS_K + e * EK
    at = k[k[ek + PLACED_K] + U_SETBACK]
    return float(v[k[ek + VECTORS_V] + k[ek + N_X] + at]) if at >= 0 else 0.0


def sleeps(
    e: int,
    now: float,
    inside: bool,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    v: Floats,
) -> bool:
    """Whether the entry is closed for a rest; puts the share of setback that follows in force.

    Asked to sleep, it wakes when no longer asked. Fallen asleep by itself, it wakes for work.
    """
    ek = ELEMENTS_K + e * EK
    at = k[k[ek + PLACED_K] + U_SETBACK]
    if at < 0:
        return False
    a = e * E_FLOATS
    b = e * E_INTS
    can = k[ek + CAN_STANDBY] == 1
    asked = set_back(e, k, v) > 0.5 or (can and i[b + STANDBY_ASKED] == 1)
    itself = False
    if can and not (asked or inside) and f[a + STANDBY_AFTER_S] < NEVER_S:
        slept = i[b + STATE] == STANDBY and i[b + RESUME] == 0
        due = i[b + STATE] == IDLE and now >= f[a + SINCE_S] + f[a + STANDBY_AFTER_S]
        itself = (slept or due) and level(k[ek + TAKES_FROM], i, k) == 0
    i[b + RESUME] = 1 if asked else 0
    share = 0.0
    if itself or (asked and not inside):
        share = 1.0
    elif i[b + STATE] in (STANDBY, WARM_UP):
        woken_s = now - f[a + SINCE_S] if i[b + STATE] == WARM_UP else 0.0
        cc = e * EC
        steps = max(c[cc + C_WARM_UP_S] / c[cc + C_STEP_S], 1.0)
        share = max(1.0 - (woken_s / c[cc + C_STEP_S] + 1.0) / steps, 0.0)
    v[k[ek + VECTORS_V] + k[ek + N_X] + at] = share
    return asked or itself or share > 0.0


def book(e: int, now: float, f: Floats, i: Ints) -> None:
    """Time, electricity and gas since the last grid point."""
    a = e * E_FLOATS
    elapsed = now - f[a + BOOKED_S]
    state = i[e * E_INTS + STATE]
    f[a + TIME_S + state] += elapsed
    f[a + ENERGY_KWH + state] += f[a + POWER_KW] * elapsed / 3600.0
    f[a + GAS_KWH] += f[a + GAS_KW] * elapsed / 3600.0
    f[a + BOOKED_S] = now


def stopped(
    e: int, moving: bool, now: float, step_s: float, f: Floats, i: Ints, c: Constants, k: Structure
) -> bool:
    """Whether the conveyor stands still for a repair during this step; it fails in motion only."""
    a = e * E_FLOATS
    b = e * E_INTS
    if now < f[a + WORK_LEFT_S]:  # the time at which the repair ends
        return True
    if not moving:
        return False
    for mode in (0, 1):
        if f[a + TO_FAILURE_S + mode] <= 0.0:
            f[a + WORK_LEFT_S] = now + repair_s(e, mode, i[b + FAILURES + mode], i, c, k)
            i[b + FAILURES + mode] += 1
            f[a + TO_FAILURE_S + mode] = to_failure_s(e, mode, i[b + FAILURES + mode], f, i, c, k)
            return True
    f[a + TO_FAILURE_S] -= step_s
    f[a + TO_FAILURE_S + 1] -= step_s
    return False


def shift(
    e: int,
    closed: bool,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    journal: Journal,
) -> None:
    """The part at the exit leaves, all move on by one place, the next one enters if it may."""
    a = e * E_FLOATS
    ek = ELEMENTS_K + e * EK
    pk = k[ek + PLACED_K]
    v = work_space(journal)
    places, first = k[ek + PLACES], k[ek + PLACES_I]
    leaving = i[first + places - 1]
    if leaving >= 0:
        outputs(e, c, k, journal)
        out = k[ek + OUT_V]
        shown = k[ek + OWN_F] + k[ek + N_SETPOINTS]
        for n in range(k[ek + N_Y]):
            f[shown + n] = float(v[out + k[pk + PK + n]])
        deliver(e, leaving, float(v[out + k[pk + Y_DEFECT]]), now, f, i, c, k)
    d = k[ek + VECTORS_V] + k[ek + N_X] + k[ek + N_SETPOINTS]
    shift_carriers(e, float(v[d + k[pk + D_AMBIENT]]), k, journal)
    for place in range(places - 1, 0, -1):
        i[first + place] = i[first + place - 1]
    i[first] = NOTHING_INSIDE
    if not closed and level(k[ek + TAKES_FROM], i, k) > 0 and entry_open(e, c, k, journal):
        i[first] = take(k[ek + TAKES_FROM], i, k)
    f[a + PHASE] -= 1.0


def deliver(
    e: int,
    slot: int,
    defect_probability: float,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
) -> None:
    """A part has passed through: judged here, where its quality is decided."""
    b = e * E_INTS
    part = k[K_PART_I] + slot * P_INTS
    i[b + OPS] += 1
    if is_spoilt(e, part, defect_probability, f, i, k):
        i[part + PART_MARKS] |= BAD
    goes_to = k[ELEMENTS_K + e * EK + GIVES_TO]
    if goes_to != SINK:
        put(goes_to, slot, now, f, i, c, k)
        return
    scrapped = i[part + PART_MARKS] & BAD
    if scrapped:
        i[b + SCRAPPED] += 1
    part_leaves(slot, scrapped, f, i, k)
    touch(0, i, k)


def begin(e: int, line: Line, f: list[float], i: list[int], k: list[int]) -> None:
    """An empty conveyor, the zones at their reference temperatures."""
    ek = ELEMENTS_K + e * EK
    reference = line.elements[e].process.point().x.tolist()
    f[k[ek + X_F] : k[ek + X_F] + len(reference)] = reference
    for place in range(k[ek + PLACES]):
        i[k[ek + PLACES_I] + place] = NOTHING_INSIDE
    f[e * E_FLOATS + DUE_S], i[e * E_INTS + PENDING] = 0.0, GRID
    f[e * E_FLOATS + CYCLE_S] = 0.0
