"""The observation of a policy at run time: from what the loop has read, to the numbers that it was trained on.

Bit for bit what the environments show. A policy notes every turn in which the line is seen, and observes when it
is to decide: at each whole multiple of its decision period.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from controllers.env.layout import layout_of, unclipped, units_of
from controllers.env.schema import (
    PRICE,
    Field,
    action_signals,
    decision_s_of,
    product_of,
    schema_of,
)
from controllers.env.worlds import PriceAhead
from twin.cycle import Observation
from twin.kernels.observation import asked, pack
from twin.line import batch as records
from twin.line.model import Line
from twin.line.tags import line_signals
from twin.signals import UNUSABLE, Quality

_LINE = ("ordered_count", "good_count", "scrap_count", "wip", "last_release_s")
_ON_CONVEYOR = (records.CARRIERS, records.MOST_PRODUCT)
_REMEMBERED = 10_000
"""Parts whose product is remembered, those seen last: more than a line holds."""
_NOT_OF_NOW = int(UNUSABLE | Quality.JUMP)
"""Bits of a value that is carried over from an earlier moment, or is none."""


class Observer:
    """What a policy on ``line`` (the nominal one) sees; remembers last good measurements and their times."""

    def __init__(self, line: Line, decision_s: float | None = None) -> None:
        decision_s = decision_s_of(line.plant) if decision_s is None else decision_s
        self.schema = schema_of(line, decision_s)
        self._layout = layout_of(line, self.schema, decision_s, 0.0)
        self._price = PriceAhead(line.plant)
        self._names = [f"line.{name}" for name in _LINE]
        self._names += [f"{name}.level" for name in line.buffers]
        for station in line.stations:
            self._names += [f"{station.name}.state", f"{station.name}.state_since_s"]
        view, mvs = self._layout.view, [signal.name for signal in action_signals(line)]
        self._measured = _measured(self.schema.observation, view)
        places = view.places.tolist()
        self._rest: list[tuple[int, str | int]] = []
        self._inside = [slice(*ends) for ends in zip(view.first, view.last, strict=True)]
        for kind, at in zip(view.kinds.tolist(), places, strict=True):
            name: str | int = at
            if kind in _ON_CONVEYOR:
                name = line.elements[at].name
            elif kind == records.DISTURBANCE:
                name = f"env.{line.disturbances[at]}"
            elif kind == records.ACTIVE:
                name = mvs[at]
            self._rest.append((kind, name))
        read = [at for kind, at in self._rest if isinstance(at, str) and kind not in _ON_CONVEYOR]
        self.needed = (*self._names, *read)
        """Signals that have to be known for there to be an observation."""
        self._critical = [n for n, signal in enumerate(line_signals(line)) if signal.critical]
        self._seen = self._layout.instruments.expected.copy()
        self._seen_s = np.full(self._seen.shape, records.NEVER_SEEN_S)
        product = product_of(line.plant)
        self._product = f"env.{product}" if product else ""
        self._stations = tuple(station.name for station in line.stations)
        self._holders = (*line.buffers, *self._stations)
        self._products: dict[int, float] = {}
        self._decision_s = decision_s
        self._products_s = 0.0  # when plant time begins the line is empty, so nothing is missed
        self._released = 0.0

    def note(self, observation: Observation) -> None:
        """What is measured now is known from now on; nothing is, without a critical input. Twice is no harm."""
        if (observation.quality[self._critical] & int(UNUSABLE)).any():
            return
        for n, name in enumerate(self._measured):
            at = observation.index[name]
            if observation.quality[at] & _NOT_OF_NOW == 0:
                self._seen[n] = observation.values[at]
                self._seen_s[n] = observation.time_us / 1e6
        if self._product:
            self._note_products(observation)

    def _note_products(self, observation: Observation) -> None:
        """As ``twin.line.meters.note_products`` has it; where the product of now is not known, a turn later.

        What was hung on while nobody looked is of a product that is not known. After a restart of the PLC other
        parts have the numbers of those before.
        """
        released = observation["line.released_count"]
        if released < self._released:
            self._products.clear()
        self._released = self._released if math.isnan(released) else released
        now, now_s, known = observation[self._product], observation.time_us / 1e6, self._products
        if math.isnan(now):
            return
        inside = [part for at in self._holders for part in observation.part_ids.get(at, ())]
        for station in self._stations:
            part = observation[f"{station}.part_id"]
            inside.append(0 if math.isnan(part) else int(part))
        new = now if now_s - self._products_s <= self._decision_s else math.nan
        for part in inside:
            if part > 0:
                known[part] = known.pop(part, new)  # the last seen are the last in it
        while len(known) > _REMEMBERED:
            del known[next(iter(known))]
        self._products_s = now_s

    def observe(self, observation: Observation, previous: Sequence[float]) -> NDArray[np.float32]:
        """The observation at this moment; ``previous`` are the setpoints last asked for, engineering units."""
        common, view = self._layout.common, self._layout.view
        out: NDArray[np.float32] = np.empty((1, len(self.schema.observation)), dtype=np.float32)
        pack(
            self._shown(observation, previous), common.buffers, common.stations, common.shift_s,
            view.lo, view.hi, out,
        )  # fmt: skip
        return out.reshape(-1)

    def in_units(self, observation: Observation, previous: Sequence[float]) -> NDArray[np.float64]:
        """The same in engineering units, and not stopped by declared limits; NaN for what is not known."""
        found: NDArray[np.float64] = units_of(self._layout, self._shown(observation, previous))[0]
        return found

    def unclipped(self, observation: Observation, previous: Sequence[float]) -> NDArray[np.float32]:
        """What `observe` gives, not stopped at -1 and 1."""
        found: NDArray[np.float32] = unclipped(self._layout, self._shown(observation, previous))[0]
        return found

    def _shown(self, observation: Observation, previous: Sequence[float]) -> NDArray[np.float64]:
        """What the PLC shows at this moment, one row, in the order of ``twin.kernels.observation``."""
        now_s = observation.time_us / 1e6
        shown = [now_s, *(observation[name] for name in self._names)]
        ahead = self._ahead(observation, now_s)
        for (kind, at), places in zip(self._rest, self._inside, strict=True):
            if isinstance(at, str):
                if kind in _ON_CONVEYOR:
                    shown.append(self._on_conveyor(observation, kind, at, places))
                else:
                    shown.append(observation[at])
            elif kind == records.SEEN:
                shown.append(self._seen[at])
            elif kind == records.AGE:
                shown.append(now_s - self._seen_s[at])
            else:
                shown.append(ahead[at] if kind == records.FORECAST else previous[at])
        return np.array([shown])

    def _on_conveyor(self, observation: Observation, kind: int, name: str, at: slice) -> float:
        """How many parts are in these places, or the greatest product among them."""
        parts = observation.part_ids.get(name)
        if parts is None:  # a foreign PLC may not list them
            return math.nan
        inside = [part for part in parts[at] if part]
        if kind == records.CARRIERS:
            return float(len(inside))
        return float(np.max([0.0, *(self._products.get(part, math.nan) for part in inside)]))

    def asked(self, action: Sequence[float]) -> list[float]:
        """What numbers between -1 and 1 ask for, in engineering units and the order of the schema."""
        pairs = zip(action, self.schema.action, strict=True)
        return [asked(float(share), field.lo, field.hi) for share, field in pairs]

    def setpoints(self, action: Sequence[float]) -> Mapping[str, float]:
        """The same by name; a standby of one half or less is none (the guard rounds)."""
        values = self.asked(action)
        return {field.name: x for field, x in zip(self.schema.action, values, strict=True)}

    def _ahead(self, observation: Observation, now_s: float) -> tuple[float, float]:
        if f"env.{PRICE}" not in observation.index:
            return 0.0, 0.0
        return self._price.ahead(observation[f"env.{PRICE}"], now_s)


def _measured(fields: Sequence[Field], view: records.View) -> list[str]:
    """The signals behind the instruments, in their order."""
    first = len(fields) - view.kinds.size
    found = {}
    for n, (kind, at) in enumerate(zip(view.kinds.tolist(), view.places.tolist(), strict=True)):
        if kind == records.SEEN:
            found[at] = fields[first + n].name
    return [found[n] for n in range(len(found))]
