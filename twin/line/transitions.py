"""What a station does when something is due: each transition written once.

Plain functions over the flat columns of ``twin.line.schema``, run by the SimPy calendar on lists
(and by any other calendar on arrays). ``f i`` is the state, ``c k`` are the constants of the line,
``journal`` takes what happened. A station holds a finished part until there is room behind it
(blocking after service); it fails in operation only, and the interrupted part is finished after
the repair. Energy is booked when a state is left: power is constant within a state.

Three functions are not defined here but given by the engine that binds this module: ``run_cycle``
(the station's process model), ``record`` (a state change) and ``schedule`` (a new due time).
"""

from __future__ import annotations

from twin.kernels.draws import DEFECT
from twin.kernels.draws import uniform as draw_uniform
from twin.line.flow import (
    has_room,
    level,
    part_leaves,
    put,
    room,
    room_came,
    take,
    touch,
)
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, record, run_cycle, schedule
from twin.line.luck import repair_s, restart, scatter, to_failure_s, tool_factor
from twin.line.schema import (
    BLOCKED,
    BOOKED_S,
    C_CYCLE_LAW,
    C_IDLE_KW,
    C_STANDBY_KW,
    C_TOOL_CHANGE_S,
    C_TOOL_LIFE_MM,
    C_WARM_UP_KW,
    C_WARM_UP_S,
    CAN_STANDBY,
    CHANGED,
    CONVEYOR,
    CYCLE_KWH,
    CYCLE_S,
    CYCLE_WEAR,
    DEFECTIVE,
    DOWN,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ELEMENTS_K,
    ENERGY_KWH,
    FAIL,
    FAILED_MODE,
    FAILURES,
    FINISH,
    FIXED,
    FOREVER,
    GIVES_TO,
    HAS_TOOL,
    IDLE,
    INSPECTS,
    K_LINE_F,
    K_LINE_I,
    K_PART_F,
    K_PART_I,
    LAST_CYCLE_S,
    LAST_ENERGY_KWH,
    LINE_MATERIAL_KG,
    MATERIAL_KG,
    N_Y,
    NEVER_S,
    NEXT,
    NOTHING,
    OPS,
    OUTPUT,
    P_FLOATS,
    P_INTS,
    PART_DEFECTIVE,
    PART_ENERGY_KWH,
    PART_ID,
    PART_MATERIAL_KG,
    POWER_KW,
    PROCESSING,
    REPAIRED,
    REST_SINCE_S,
    RESTART_SCRAP,
    RESUME,
    SCRAPPED,
    SEED,
    SINCE_S,
    SINK,
    SLOT,
    SOURCE,
    STANDBY,
    STANDBY_AFTER_S,
    STANDBY_ASKED,
    STATE,
    TAKES_FROM,
    TIME_S,
    TIMED_OUT,
    TO_FAILURE_S,
    TOOL_CHANGE,
    TOOL_FACTOR,
    TOOLS,
    WARM,
    WARM_UP,
    WEAR,
    WORK_LEFT_S,
    WORK_SINCE_S,
    WORLD,
)
from twin.line.source import release


def enter(
    e: int,
    state: int,
    power_kw: float,
    now: float,
    f: Floats,
    i: Ints,
    k: Structure,
    journal: Journal,
) -> None:
    """Leave the present state, book its time and energy, and begin the next."""
    a = e * E_FLOATS
    b = e * E_INTS
    before = i[b + STATE]
    elapsed = now - f[a + BOOKED_S]
    f[a + TIME_S + before] += elapsed
    f[a + ENERGY_KWH + before] += f[a + POWER_KW] * elapsed / 3600.0
    f[a + BOOKED_S] = now
    f[a + SINCE_S] = now
    f[a + POWER_KW] = power_kw
    i[b + STATE] = state
    slot = i[b + SLOT]
    part = i[k[K_PART_I] + slot * P_INTS + PART_ID] if slot >= 0 else 0
    record(journal, now, e, before, state, part)


def fire(
    e: int,
    pending: int,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    journal: Journal,
) -> None:
    """What was due at a station is happening now."""
    if pending == FINISH:
        finish(e, now, f, i, c, k, journal)
    elif pending == FAIL:
        fail(e, now, f, i, c, k, journal)
    elif pending == REPAIRED:
        a = e * E_FLOATS
        restart(e, False, now, f, i, c, k)
        enter(e, PROCESSING, f[a + CYCLE_KWH] / f[a + CYCLE_S] * 3600.0, now, f, i, k, journal)
        work(e, now, f, i, journal)
    elif pending == WARM:
        warm(e, now, f, i, c, k, journal)
    elif pending == CHANGED:
        become_idle(e, now, f, i, c, k, journal)
    elif pending == TIMED_OUT:
        sleep(e, 0, now, f, i, c, k, journal)


def look(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Something near an element has changed: see whether its turn has come."""
    b = e * E_INTS
    ek = ELEMENTS_K + e * EK
    if k[ek] == SOURCE:
        release(e, now, f, i, c, k, journal)
        return
    if k[ek] == CONVEYOR:
        return  # it looks for itself, at its next grid point
    state = i[b + STATE]
    if state == IDLE:
        if i[b + STANDBY_ASKED]:
            sleep(e, 1, now, f, i, c, k, journal)
        elif level(k[ek + TAKES_FROM], i, k) > 0:
            start(e, now, f, i, c, k, journal)
    elif state == BLOCKED:
        if has_room(k[ek + GIVES_TO], i, k):
            pass_on(e, now, f, i, c, k, journal)
        elif i[b + STANDBY_ASKED]:
            sleep(e, 1, now, f, i, c, k, journal)
    elif state == STANDBY and not i[b + STANDBY_ASKED]:
        # Asked to sleep: wakes when no longer asked. Fell asleep by itself: wakes for work.
        if i[b + SLOT] >= 0:
            work_waits = has_room(k[ek + GIVES_TO], i, k)
        else:
            work_waits = level(k[ek + TAKES_FROM], i, k) > 0
        if i[b + RESUME] or work_waits:
            cc = e * EC
            enter(e, WARM_UP, c[cc + C_WARM_UP_KW], now, f, i, k, journal)
            schedule(e, WARM, now + c[cc + C_WARM_UP_S], f, i, journal)


def start(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Take a part and begin its cycle with the setpoints of this moment."""
    a = e * E_FLOATS
    b = e * E_INTS
    ek = ELEMENTS_K + e * EK
    i[b + SLOT] = take(k[ek + TAKES_FROM], i, k)
    defect_probability = run_cycle(e, now, f, i, c, k, journal)
    part = i[k[K_PART_I] + i[b + SLOT] * P_INTS + PART_ID]
    if c[e * EC + C_CYCLE_LAW] != FIXED:
        scatter(e, part, f, i, c, k)
    i[b + DEFECTIVE] = 0
    if defect_probability > 0.0:  # a draw depends on its key alone, so it may be left out
        line = k[K_LINE_I]
        luck = draw_uniform(i[line + SEED], i[line + WORLD], e, DEFECT, part)
        i[b + DEFECTIVE] = 1 if luck < defect_probability else 0
    if k[ek + RESTART_SCRAP]:
        restart(e, True, now, f, i, c, k)
    f[a + WORK_LEFT_S] = f[a + CYCLE_S]
    enter(e, PROCESSING, f[a + CYCLE_KWH] / f[a + CYCLE_S] * 3600.0, now, f, i, k, journal)
    work(e, now, f, i, journal)


def work(e: int, now: float, f: Floats, i: Ints, journal: Journal) -> None:
    """Go on until the cycle ends or, before that, the station fails."""
    a = e * E_FLOATS
    f[a + WORK_SINCE_S] = now
    left = f[a + WORK_LEFT_S]
    mode = -1
    if f[a + TO_FAILURE_S] < left:
        mode = 0
        left = f[a + TO_FAILURE_S]
    if f[a + TO_FAILURE_S + 1] < left:
        mode = 1
        left = f[a + TO_FAILURE_S + 1]
    i[e * E_INTS + FAILED_MODE] = mode
    schedule(e, FINISH if mode < 0 else FAIL, now + left, f, i, journal)


def fail(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Stop in the middle of the cycle; what is left of it waits for the repair."""
    a = e * E_FLOATS
    b = e * E_INTS
    cc = e * EC
    mode = i[b + FAILED_MODE]
    worked = f[a + TO_FAILURE_S + mode]
    f[a + WORK_LEFT_S] -= worked
    f[a + TO_FAILURE_S + 1 - mode] -= worked
    f[a + REST_SINCE_S] = now
    repair = repair_s(e, mode, i[b + FAILURES + mode], i, c, k)
    i[b + FAILURES + mode] += 1
    f[a + TO_FAILURE_S + mode] = to_failure_s(e, mode, i[b + FAILURES + mode], f, i, c, k)
    enter(e, DOWN, c[cc + C_IDLE_KW], now, f, i, k, journal)
    schedule(e, REPAIRED, now + repair, f, i, journal)


def finish(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """The cycle ends: count, wear, report, and let the part go."""
    a = e * E_FLOATS
    b = e * E_INTS
    ek = ELEMENTS_K + e * EK
    left = f[a + WORK_LEFT_S]
    f[a + TO_FAILURE_S] -= left
    f[a + TO_FAILURE_S + 1] -= left
    f[a + WORK_LEFT_S] = 0.0
    f[a + REST_SINCE_S] = now
    i[b + OPS] += 1
    f[a + WEAR] += f[a + CYCLE_WEAR] * f[a + TOOL_FACTOR]
    f[a + LAST_CYCLE_S] = f[a + CYCLE_S]
    f[a + LAST_ENERGY_KWH] = f[a + CYCLE_KWH]
    for n in range(k[ek + N_Y]):
        f[a + OUTPUT + n] = f[a + NEXT + n]
    slot = i[b + SLOT]
    f[k[K_PART_F] + slot * P_FLOATS + PART_ENERGY_KWH] += f[a + CYCLE_KWH]
    f[k[K_PART_F] + slot * P_FLOATS + PART_MATERIAL_KG] += f[a + MATERIAL_KG]
    f[k[K_LINE_F] + LINE_MATERIAL_KG] += f[a + MATERIAL_KG]
    part = k[K_PART_I] + slot * P_INTS
    if i[b + DEFECTIVE]:
        i[part + PART_DEFECTIVE] = 1
    if k[ek + INSPECTS] and i[part + PART_DEFECTIVE]:
        let_go(e, 1, f, i, k)
        after_part(e, now, f, i, c, k, journal)
    elif k[ek + GIVES_TO] == SINK or has_room(k[ek + GIVES_TO], i, k):
        pass_on(e, now, f, i, c, k, journal)
    else:
        enter(e, BLOCKED, c[e * EC + C_IDLE_KW], now, f, i, k, journal)
        time_out(e, now, f, i, k, journal)


def pass_on(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Give the finished part to the buffer behind, or to the sink."""
    b = e * E_INTS
    goes_to = k[ELEMENTS_K + e * EK + GIVES_TO]
    if goes_to == SINK:
        let_go(e, i[k[K_PART_I] + i[b + SLOT] * P_INTS + PART_DEFECTIVE], f, i, k)
    else:
        put(goes_to, i[b + SLOT], i, k)
        i[b + SLOT] = -1
    after_part(e, now, f, i, c, k, journal)


def let_go(e: int, scrapped: int, f: Floats, i: Ints, k: Structure) -> None:
    """The part leaves the line; the source may have to make up for it."""
    b = e * E_INTS
    part_leaves(i[b + SLOT], scrapped, f, i, k)
    i[b + SLOT] = -1
    if scrapped:
        i[b + SCRAPPED] += 1
    touch(0, i, k)


def after_part(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Change a worn edge, or be ready for the next part."""
    a = e * E_FLOATS
    b = e * E_INTS
    cc = e * EC
    if k[ELEMENTS_K + e * EK + HAS_TOOL] and f[a + WEAR] >= c[cc + C_TOOL_LIFE_MM]:
        i[b + TOOLS] += 1
        f[a + WEAR] = 0.0
        f[a + TOOL_FACTOR] = tool_factor(e, i, c, k)
        enter(e, TOOL_CHANGE, c[cc + C_IDLE_KW], now, f, i, k, journal)
        schedule(e, CHANGED, now + c[cc + C_TOOL_CHANGE_S], f, i, journal)
    else:
        become_idle(e, now, f, i, c, k, journal)


def become_idle(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Ready, without a part."""
    enter(e, IDLE, c[e * EC + C_IDLE_KW], now, f, i, k, journal)
    time_out(e, now, f, i, k, journal)
    touch(e, i, k)
    before = k[ELEMENTS_K + e * EK + TAKES_FROM]
    if room(before, k) == 0:
        room_came(before, i, k)


def time_out(e: int, now: float, f: Floats, i: Ints, k: Structure, journal: Journal) -> None:
    """The station's own time-out to standby begins, if it has one."""
    after = f[e * E_FLOATS + STANDBY_AFTER_S]
    if k[ELEMENTS_K + e * EK + CAN_STANDBY] and after < NEVER_S:
        schedule(e, TIMED_OUT, now + after, f, i, journal)
    else:
        schedule(e, NOTHING, FOREVER, f, i, journal)


def sleep(
    e: int, asked: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Go to standby, with or without a finished part inside."""
    if not k[ELEMENTS_K + e * EK + CAN_STANDBY]:
        return
    i[e * E_INTS + RESUME] = asked
    enter(e, STANDBY, c[e * EC + C_STANDBY_KW], now, f, i, k, journal)
    schedule(e, NOTHING, FOREVER, f, i, journal)
    touch(e, i, k)


def warm(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Warm-up is over."""
    b = e * E_INTS
    if i[b + SLOT] < 0:
        become_idle(e, now, f, i, c, k, journal)
        return
    enter(e, BLOCKED, c[e * EC + C_IDLE_KW], now, f, i, k, journal)
    time_out(e, now, f, i, k, journal)
    touch(e, i, k)
