"""What a station takes to begin with: the next part by its rule, a batch of them, components.

Plain functions over the flat columns of ``twin.line.schema``, see ``twin.line.transitions``.
"""

from __future__ import annotations

from twin.line.flow import absorb, level, nth, take, take_nth
from twin.line.hooks import Floats, Ints, Structure
from twin.line.schema import (
    ALSO_TAKES_K,
    AT_LEAST,
    BATCH,
    E_FLOATS,
    E_INTS,
    EK,
    ELEMENTS_K,
    IN_HAND,
    K_PART_F,
    LIFO,
    P_FLOATS,
    PICKS,
    PLACES_I,
    PRODUCT,
    SAME_PRODUCT,
    SET_UP_FOR,
    SLOT,
    TAKES_FROM,
)


def has_work(e: int, i: Ints, k: Structure) -> bool:
    """Whether all that the station needs to begin lies before it."""
    ek = ELEMENTS_K + e * EK
    if level(k[ek + TAKES_FROM], i, k) < k[ek + AT_LEAST]:
        return False
    also = k[ek + ALSO_TAKES_K]
    if also > 0:
        for n in range(k[also]):
            if level(k[also + 1 + 2 * n], i, k) < k[also + 2 + 2 * n]:
                return False
    return True


def fetch(e: int, f: Floats, i: Ints, k: Structure) -> None:
    """Take the part, or as many as make a batch, and the components that go into it."""
    b = e * E_INTS
    ek = ELEMENTS_K + e * EK
    i[b + SLOT] = pick(e, f[e * E_FLOATS + SET_UP_FOR], f, i, k)
    if k[ek + BATCH] > 1:
        i[k[ek + PLACES_I]] = i[b + SLOT]
        i[b + IN_HAND] = 1
        product = f[k[K_PART_F] + i[b + SLOT] * P_FLOATS + PRODUCT]
        while i[b + IN_HAND] < k[ek + BATCH] and level(k[ek + TAKES_FROM], i, k) > 0:
            i[k[ek + PLACES_I] + i[b + IN_HAND]] = pick(e, product, f, i, k)
            i[b + IN_HAND] += 1
    also = k[ek + ALSO_TAKES_K]
    if also > 0:
        for n in range(k[also]):
            for _ in range(k[also + 2 + 2 * n]):
                absorb(take(k[also + 1 + 2 * n], i, k), i[b + SLOT], f, i, k)


def pick(e: int, wanted: float, f: Floats, i: Ints, k: Structure) -> int:
    """The next part by the station's rule; ``wanted`` is the product that needs no setup."""
    ek = ELEMENTS_K + e * EK
    buffer = k[ek + TAKES_FROM]
    rule = k[ek + PICKS]
    if rule == LIFO:
        return take_nth(buffer, level(buffer, i, k) - 1, i, k)
    if rule == SAME_PRODUCT:
        for n in range(level(buffer, i, k)):
            if f[k[K_PART_F] + nth(buffer, n, i, k) * P_FLOATS + PRODUCT] == wanted:
                return take_nth(buffer, n, i, k)
    return take(buffer, i, k)
