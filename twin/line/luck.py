"""The luck of a station: when it fails, how long repairs take, how long an edge lasts, bad starts.

Every draw is keyed by the element and by what is drawn for the how-manieth time, see
``twin.kernels.draws``.
"""

from __future__ import annotations

from twin.kernels.draws import (
    CYCLE,
    REPAIR,
    STRIKE,
    STRIKE_REPAIR,
    TIME_TO_FAILURE,
    TOOL_LIFE,
    exponential_of,
)
from twin.kernels.draws import exponential as draw_exponential
from twin.kernels.draws import lognormal as draw_lognormal
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, cycle_luck
from twin.line.schema import (
    BAD,
    BAD_STARTS,
    C_BETWEEN_S,
    C_CYCLE_CV,
    C_CYCLE_LAW,
    C_REPAIR_CV,
    C_REPAIR_LAW,
    C_REPAIR_S,
    C_RESTART_AFTER_S,
    C_STRIKE_BETWEEN_S,
    C_STRIKE_REPAIR_CV,
    C_STRIKE_REPAIR_LAW,
    C_STRIKE_REPAIR_S,
    C_TOOL_LIFE_CV,
    CYCLE_KWH,
    CYCLE_S,
    DEFECTIVE,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ELEMENTS_K,
    EXPECTED_DEFECTS,
    EXPONENTIAL,
    FAILURE_RATE,
    FIXED,
    FOREVER,
    IN_HAND,
    K_LINE_F,
    K_LINE_I,
    K_PART_I,
    MEAN_CYCLE_S,
    P_INTS,
    PART_MARKS,
    PLACES_I,
    REST_SINCE_S,
    RESTART_SCRAP,
    SEED,
    SLOT,
    TOOLS,
    WORLD,
)


def scatter(
    e: int, part: int, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Cycle times that vary from part to part; the power stays what the process model says."""
    cc = e * EC
    law = c[cc + C_CYCLE_LAW]
    line = k[K_LINE_I]
    if law == EXPONENTIAL:
        factor = exponential_of(cycle_luck(e, part, i, k, journal), 1.0)
    else:
        cv = c[cc + C_CYCLE_CV]
        factor = draw_lognormal(i[line + SEED], i[line + WORLD], e, CYCLE, part, 1.0, cv)
    f[e * E_FLOATS + MEAN_CYCLE_S] = f[e * E_FLOATS + CYCLE_S]
    f[e * E_FLOATS + CYCLE_S] *= factor
    f[e * E_FLOATS + CYCLE_KWH] *= factor


def to_failure_s(
    e: int, mode: int, count: int, f: Floats, i: Ints, c: Constants, k: Structure
) -> float:
    """Operating time to the next failure of one kind: exponential."""
    mean = c[e * EC + C_BETWEEN_S + mode]
    if mean <= 0.0:
        return FOREVER
    line = k[K_LINE_I]
    mean /= f[k[K_LINE_F] + FAILURE_RATE]
    return draw_exponential(
        i[line + SEED], i[line + WORLD], e, TIME_TO_FAILURE, 2 * count + mode, mean
    )


def repair_s(e: int, mode: int, count: int, i: Ints, c: Constants, k: Structure) -> float:
    """Time to repair: lognormal or exponential."""
    cc = e * EC
    line = k[K_LINE_I]
    seed, world, index = i[line + SEED], i[line + WORLD], 2 * count + mode
    mean = c[cc + C_REPAIR_S + mode]
    if c[cc + C_REPAIR_LAW + mode] == EXPONENTIAL:
        return draw_exponential(seed, world, e, REPAIR, index, mean)
    return draw_lognormal(seed, world, e, REPAIR, index, mean, c[cc + C_REPAIR_CV + mode])


def to_strike_s(e: int, count: int, f: Floats, i: Ints, c: Constants, k: Structure) -> float:
    """Calendar time from a repair to the next strike: exponential; never for most stations."""
    mean = c[e * EC + C_STRIKE_BETWEEN_S]
    if mean <= 0.0:
        return FOREVER
    line = k[K_LINE_I]
    return draw_exponential(i[line + SEED], i[line + WORLD], e, STRIKE, count, mean)


def strike_repair_s(e: int, count: int, i: Ints, c: Constants, k: Structure) -> float:
    """Time to repair after a strike: lognormal, exponential, or always the same."""
    cc, line = e * EC, k[K_LINE_I]
    seed, world, mean = i[line + SEED], i[line + WORLD], c[cc + C_STRIKE_REPAIR_S]
    if c[cc + C_STRIKE_REPAIR_LAW] == FIXED:
        return mean
    if c[cc + C_STRIKE_REPAIR_LAW] == EXPONENTIAL:
        return draw_exponential(seed, world, e, STRIKE_REPAIR, count, mean)
    return draw_lognormal(seed, world, e, STRIKE_REPAIR, count, mean, c[cc + C_STRIKE_REPAIR_CV])


def tool_factor(e: int, i: Ints, c: Constants, k: Structure) -> float:
    """How fast this edge wears against the mean edge: lognormal with mean one."""
    line = k[K_LINE_I]
    cv = c[e * EC + C_TOOL_LIFE_CV]
    if cv <= 0.0:
        return 1.0
    tools = i[e * E_INTS + TOOLS]
    return draw_lognormal(i[line + SEED], i[line + WORLD], e, TOOL_LIFE, tools, 1.0, cv)


def restart(
    e: int, new_part: bool, now: float, f: Floats, i: Ints, c: Constants, k: Structure
) -> None:
    """After a long rest, whatever its reason, the first parts are scrap; this may be one of them.

    The part that waited inside for a repair (not a ``new_part``) is the first of them.
    """
    b = e * E_INTS
    bad = k[ELEMENTS_K + e * EK + RESTART_SCRAP]
    long_s = c[e * EC + C_RESTART_AFTER_S]
    cold = bad > 0 and now - f[e * E_FLOATS + REST_SINCE_S] > long_s
    if cold:
        i[b + BAD_STARTS] = bad
    if i[b + BAD_STARTS] > 0 and (new_part or cold):
        i[b + BAD_STARTS] -= 1
        f[k[K_LINE_F] + EXPECTED_DEFECTS] += sound_inside(e, i, k)
        i[b + DEFECTIVE] = 1


def sound_inside(e: int, i: Ints, k: Structure) -> int:
    """Parts inside that nothing has spoilt yet, one or a batch."""
    b = e * E_INTS
    if i[b + IN_HAND] == 0:
        bad = i[k[K_PART_I] + i[b + SLOT] * P_INTS + PART_MARKS] & BAD
        return 0 if bad or i[b + DEFECTIVE] else 1
    sound = 0
    for n in range(i[b + IN_HAND]):
        one = k[K_PART_I] + i[k[ELEMENTS_K + e * EK + PLACES_I] + n] * P_INTS
        sound += 0 if i[one + PART_MARKS] & BAD else 1
    return sound
