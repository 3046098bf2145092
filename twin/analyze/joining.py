"""What a twin is put in step with: one observation, one state that it is written into, what was known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from twin.analyze.guess import STRANGER, Guess
from twin.cycle import Observation
from twin.line import schema as s
from twin.line.element_tags import ARRIVALS, COMPONENTS, REWORK
from twin.line.model import Line
from twin.state import LineState


class _Known(NamedTuple):
    """What the twin knows of a part by its own course.

    Whether it is spoilt is not among it: until somebody finds that, a part in the line counts as sound.
    """

    product: float
    material_kg: float
    arrives_s: float


@dataclass(slots=True)
class Joining:
    """One state on its way into step.

    ``inside`` is the part that the twin has in each element, 0 for none. Part records are filled anew from
    the first on: `used` of them so far. ``ticket`` keys the draws of what is neither told nor known.
    """

    line: Line
    seen: Observation
    state: LineState
    ticket: int
    guess: Guess
    known: dict[int, _Known]
    inside: list[int]
    marks: dict[int, int]
    used: int = field(default=0)

    @classmethod
    def of(cls, line: Line, seen: Observation, state: LineState, ticket: int) -> Joining:
        """Look at what the state holds before it is overwritten."""
        guess = Guess(line, seen, state, ticket)
        known, inside = _known(line, state), _inside(line, state)
        return cls(line, seen, state, ticket, guess, known, inside, _told_marks(seen, line, state))

    @property
    def now_s(self) -> float:
        """Plant time of the observation."""
        return self.seen.time_us / 1e6

    def told(self, name: str, own: float) -> float:
        """What the line tells, or the twin's own value where it tells nothing."""
        value = self.seen[name]
        return own if math.isnan(value) else value

    def place(self, part: int, product: float | None = None) -> int:
        """The record of a part of the line, filled with what is known of it.

        ``product`` is what it is taken for if it is new to the twin; else what enters the line now.
        """
        f, i, k = self.state.floats, self.state.ints, self.line.k
        slot, self.used = self.used, self.used + 1
        known = self.known.get(part)
        if known is None:
            fresh = self.product_now if product is None else product
            known = _Known(fresh, self._blank_kg(part), 0.0)
        at = k[s.K_PART_I] + slot * s.P_INTS
        i[at + s.PART_ID] = part
        i[at + s.PART_MARKS] = self.marks.get(part, 0)
        at = k[s.K_PART_F] + slot * s.P_FLOATS
        f[at + s.PRODUCT], f[at + s.PART_MATERIAL_KG] = known.product, known.material_kg
        f[at + s.PART_ENERGY_KWH], f[at + s.ARRIVES_S] = 0.0, known.arrives_s
        return slot

    @property
    def product_now(self) -> float:
        """What enters the line at present."""
        k = self.line.k
        mixed_by = k[s.ELEMENTS_K + s.MIXED_BY]
        return self.state.floats[k[s.K_DISTURBANCE_F] + mixed_by] if mixed_by >= 0 else 0.0

    def _blank_kg(self, part: int) -> float:
        if self.marks.get(part, 0) & s.COMPONENT and self.line.plant.supplies:
            return float(self.line.plant.supplies[0].component_kg)
        return self.state.floats[s.MATERIAL_KG]

    def free_the_rest(self) -> None:
        """Part records that were not filled hold nothing."""
        i, k = self.state.ints, self.line.k
        slots, used = k[s.K_SLOTS], self.used
        for slot in range(used, slots):
            i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID] = 0
        for n, slot in enumerate(range(slots - 1, used - 1, -1)):
            i[k[s.K_FREE_I] + n] = slot
        i[k[s.K_LINE_I] + s.FREE_SLOTS] = slots - used


def newest_part(seen: Observation) -> int:
    """The highest number of a part that the lists show."""
    lists = (parts for name, parts in seen.part_ids.items() if not name.endswith(ARRIVALS))
    return max((part for parts in lists for part in parts), default=0) % STRANGER


def _known(line: Line, state: LineState) -> dict[int, _Known]:
    """What the twin already knows of the parts in the line, by part number."""
    f, i, k, found = state.floats, state.ints, line.k, {}
    for slot in range(k[s.K_SLOTS]):
        at = k[s.K_PART_I] + slot * s.P_INTS
        part = i[at + s.PART_ID]
        if part and part < STRANGER:  # what a stranger is stays a guess
            at = k[s.K_PART_F] + slot * s.P_FLOATS
            product, material_kg = f[at + s.PRODUCT], f[at + s.PART_MATERIAL_KG]
            found[part] = _Known(product, material_kg, f[at + s.ARRIVES_S])
    return found


def _inside(line: Line, state: LineState) -> list[int]:
    i, k = state.ints, line.k
    slots = [i[e * s.E_INTS + s.SLOT] for e in range(len(line.elements))]
    return [i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID] if slot >= 0 else 0 for slot in slots]


def _told_marks(seen: Observation, line: Line, state: LineState) -> dict[int, int]:
    """By part, what is told of it: a component, sent back so often. Not told: as the twin has it."""
    i, k = state.ints, line.k
    own = {}
    for slot in range(k[s.K_SLOTS]):
        at = k[s.K_PART_I] + slot * s.P_INTS
        own[i[at + s.PART_ID]] = i[at + s.PART_MARKS] & ~s.BAD
    marks = {
        part: mark & s.COMPONENT for part, mark in own.items() if COMPONENTS not in seen.part_ids
    }
    for part in seen.part_ids.get(COMPONENTS, ()):
        marks[part] = s.COMPONENT
    if REWORK not in seen.part_ids:
        for part, mark in own.items():
            marks[part] = marks.get(part, 0) + mark // s.PASS * s.PASS
    for part in seen.part_ids.get(REWORK, ()):
        marks[part] = marks.get(part, 0) + s.PASS
    return marks
