"""Parts in places: buffers, the list of free part records, and the queue of elements to look at.

Plain functions over the flat columns of ``twin.line.schema`` (``f i`` state, ``c k`` constants).
"""

from __future__ import annotations

from twin.line.hooks import Floats, Ints, Structure
from twin.line.schema import (
    B_INTS,
    BLOCKED,
    BORN_S,
    E_INTS,
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
    LINE_SCRAP_KG,
    LINE_SCRAPPED,
    MATERIAL_KG,
    NEXT_PART,
    P_FLOATS,
    P_INTS,
    PART_DEFECTIVE,
    PART_ENERGY_KWH,
    PART_ID,
    PART_MATERIAL_KG,
    PRODUCT,
    QUEUE_HEAD,
    QUEUE_LENGTH,
    SLOT,
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
    """Parts in a buffer."""
    return i[k[K_BUFFER_I] + buffer * B_INTS + LEVEL]


def room(buffer: int, k: Structure) -> int:
    """Places of a buffer."""
    return k[k[K_BUFFER_K] + 2 * buffer]


def has_room(buffer: int, i: Ints, k: Structure) -> bool:
    """Whether one more part fits.

    Without places a part is handed over, and so needs a station that stands ready for it or has
    fallen asleep over the waiting (the part then wakes it).
    """
    waiting = i[k[K_BUFFER_I] + buffer * B_INTS + LEVEL]
    places = k[k[K_BUFFER_K] + 2 * buffer]
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


def put(buffer: int, slot: int, i: Ints, k: Structure) -> None:
    """Add a part at the end; those that wait for it are looked at next."""
    at = k[K_BUFFER_I] + buffer * B_INTS
    structure = k[K_BUFFER_K] + 2 * buffer
    ring = k[structure] if k[structure] > 0 else 1
    end = i[at + HEAD] + i[at + LEVEL]
    i[k[K_RING_I] + k[structure + 1] + (end if end < ring else end - ring)] = slot
    i[at + LEVEL] += 1
    at = k[K_FED_K] + (2 * buffer + 1) * (k[K_ELEMENTS] + 1)
    for n in range(k[at]):
        e = k[at + 1 + n]
        state = i[e * E_INTS + STATE]
        if state in (IDLE, STANDBY):
            touch(e, i, k)


def take(buffer: int, i: Ints, k: Structure) -> int:
    """Remove the oldest part; those that wait for its place are looked at next."""
    at = k[K_BUFFER_I] + buffer * B_INTS
    structure = k[K_BUFFER_K] + 2 * buffer
    ring = k[structure] if k[structure] > 0 else 1
    slot = i[k[K_RING_I] + k[structure + 1] + i[at + HEAD]]
    i[at + HEAD] = i[at + HEAD] + 1 if i[at + HEAD] + 1 < ring else 0
    i[at + LEVEL] -= 1
    room_came(buffer, i, k)
    return slot


def room_came(buffer: int, i: Ints, k: Structure) -> None:
    """Touch those before a buffer that may hold a part for it, in their order."""
    at = k[K_FED_K] + 2 * buffer * (k[K_ELEMENTS] + 1)
    for n in range(k[at]):
        e = k[at + 1 + n]
        state = i[e * E_INTS + STATE]
        if e == 0 or state in (BLOCKED, STANDBY):
            touch(e, i, k)


def new_part(now: float, product: float, f: Floats, i: Ints, k: Structure) -> int:
    """A blank enters the line: its record's slot."""
    line = k[K_LINE_I]
    i[line + FREE_SLOTS] -= 1
    slot = i[k[K_FREE_I] + i[line + FREE_SLOTS]]
    i[line + NEXT_PART] += 1
    at = k[K_PART_I] + slot * P_INTS
    i[at + PART_ID] = i[line + NEXT_PART]
    i[at + PART_DEFECTIVE] = 0
    at = k[K_PART_F] + slot * P_FLOATS
    f[at + PRODUCT] = product
    f[at + PART_ENERGY_KWH] = 0.0
    f[at + BORN_S] = now
    f[at + PART_MATERIAL_KG] = f[MATERIAL_KG]  # of the source: the blank
    return slot


def part_leaves(slot: int, scrapped: int, f: Floats, i: Ints, k: Structure) -> None:
    """A part leaves the line for good or as scrap, with all that it is made of; its slot is free."""
    line = k[K_LINE_I]
    if scrapped:
        f[k[K_LINE_F] + LINE_SCRAP_KG] += f[k[K_PART_F] + slot * P_FLOATS + PART_MATERIAL_KG]
    i[line + (LINE_SCRAPPED if scrapped else GOOD)] += 1
    i[k[K_PART_I] + slot * P_INTS + PART_ID] = 0
    i[k[K_FREE_I] + i[line + FREE_SLOTS]] = slot
    i[line + FREE_SLOTS] += 1
