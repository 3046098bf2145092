"""What a twin is put in step with: one observation, one state that it is written into, what was known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from twin.analyze.guess import STRANGER, Guess
from twin.cycle import Observation
from twin.line import schema as s
from twin.line.element_tags import ARRIVALS, COMPONENTS, REWORK, has_components, has_rework
from twin.line.masses import usual_masses_kg
from twin.line.model import Line
from twin.line.tags import is_unbegun
from twin.state import LineState


class _Known(NamedTuple):
    """What the twin knows of a part by its own course.

    Whether it is spoilt is not among it: until somebody finds that, a part in the line counts as sound.
    """

    product: float
    material_kg: float
    arrives_s: float


class Held(NamedTuple):
    """What the twin has in an element: parts by number, and whether it has begun to work on them."""

    parts: tuple[int, ...]
    begun: bool


@dataclass(slots=True)
class Joining:
    """One state on its way into step.

    ``held`` is what the twin has in each element. Part records are filled anew from the first on: ``used``
    of them so far. ``ticket`` keys the draws of what is neither told nor known.
    """

    line: Line
    seen: Observation
    state: LineState
    ticket: int
    guess: Guess
    known: dict[int, _Known]
    held: list[Held]
    marks: dict[int, int]
    used: int = 0
    _masses_kg: dict[str, float] = field(default_factory=dict)
    """Of parts that are new to the twin; worked out for the first of them."""

    @classmethod
    def of(cls, line: Line, seen: Observation, state: LineState, ticket: int) -> Joining:
        """Look at what the state holds before it is overwritten."""
        guess = Guess(line, state, ticket)
        known, held = _known(line, state), _held(line, state)
        return cls(line, seen, state, ticket, guess, known, held, _told_marks(seen, line, state))

    @property
    def now_s(self) -> float:
        """Plant time of the observation."""
        return self.seen.time_us / 1e6

    def told(self, name: str, own: float) -> float:
        """What the line tells, or the twin's own value where it tells nothing."""
        value = self.seen[name]
        return own if math.isnan(value) else value

    def parts(self, name: str, most: int, count: str) -> tuple[int, ...] | None:
        """The parts that a list tells; None if there is none, or it is not to be believed.

        That is, if it is longer than there is room, has other entries than its ``count`` says, or the same
        part twice, or none by that number.
        """
        listed = self.seen.part_ids.get(name)
        if listed is None or len(listed) > most or len(set(listed)) < len(listed):
            return None
        if self.told(count, len(listed)) != len(listed):
            return None
        return listed if all(0 < part < STRANGER for part in listed) else None

    def place(self, part: int, where: str, product: float | None = None) -> int:
        """The record of a part of the line, filled with what is known of it.

        One that is new to the twin weighs what is usual ``where`` it is, a buffer, station or element, and is
        taken for ``product``; without that, for what enters the line now.
        """
        f, i, k = self.state.floats, self.state.ints, self.line.k
        slot, self.used = self.used, self.used + 1
        known = self.known.get(part)
        if known is None:
            fresh = self.product_now if product is None else product
            known = _Known(fresh, self._usual_kg(where), 0.0)
        at = k[s.K_PART_I] + slot * s.P_INTS
        i[at + s.PART_ID] = part
        i[at + s.PART_MARKS] = self.marks.get(part, 0)
        at = k[s.K_PART_F] + slot * s.P_FLOATS
        f[at + s.PRODUCT], f[at + s.PART_MATERIAL_KG] = known.product, known.material_kg
        f[at + s.PART_ENERGY_KWH], f[at + s.ARRIVES_S] = 0.0, known.arrives_s
        return slot

    def _usual_kg(self, where: str) -> float:
        if not self._masses_kg:
            self._masses_kg = usual_masses_kg(self.line.plant)
        return self._masses_kg.get(where, self.state.floats[s.MATERIAL_KG])

    @property
    def product_now(self) -> float:
        """What enters the line at present."""
        k = self.line.k
        mixed_by = k[s.ELEMENTS_K + s.MIXED_BY]
        return self.state.floats[k[s.K_DISTURBANCE_F] + mixed_by] if mixed_by >= 0 else 0.0

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
        part = i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
        if part and part < STRANGER:  # what a stranger is stays a guess
            at = k[s.K_PART_F] + slot * s.P_FLOATS
            product, material_kg = f[at + s.PRODUCT], f[at + s.PART_MATERIAL_KG]
            found[part] = _Known(product, material_kg, f[at + s.ARRIVES_S])
    return found


def _held(line: Line, state: LineState) -> list[Held]:
    f, i, k, found = state.floats, state.ints, line.k, []
    for e in range(len(line.elements)):
        b, ek = e * s.E_INTS, s.ELEMENTS_K + e * s.EK
        slots = [i[b + s.SLOT]] if i[b + s.SLOT] >= 0 else []
        if slots and k[ek + s.BATCH] > 1 and k[ek] == s.STATION:
            slots = i[k[ek + s.PLACES_I] : k[ek + s.PLACES_I] + i[b + s.IN_HAND]]
        parts = tuple(i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID] for slot in slots)
        begun = not is_unbegun(i[b + s.STATE], f[e * s.E_FLOATS + s.WORK_LEFT_S])
        found.append(Held(parts, bool(parts) and begun))
    return found


def _told_marks(seen: Observation, line: Line, state: LineState) -> dict[int, int]:
    """By part, what is told of it: a component, sent back so often. Not told: as the twin has it."""
    if not (has_components(line) or has_rework(line)):
        return {}
    i, k = state.ints, line.k
    own = {}
    for slot in range(k[s.K_SLOTS]):
        at = k[s.K_PART_I] + slot * s.P_INTS
        own[i[at + s.PART_ID]] = i[at + s.PART_MARKS] & ~s.BAD
    lists = seen.part_ids
    marks = {part: mark & s.COMPONENT for part, mark in own.items() if COMPONENTS not in lists}
    for part in lists.get(COMPONENTS, ()):
        marks[part] = s.COMPONENT
    if REWORK not in lists:
        for part, mark in own.items():
            marks[part] = marks.get(part, 0) + mark // s.PASS * s.PASS
    for part in lists.get(REWORK, ()):
        marks[part] = marks.get(part, 0) + s.PASS
    return marks
