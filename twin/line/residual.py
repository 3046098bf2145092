"""What is left, given what is known: to the next failure, of a repair, of the work under way.

When a twin is put in step with its line, or a copy of it is sent into a world of its own, what nobody
knows yet is drawn anew from the conditional distribution. Plain functions over the flat columns, run by
both engines and outside of them: they set due times in the state, from which a calendar is made.
"""

from __future__ import annotations

import math

from twin.kernels.draws import CYCLE_LEFT, REPAIR_LEFT, RESIDUAL, STRIKE_LEFT
from twin.kernels.draws import exponential as draw_exponential
from twin.kernels.draws import uniform as draw_uniform
from twin.kernels.normal import normal_quantile, normal_share
from twin.line.hooks import Constants, Floats, Ints, Structure
from twin.line.schema import (
    BLOCKED,
    C_BETWEEN_S,
    C_CYCLE_CV,
    C_CYCLE_LAW,
    C_REPAIR_CV,
    C_REPAIR_LAW,
    C_REPAIR_S,
    C_STRIKE_BETWEEN_S,
    C_STRIKE_REPAIR_CV,
    C_STRIKE_REPAIR_LAW,
    C_STRIKE_REPAIR_S,
    CAN_STANDBY,
    CONVEYOR,
    CREWS_K,
    CYCLE_KWH,
    CYCLE_S,
    DOWN,
    DUE_S,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ELEMENTS_K,
    EXPONENTIAL,
    FAIL,
    FAILED_MODE,
    FINISH,
    FIXED,
    FOREVER,
    IDLE,
    K_ELEMENTS,
    K_LINE_I,
    MEAN_CYCLE_S,
    NEVER_S,
    NOTHING,
    PENDING,
    PROCESSING,
    SEED,
    SINCE_S,
    SLOT,
    STANDBY,
    STANDBY_AFTER_S,
    STATE,
    STATION,
    STRIKES_S,
    STRUCK,
    TASK_S,
    TIMED_OUT,
    TO_FAILURE_S,
    WANTS,
    WORK_LEFT_S,
    WORK_SINCE_S,
    WORLD,
)

SOON_S = 1e-3
"""What should have happened already happens at once."""


def fresh_luck(world: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure) -> None:
    """Move a copied state into another world: all that is not decided yet is drawn anew there."""
    i[k[K_LINE_I] + WORLD] = world
    ticket = int(now)
    for e in range(1, k[K_ELEMENTS] - 1):
        a = e * E_FLOATS
        b = e * E_INTS
        kind = k[ELEMENTS_K + e * EK]
        if kind in (STATION, CONVEYOR):
            draw_failures(e, ticket, now, f, i, c, k)
            scatters = c[e * EC + C_CYCLE_LAW] != FIXED and kind == STATION
            if i[b + STATE] == DOWN and i[b + WANTS] > 0:
                f[a + TASK_S] = repair_left_s(e, 0.0, ticket, i, c, k)
            if scatters and i[b + STATE] == DOWN and i[b + SLOT] >= 0 and f[a + WORK_LEFT_S] > 0.0:
                cycle_goes_on(e, f[a + CYCLE_S] - f[a + WORK_LEFT_S], ticket, f, i, c, k)
            if i[b + STATE] == DOWN and i[b + WANTS] == 0:
                begun = f[a + SINCE_S]
                if k[ELEMENTS_K + e * EK + CREWS_K] > 0:  # it may have waited for somebody first
                    begun = f[a + DUE_S] - f[a + TASK_S]
                left = repair_left_s(e, now - begun, ticket, i, c, k)
                f[a + (DUE_S if kind == STATION else WORK_LEFT_S)] = now + left
                f[a + TASK_S] = now + left - begun
            elif i[b + STATE] == PROCESSING and kind == STATION:
                f[a + WORK_LEFT_S] -= now - f[a + WORK_SINCE_S]
                if scatters:
                    cycle_goes_on(e, f[a + CYCLE_S] - f[a + WORK_LEFT_S], ticket, f, i, c, k)
                work_ends(e, now, f, i)
            if kind == STATION:
                strike_first(e, now, f, i, c, k)


def draw_failures(
    e: int, ticket: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure
) -> None:
    """Times to the next failures: without memory, what is left is like the whole."""
    line = k[K_LINE_I]
    seed, world = i[line + SEED], i[line + WORLD]
    for mode in range(2):
        mean = c[e * EC + C_BETWEEN_S + mode]
        left = FOREVER
        if mean > 0.0:
            left = draw_exponential(seed, world, e, RESIDUAL, 2 * ticket + mode, mean)
        f[e * E_FLOATS + TO_FAILURE_S + mode] = left
    mean = c[e * EC + C_STRIKE_BETWEEN_S]
    if mean > 0.0:
        left = draw_exponential(seed, world, e, STRIKE_LEFT, ticket, mean)
        f[e * E_FLOATS + STRIKES_S] = now + left


def cycle_goes_on(
    e: int, elapsed: float, ticket: int, f: Floats, i: Ints, c: Constants, k: Structure
) -> None:
    """What is left of a cycle that scatters, given how long it has taken; its power stays."""
    a = e * E_FLOATS
    line = k[K_LINE_I]
    v = draw_uniform(i[line + SEED], i[line + WORLD], e, CYCLE_LEFT, ticket)
    mean = f[a + MEAN_CYCLE_S]
    left = -mean * math.log(v)  # exponential: without memory
    if c[e * EC + C_CYCLE_LAW] != EXPONENTIAL:
        left = lognormal_left(mean, c[e * EC + C_CYCLE_CV], elapsed, v)
    if f[a + CYCLE_S] > 0.0:
        f[a + CYCLE_KWH] *= (elapsed + left) / f[a + CYCLE_S]
    f[a + CYCLE_S] = elapsed + left
    f[a + WORK_LEFT_S] = left


def lognormal_left(mean: float, cv: float, elapsed: float, v: float) -> float:
    """What is left of something lognormal that has taken so long; ``v`` is uniform."""
    variance = math.log(1.0 + cv * cv)
    sigma = math.sqrt(variance) if variance > 0.0 else 1e-9
    z = (math.log(max(elapsed, 1e-9)) - math.log(mean) + variance / 2.0) / sigma
    share = min(max(1.0 - normal_share(-z) * v, 1e-12), 1.0 - 1e-12)
    whole = math.exp(math.log(mean) - variance / 2.0 + sigma * normal_quantile(share))
    return max(whole - elapsed, SOON_S)


def goes_on_s(e: int, now: float, f: Floats, i: Ints) -> float:
    """How long the cycle goes on from here: to its end or, before that, to a failure."""
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
    return left


def work_ends(e: int, now: float, f: Floats, i: Ints) -> None:
    """The cycle under way goes on from here, until it ends or the station fails."""
    f[e * E_FLOATS + DUE_S] = now + goes_on_s(e, now, f, i)
    i[e * E_INTS + PENDING] = FINISH if i[e * E_INTS + FAILED_MODE] < 0 else FAIL


def strike_first(e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure) -> None:
    """A failure of calendar time that comes before what is due, in the states that it can strike in."""
    a = e * E_FLOATS
    b = e * E_INTS
    if c[e * EC + C_STRIKE_BETWEEN_S] <= 0.0:
        return
    state = i[b + STATE]
    if i[b + PENDING] == STRUCK and state != PROCESSING:  # by the luck of the world before
        f[a + DUE_S] = FOREVER
        i[b + PENDING] = NOTHING
        after = f[a + STANDBY_AFTER_S]
        if state != STANDBY and k[ELEMENTS_K + e * EK + CAN_STANDBY] and after < NEVER_S:
            f[a + DUE_S] = max(f[a + SINCE_S] + after, now)
            i[b + PENDING] = TIMED_OUT
    if state in (IDLE, BLOCKED, STANDBY, PROCESSING) and f[a + STRIKES_S] < f[a + DUE_S]:
        f[a + DUE_S] = max(now, f[a + STRIKES_S])
        i[b + PENDING] = STRUCK


def of_repair(e: int, column: int, strike_column: int, kind: int, c: Constants) -> float:
    """A constant of one kind of failure: 0 and 1 in operating time, 2 in calendar time."""
    return c[e * EC + (strike_column if kind == 2 else column + kind)]


def beyond(e: int, kind: int, elapsed: float, c: Constants) -> float:
    """The share of repairs of one kind that take longer than ``elapsed``."""
    mean = of_repair(e, C_REPAIR_S, C_STRIKE_REPAIR_S, kind, c)
    law = of_repair(e, C_REPAIR_LAW, C_STRIKE_REPAIR_LAW, kind, c)
    if law == FIXED:
        return 1.0 if elapsed < mean else 0.0
    if law == EXPONENTIAL:
        return math.exp(-elapsed / mean)
    cv = of_repair(e, C_REPAIR_CV, C_STRIKE_REPAIR_CV, kind, c)
    variance = math.log(1.0 + cv * cv)
    sigma = math.sqrt(variance) if variance > 0.0 else 1e-9
    z = (math.log(max(elapsed, 1e-9)) - math.log(mean) + variance / 2.0) / sigma
    return normal_share(-z)


def weight(e: int, kind: int, elapsed: float, c: Constants) -> float:
    """How likely a repair that has taken so long is of one kind, up to a common factor."""
    between = of_repair(e, C_BETWEEN_S, C_STRIKE_BETWEEN_S, kind, c)
    if between <= 0.0 or of_repair(e, C_REPAIR_S, C_STRIKE_REPAIR_S, kind, c) <= 0.0:
        return 0.0
    return beyond(e, kind, elapsed, c) / between


def repair_left_s(
    e: int, elapsed: float, ticket: int, i: Ints, c: Constants, k: Structure
) -> float:
    """How long a repair still takes: which kind it is by Bayes, then its own law beyond ``elapsed``."""
    first = weight(e, 0, elapsed, c)
    second = weight(e, 1, elapsed, c)
    third = weight(e, 2, elapsed, c)
    if first + second + third <= 0.0:
        return SOON_S
    line = k[K_LINE_I]
    seed, world = i[line + SEED], i[line + WORLD]
    luck = draw_uniform(seed, world, e, REPAIR_LEFT, 2 * ticket) * (first + second + third)
    kind = 2
    if luck < first or second + third <= 0.0:
        kind = 0
    elif luck < first + second or third <= 0.0:
        kind = 1
    v = draw_uniform(seed, world, e, REPAIR_LEFT, 2 * ticket + 1)
    mean = of_repair(e, C_REPAIR_S, C_STRIKE_REPAIR_S, kind, c)
    law = of_repair(e, C_REPAIR_LAW, C_STRIKE_REPAIR_LAW, kind, c)
    if law == FIXED:
        return max(mean - elapsed, SOON_S)
    if law == EXPONENTIAL:
        return -mean * math.log(v)  # without memory
    return lognormal_left(mean, of_repair(e, C_REPAIR_CV, C_STRIKE_REPAIR_CV, kind, c), elapsed, v)
