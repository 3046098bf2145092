"""What a station does with a part inside: set up, work, fail; and what keeps it able to work.

Plain functions over the flat columns of ``twin.line.schema``, see ``twin.line.transitions``. A station
fails in operation only, by its own clock of operating time; a *strike* is a failure that counts calendar
time and finds the station at work, idle, blocked or asleep. The interrupted part is finished after the
repair. Where a task needs somebody (``twin.line.people``), the station waits for them.
"""

from __future__ import annotations

from twin.kernels.draws import DEFECT
from twin.kernels.draws import uniform as draw_uniform
from twin.line.flow import touch
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, run_cycle, schedule
from twin.line.luck import repair_s, restart, scatter, strike_repair_s, to_failure_s, to_strike_s
from twin.line.people import claim, give_back
from twin.line.residual import goes_on_s
from twin.line.schema import (
    BAD,
    BOOKED_S,
    C_CYCLE_LAW,
    C_IDLE_KW,
    C_SERVICE_EVERY_S,
    C_SERVICE_S,
    C_TOOL_CHANGE_S,
    CHANGED,
    CYCLE_KWH,
    CYCLE_S,
    DEFECTIVE,
    DOWN,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ELEMENTS_K,
    EXPECTED_DEFECTS,
    FAIL,
    FAILED_MODE,
    FAILURES,
    FINISH,
    FIXED,
    FOREVER,
    IN_HAND,
    K_LINE_F,
    K_LINE_I,
    K_PART_F,
    K_PART_I,
    NOTHING,
    OPS,
    P_FLOATS,
    P_INTS,
    PART_ID,
    PART_MARKS,
    PASS,
    PLACES_I,
    PROCESSING,
    PRODUCT,
    REPAIRED,
    REST_SINCE_S,
    RESTART_SCRAP,
    RESUME,
    SEED,
    SERVICE,
    SERVICE_OPS,
    SERVICED,
    SERVICED_OPS,
    SERVICED_S,
    SET_UP,
    SET_UP_FOR,
    SETUP,
    SETUP_C,
    SLOT,
    STANDBY,
    STATE,
    STRIKES,
    STRIKES_S,
    STRUCK_ASLEEP,
    STRUCK_AWAKE,
    TASK_CHANGE,
    TASK_REPAIR,
    TASK_S,
    TASK_SETUP,
    TASK_WORK,
    TIME_S,
    TO_FAILURE_S,
    TOOL_CHANGE,
    WANTS,
    WORK_LEFT_S,
    WORK_SINCE_S,
    WORLD,
)
from twin.line.states import become_idle, block, enter, plan, sleep, wait
from twin.line.taking import fetch

SOME_S = 1e-9
"""Work that is left of a cycle whose end rounding has hidden: it ends by itself, after the repair."""

# --- working on them -----------------------------------------------------------------------------


def start(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Fetch what is needed, set up for it if that must be, and begin."""
    fetch(e, f, i, k)
    if k[ELEMENTS_K + e * EK + SETUP_C] > 0 and setup_s(e, f, i, c, k) > 0.0:
        if claim(e, TASK_SETUP, f, i, k):
            set_up(e, now, f, i, c, k, journal)
        else:
            wait(e, now, f, i, c, k, journal)
    else:
        attend(e, now, f, i, c, k, journal)


def setup_s(e: int, f: Floats, i: Ints, c: Constants, k: Structure) -> float:
    """How long it takes to set up for the part inside: nothing for the first, or for the same again."""
    at = k[ELEMENTS_K + e * EK + SETUP_C]
    before = f[e * E_FLOATS + SET_UP_FOR]
    product = f[k[K_PART_F] + i[e * E_INTS + SLOT] * P_FLOATS + PRODUCT]
    if before < 0.0 or before == product:
        return 0.0
    for n in range(int(c[at + 1])):
        if c[at + 2 + 3 * n] == before and c[at + 3 + 3 * n] == product:
            return c[at + 4 + 3 * n]
    return c[at]


def set_up(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Somebody changes the station over to the part inside."""
    due_s = now + setup_s(e, f, i, c, k)
    enter(e, SETUP, c[e * EC + C_IDLE_KW], now, f, i, k, journal)
    schedule(e, SET_UP, due_s, f, i, journal)


def attend(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Begin the cycle as soon as there is somebody for it, if it needs somebody."""
    if k[ELEMENTS_K + e * EK + SETUP_C] > 0:
        product = f[k[K_PART_F] + i[e * E_INTS + SLOT] * P_FLOATS + PRODUCT]
        f[e * E_FLOATS + SET_UP_FOR] = product
    if claim(e, TASK_WORK, f, i, k):
        begin(e, now, f, i, c, k, journal)
    else:
        f[e * E_FLOATS + WORK_LEFT_S] = 0.0  # not begun
        wait(e, now, f, i, c, k, journal)


def begin(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """The cycle begins, with the setpoints of this moment."""
    a = e * E_FLOATS
    b = e * E_INTS
    ek = ELEMENTS_K + e * EK
    defect_probability = run_cycle(e, now, f, i, c, k, journal)
    part = k[K_PART_I] + i[b + SLOT] * P_INTS
    if c[e * EC + C_CYCLE_LAW] != FIXED:
        scatter(e, luck_of(part, i), f, i, c, k, journal)
    i[b + DEFECTIVE] = 0
    if defect_probability > 0.0:  # a draw depends on its key alone, so it may be left out
        if i[b + IN_HAND] == 0:
            i[b + DEFECTIVE] = is_spoilt(e, part, defect_probability, f, i, k)
        for n in range(i[b + IN_HAND]):  # a batch: each part has its own luck
            one = k[K_PART_I] + i[k[ek + PLACES_I] + n] * P_INTS
            if is_spoilt(e, one, defect_probability, f, i, k):
                i[one + PART_MARKS] |= BAD
    if k[ek + RESTART_SCRAP]:
        restart(e, True, now, f, i, c, k)
    f[a + WORK_LEFT_S] = f[a + CYCLE_S]
    enter(e, PROCESSING, f[a + CYCLE_KWH] / f[a + CYCLE_S] * 3600.0, now, f, i, k, journal)
    work(e, now, f, i, c, journal)


def luck_of(part: int, i: Ints) -> int:
    """What keys a part's luck at a station: its number, and how often it has come round again."""
    return i[part + PART_ID] + (i[part + PART_MARKS] // PASS << 40)


def is_spoilt(e: int, part: int, probability: float, f: Floats, i: Ints, k: Structure) -> int:
    """Whether this cycle spoils this part; what was to be expected of it is booked, if it was sound so far."""
    if not i[part + PART_MARKS] & BAD:
        f[k[K_LINE_F] + EXPECTED_DEFECTS] += probability
    return is_defective(e, part, probability, i, k)


def is_defective(e: int, part: int, probability: float, i: Ints, k: Structure) -> int:
    """The draw for it."""
    line = k[K_LINE_I]
    luck = draw_uniform(i[line + SEED], i[line + WORLD], e, DEFECT, luck_of(part, i))
    return 1 if luck < probability else 0


def work(e: int, now: float, f: Floats, i: Ints, c: Constants, journal: Journal) -> None:
    """Go on until the cycle ends or, before that, the station fails."""
    ends_s = now + goes_on_s(e, now, f, i)
    pending = FINISH if i[e * E_INTS + FAILED_MODE] < 0 else FAIL
    plan(e, pending, ends_s, now, f, i, c, journal)


# --- failing -------------------------------------------------------------------------------------


def fail(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Stop in the middle of the cycle; what is left of it waits for the repair."""
    a = e * E_FLOATS
    b = e * E_INTS
    mode = i[b + FAILED_MODE]
    worked = f[a + TO_FAILURE_S + mode]
    f[a + WORK_LEFT_S] -= worked
    f[a + TO_FAILURE_S + 1 - mode] -= worked
    f[a + REST_SINCE_S] = now
    f[a + TASK_S] = repair_s(e, mode, i[b + FAILURES + mode], i, c, k)
    i[b + FAILURES + mode] += 1
    f[a + TO_FAILURE_S + mode] = to_failure_s(e, mode, i[b + FAILURES + mode], f, i, c, k)
    break_down(e, now, f, i, c, k, journal)


def strike(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """A failure of calendar time: of a station at work, idle, blocked or asleep."""
    a = e * E_FLOATS
    b = e * E_INTS
    i[b + FAILED_MODE] = STRUCK_ASLEEP if i[b + STATE] == STANDBY else STRUCK_AWAKE
    if i[b + STATE] == PROCESSING:
        worked = now - f[a + WORK_SINCE_S]
        f[a + WORK_LEFT_S] = max(f[a + WORK_LEFT_S] - worked, SOME_S)
        f[a + TO_FAILURE_S] = max(f[a + TO_FAILURE_S] - worked, 0.0)
        f[a + TO_FAILURE_S + 1] = max(f[a + TO_FAILURE_S + 1] - worked, 0.0)
        f[a + REST_SINCE_S] = now
    elif i[b + SLOT] >= 0:
        f[a + WORK_LEFT_S] = 0.0
    f[a + TASK_S] = strike_repair_s(e, i[b + STRIKES], i, c, k)
    i[b + STRIKES] += 1
    f[a + STRIKES_S] = FOREVER
    break_down(e, now, f, i, c, k, journal)


def break_down(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Down; the repair begins when there is somebody for it. Who attended the work is free again."""
    give_back(e, i, k)
    enter(e, DOWN, c[e * EC + C_IDLE_KW], now, f, i, k, journal)
    if claim(e, TASK_REPAIR, f, i, k):
        schedule(e, REPAIRED, now + f[e * E_FLOATS + TASK_S], f, i, journal)
    else:
        schedule(e, NOTHING, FOREVER, f, i, journal)


def repaired(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Go on where the failure has interrupted: who was asleep sleeps on."""
    a = e * E_FLOATS
    b = e * E_INTS
    mode = i[b + FAILED_MODE]
    if mode >= STRUCK_AWAKE:
        i[b + FAILED_MODE] = -1
        f[a + STRIKES_S] = now + to_strike_s(e, i[b + STRIKES], f, i, c, k)
    give_back(e, i, k)
    if mode == STRUCK_ASLEEP:
        sleep(e, i[b + RESUME], now, f, i, c, k, journal)
    elif i[b + SLOT] < 0:
        become_idle(e, now, f, i, c, k, journal)
    elif f[a + WORK_LEFT_S] <= 0.0:
        block(e, now, f, i, c, k, journal)
        touch(e, i, k)
    elif claim(e, TASK_WORK, f, i, k):
        resume(e, now, f, i, c, k, journal)
    else:
        wait(e, now, f, i, c, k, journal)


def resume(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Finish the part that a failure has interrupted."""
    a = e * E_FLOATS
    restart(e, False, now, f, i, c, k)
    enter(e, PROCESSING, f[a + CYCLE_KWH] / f[a + CYCLE_S] * 3600.0, now, f, i, k, journal)
    work(e, now, f, i, c, journal)


# --- being served --------------------------------------------------------------------------------


def upkeep(
    e: int, task: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """A worn edge is to be changed, or a service is due: as soon as there is somebody for it."""
    if claim(e, task, f, i, k):
        serve(e, task, now, f, i, c, k, journal)
    else:
        wait(e, now, f, i, c, k, journal)


def serve(
    e: int, task: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Change the edge, or service the station."""
    idle_kw = c[e * EC + C_IDLE_KW]
    if task == TASK_CHANGE:
        enter(e, TOOL_CHANGE, idle_kw, now, f, i, k, journal)
        schedule(e, CHANGED, now + c[e * EC + C_TOOL_CHANGE_S], f, i, journal)
    else:
        enter(e, SERVICE, idle_kw, now, f, i, k, journal)
        schedule(e, SERVICED, now + c[e * EC + C_SERVICE_S], f, i, journal)


def worked_s(e: int, now: float, f: Floats, i: Ints) -> float:
    """Working time so far; that of the state which is ending is not booked yet."""
    a = e * E_FLOATS
    worked = f[a + TIME_S + PROCESSING]
    if i[e * E_INTS + STATE] == PROCESSING:
        worked += now - f[a + BOOKED_S]
    return worked


def is_service_due(e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure) -> bool:
    """Whether so many parts or so much working time have passed since the last service."""
    ops = k[ELEMENTS_K + e * EK + SERVICE_OPS]
    if ops > 0 and i[e * E_INTS + OPS] - i[e * E_INTS + SERVICED_OPS] >= ops:
        return True
    every_s = c[e * EC + C_SERVICE_EVERY_S]
    return every_s > 0.0 and worked_s(e, now, f, i) - f[e * E_FLOATS + SERVICED_S] >= every_s


def go_on(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Somebody has come for the task that a station waits with."""
    a = e * E_FLOATS
    task = i[e * E_INTS + WANTS] - 1
    i[e * E_INTS + WANTS] = 0
    if task == TASK_REPAIR:
        schedule(e, REPAIRED, now + f[a + TASK_S], f, i, journal)
    elif task == TASK_SETUP:
        set_up(e, now, f, i, c, k, journal)
    elif task != TASK_WORK:
        serve(e, task, now, f, i, c, k, journal)
    elif f[a + WORK_LEFT_S] > 0.0:
        resume(e, now, f, i, c, k, journal)
    else:
        begin(e, now, f, i, c, k, journal)
