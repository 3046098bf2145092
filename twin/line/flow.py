"""Parts in places: buffers, the list of free part records, and the queue of elements to look at.

Plain functions over the flat columns of ``twin.line.schema`` (``f i`` state, ``c k`` constants).
"""

from __future__ import annotations

from twin.line.hooks import Floats, Ints, Structure
from twin.line.schema import (
    B_INTS,
    BORN_S,
    E_INTS,
    FREE_SLOTS,
    GOOD,
    HEAD,
    K_BUFFER_I,
    K_BUFFER_K,
    K_ELEMENTS,
    K_FED_K,
    K_FREE_I,
    K_LINE_I,
    K_PART_F,
    K_PART_I,
    K_QUEUE_I,
    K_RING_I,
    LEVEL,
    LINE_SCRAPPED,
    NEXT_PART,
    P_FLOATS,
    P_INTS,
    PART_DEFECTIVE,
    PART_ENERGY_KWH,
    PART_ID,
    PRODUCT,
    QUEUE_HEAD,
    QUEUE_LENGTH,
    TOUCHED,
)


def touch(e: int, i: Ints, k: Structure) -> None:
    """Put an element at the end of the queue of those whose turn may have come."""
    at = e * E_INTS + TOUCHED
    if i[at] == 0:
        i[at] = 1
        line = k[K_LINE_I]
        end = (i[line + QUEUE_HEAD] + i[line + QUEUE_LENGTH]) % k[K_ELEMENTS]
        i[k[K_QUEUE_I] + end] = e
        i[line + QUEUE_LENGTH] += 1


def next_touched(i: Ints, k: Structure) -> int:
    """The element that has waited longest in that queue, or -1."""
    line = k[K_LINE_I]
    if i[line + QUEUE_LENGTH] == 0:
        return -1
    head = i[line + QUEUE_HEAD]
    e = i[k[K_QUEUE_I] + head]
    i[line + QUEUE_HEAD] = (head + 1) % k[K_ELEMENTS]
    i[line + QUEUE_LENGTH] -= 1
    i[e * E_INTS + TOUCHED] = 0
    return e


def level(buffer: int, i: Ints, k: Structure) -> int:
    """Parts in a buffer."""
    return i[k[K_BUFFER_I] + buffer * B_INTS + LEVEL]


def has_room(buffer: int, i: Ints, k: Structure) -> bool:
    """Whether one more part fits."""
    return i[k[K_BUFFER_I] + buffer * B_INTS + LEVEL] < k[k[K_BUFFER_K] + 2 * buffer]


def put(buffer: int, slot: int, i: Ints, k: Structure) -> None:
    """Add a part at the end; those that take from the buffer are looked at next."""
    at = k[K_BUFFER_I] + buffer * B_INTS
    capacity = k[k[K_BUFFER_K] + 2 * buffer]
    ring = k[K_RING_I] + k[k[K_BUFFER_K] + 2 * buffer + 1]
    i[ring + (i[at + HEAD] + i[at + LEVEL]) % capacity] = slot
    i[at + LEVEL] += 1
    _touch_side(buffer, 1, i, k)


def take(buffer: int, i: Ints, k: Structure) -> int:
    """Remove the oldest part; those that fill the buffer are looked at next."""
    at = k[K_BUFFER_I] + buffer * B_INTS
    capacity = k[k[K_BUFFER_K] + 2 * buffer]
    ring = k[K_RING_I] + k[k[K_BUFFER_K] + 2 * buffer + 1]
    slot = i[ring + i[at + HEAD]]
    i[at + HEAD] = (i[at + HEAD] + 1) % capacity
    i[at + LEVEL] -= 1
    _touch_side(buffer, 0, i, k)
    return slot


def _touch_side(buffer: int, side: int, i: Ints, k: Structure) -> None:
    """Touch the elements before (side 0) or behind (side 1) a buffer, in their order."""
    at = k[K_FED_K] + (2 * buffer + side) * (k[K_ELEMENTS] + 1)
    for n in range(k[at]):
        touch(k[at + 1 + n], i, k)


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
    return slot


def part_leaves(slot: int, scrapped: int, i: Ints, k: Structure) -> None:
    """A part leaves the line for good or as scrap; its slot is free again."""
    line = k[K_LINE_I]
    i[line + (LINE_SCRAPPED if scrapped else GOOD)] += 1
    i[k[K_PART_I] + slot * P_INTS + PART_ID] = 0
    i[k[K_FREE_I] + i[line + FREE_SLOTS]] = slot
    i[line + FREE_SLOTS] += 1
