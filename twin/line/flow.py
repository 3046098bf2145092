"""Parts in places: buffers, the list of free part records, and the queue of elements to look at.

Plain functions over the flat columns of ``twin.line.schema`` (``f i`` state, ``c k`` constants).
"""

from __future__ import annotations

from twin.line.hooks import Constants, Floats, Ints, Structure
from twin.line.schema import (
    ARRIVES_S,
    B_INTS,
    BAD,
    BELT_AT,
    BK,
    BLOCKED,
    C_TRANSIT_S,
    COMPONENT,
    CUSTOM,
    E_INTS,
    EC,
    EK,
    ELEMENTS_K,
    FIRST,
    FREE_SLOTS,
    GOOD,
    HEAD,
    IDLE,
    K_BUFFER_I,
    K_BUFFER_K,
    K_ELEMENTS,
    K_FED_K,
    K_FREE_I,
    K_LINE_F,
    K_LINE_I,
    K_PART_F,
    K_PART_I,
    K_QUEUE_I,
    K_RING_I,
    LEVEL,
    LINE_OUT_KG,
    LINE_SCRAP_KG,
    LINE_SCRAPPED,
    NEXT_PART,
    ON_BELT,
    P_FLOATS,
    P_INTS,
    PART_ENERGY_KWH,
    PART_ID,
    PART_MARKS,
    PART_MATERIAL_KG,
    PRODUCT,
    QUEUE_HEAD,
    QUEUE_LENGTH,
    SLOT,
    SOURCE,
    STANDBY,
    STANDBY_ASKED,
    STATE,
    TOUCHED,
)


def touch(e: int, i: Ints, k: Structure) -> None:
    """Put an element at the end of the queue of those whose turn may have come."""
    at = e * E_INTS + TOUCHED
    if i[at] == 0:
        i[at] = 1
        line = k[K_LINE_I]
        end = i[line + QUEUE_HEAD] + i[line + QUEUE_LENGTH]
        if end >= k[K_ELEMENTS]:
            end -= k[K_ELEMENTS]
        i[k[K_QUEUE_I] + end] = e
        i[line + QUEUE_LENGTH] += 1


def next_touched(i: Ints, k: Structure) -> int:
    """The element that has waited longest in that queue, or -1."""
    line = k[K_LINE_I]
    if i[line + QUEUE_LENGTH] == 0:
        return -1
    head = i[line + QUEUE_HEAD]
    e = i[k[K_QUEUE_I] + head]
    i[line + QUEUE_HEAD] = head + 1 if head + 1 < k[K_ELEMENTS] else 0
    i[line + QUEUE_LENGTH] -= 1
    i[e * E_INTS + TOUCHED] = 0
    return e


def level(buffer: int, i: Ints, k: Structure) -> int:
    """Parts in a buffer that can be taken: those still on its belt are on their way."""
    at = k[K_BUFFER_I] + buffer * B_INTS
    return i[at + LEVEL] - i[at + ON_BELT]


def room(buffer: int, k: Structure) -> int:
    """Places of a buffer."""
    return k[k[K_BUFFER_K] + BK * buffer]


def has_room(buffer: int, i: Ints, k: Structure) -> bool:
    """Whether one more part fits.

    Without places a part is handed over, and so needs a station that stands ready for it or has
    fallen asleep over the waiting (the part then wakes it).
    """
    waiting = i[k[K_BUFFER_I] + buffer * B_INTS + LEVEL]
    places = k[k[K_BUFFER_K] + BK * buffer]
    if places > 0:
        return waiting < places
    if waiting > 0:
        return False
    at = k[K_FED_K] + (2 * buffer + 1) * (k[K_ELEMENTS] + 1)
    for n in range(k[at]):
        b = k[at + 1 + n] * E_INTS
        ready = i[b + STATE] == IDLE or i[b + STATE] == STANDBY
        if ready and i[b + SLOT] < 0 and not i[b + STANDBY_ASKED]:
            return True
    return False


def put(buffer: int, slot: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure) -> None:
    """Add a part at the end; those that wait for it are looked at next.

    Where a belt lies in the buffer, the part has to travel first, and only the belt is looked at.
    """
    at = k[K_BUFFER_I] + buffer * B_INTS
    structure = k[K_BUFFER_K] + BK * buffer
    ring = k[structure] if k[structure] > 0 else 1
    end = i[at + HEAD] + i[at + LEVEL]
    i[k[K_RING_I] + k[structure + FIRST] + (end if end < ring else end - ring)] = slot
    i[at + LEVEL] += 1
    belt = k[structure + BELT_AT]
    if belt > 0:
        i[at + ON_BELT] += 1
        f[k[K_PART_F] + slot * P_FLOATS + ARRIVES_S] = now + c[belt * EC + C_TRANSIT_S]
        touch(belt, i, k)
    else:
        part_came(buffer, i, k)


def part_came(buffer: int, i: Ints, k: Structure) -> None:
    """Touch those behind a buffer that may wait for a part, in their order."""
    at = k[K_FED_K] + (2 * buffer + 1) * (k[K_ELEMENTS] + 1)
    for n in range(k[at]):
        e = k[at + 1 + n]
        state = i[e * E_INTS + STATE]
        if state in (IDLE, STANDBY) or k[ELEMENTS_K + e * EK] == CUSTOM:
            touch(e, i, k)


def take(buffer: int, i: Ints, k: Structure) -> int:
    """Remove the oldest part; those that wait for its place are looked at next."""
    at = k[K_BUFFER_I] + buffer * B_INTS
    structure = k[K_BUFFER_K] + BK * buffer
    ring = k[structure] if k[structure] > 0 else 1
    slot = i[k[K_RING_I] + k[structure + FIRST] + i[at + HEAD]]
    i[at + HEAD] = i[at + HEAD] + 1 if i[at + HEAD] + 1 < ring else 0
    i[at + LEVEL] -= 1
    room_came(buffer, i, k)
    return slot


def take_nth(buffer: int, n: int, i: Ints, k: Structure) -> int:
    """Remove the n-th oldest part; the older ones move up behind it."""
    at = k[K_BUFFER_I] + buffer * B_INTS
    structure = k[K_BUFFER_K] + BK * buffer
    ring = k[structure] if k[structure] > 0 else 1
    first = k[K_RING_I] + k[structure + FIRST]
    slot = i[first + (i[at + HEAD] + n) % ring]
    for place in range(n, 0, -1):
        i[first + (i[at + HEAD] + place) % ring] = i[first + (i[at + HEAD] + place - 1) % ring]
    i[first + i[at + HEAD]] = slot
    return take(buffer, i, k)


def nth(buffer: int, n: int, i: Ints, k: Structure) -> int:
    """The slot of the n-th oldest part of a buffer, which stays where it is."""
    at = k[K_BUFFER_I] + buffer * B_INTS
    structure = k[K_BUFFER_K] + BK * buffer
    ring = k[structure] if k[structure] > 0 else 1
    return i[k[K_RING_I] + k[structure + FIRST] + (i[at + HEAD] + n) % ring]


def room_came(buffer: int, i: Ints, k: Structure) -> None:
    """Touch those before a buffer that may hold a part for it, in their order."""
    at = k[K_FED_K] + 2 * buffer * (k[K_ELEMENTS] + 1)
    for n in range(k[at]):
        e = k[at + 1 + n]
        state = i[e * E_INTS + STATE]
        kind = k[ELEMENTS_K + e * EK]
        if state in (BLOCKED, STANDBY) or kind in (SOURCE, CUSTOM):
            touch(e, i, k)


def new_part(product: float, material_kg: float, f: Floats, i: Ints, k: Structure) -> int:
    """A blank or a component enters the line: its record's slot."""
    line = k[K_LINE_I]
    i[line + FREE_SLOTS] -= 1
    slot = i[k[K_FREE_I] + i[line + FREE_SLOTS]]
    i[line + NEXT_PART] += 1
    at = k[K_PART_I] + slot * P_INTS
    i[at + PART_ID] = i[line + NEXT_PART]
    i[at + PART_MARKS] = 0
    at = k[K_PART_F] + slot * P_FLOATS
    f[at + PRODUCT] = product
    f[at + PART_ENERGY_KWH] = 0.0
    f[at + PART_MATERIAL_KG] = material_kg
    return slot


def part_leaves(slot: int, scrapped: int, f: Floats, i: Ints, k: Structure) -> None:
    """A part leaves the line for good or as scrap, with all that it is made of; its slot is free.

    Components are nobody's order and are not counted; their mass is.
    """
    line = k[K_LINE_I]
    part = k[K_PART_I] + slot * P_INTS
    mass_kg = f[k[K_PART_F] + slot * P_FLOATS + PART_MATERIAL_KG]
    f[k[K_LINE_F] + (LINE_SCRAP_KG if scrapped else LINE_OUT_KG)] += mass_kg
    if not i[part + PART_MARKS] & COMPONENT:
        i[line + (LINE_SCRAPPED if scrapped else GOOD)] += 1
    free(slot, i, k)


def absorb(slot: int, into: int, f: Floats, i: Ints, k: Structure) -> None:
    """A component becomes part of another part: its mass, its energy and its faults go with it."""
    line_p, line_i = k[K_PART_F], k[K_PART_I]
    for column in (PART_ENERGY_KWH, PART_MATERIAL_KG):
        f[line_p + into * P_FLOATS + column] += f[line_p + slot * P_FLOATS + column]
    i[line_i + into * P_INTS + PART_MARKS] |= i[line_i + slot * P_INTS + PART_MARKS] & BAD
    free(slot, i, k)


def free(slot: int, i: Ints, k: Structure) -> None:
    """The record of a part that is no more can be used again."""
    line = k[K_LINE_I]
    i[k[K_PART_I] + slot * P_INTS + PART_ID] = 0
    i[k[K_FREE_I] + i[line + FREE_SLOTS]] = slot
    i[line + FREE_SLOTS] += 1
