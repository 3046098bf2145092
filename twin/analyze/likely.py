"""One of the lines that a plant may be: what its file leaves open and what is not learned yet, drawn.

What the twin has seen of a quantity says how far its factor may still be off. Of what it has never seen
(a station that has not waited yet, how often one breaks down) the plant file says in which range
the true value lies, and anything in it is as likely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from twin.analyze.offset import Offset
from twin.analyze.waiting import COLUMNS
from twin.config import Value
from twin.config.plant import StationSpec
from twin.kernels import draws
from twin.line import schema as s
from twin.line.model import Line


def likely_line(line: Line, offsets: Mapping[str, Offset], seed: int, world: int) -> Line:
    """The nominal ``line`` as it may be in one world, by the plant file's ranges and by ``offsets``."""
    c = list(line.c)
    for e, station in enumerate(line.plant.stations, start=1):
        luck = _Luck(seed, world, e)
        stated: dict[str, Value] = {
            "idle_kw": station.power.idle_kw,
            "standby_kw": station.power.standby_kw,
            "warm_up_s": station.warm_up_s,
        }
        for quantity, column in COLUMNS.items():
            offset = offsets.get(f"{station.name}.{quantity}")
            factor = luck.within(stated[quantity]) if offset is None else luck.about(offset)
            c[e * s.EC + column] *= factor
        _failures(e * s.EC, station, luck, c)
        _oven(line, e, station.name, offsets, luck, c)
    return replace(line, c=tuple(c))


def likely_lines(
    line: Line, offsets: Mapping[str, Offset], seed: int, number: int, first: int = 0
) -> list[Line]:
    """So many of them, for the what-if worlds from ``first`` on."""
    return [likely_line(line, offsets, seed, draws.WHAT_IF + first + n) for n in range(number)]


class _Luck:
    """Draws of one station in one world, in turn."""

    def __init__(self, seed: int, world: int, e: int) -> None:
        self._key, self._n = (seed, world, e), 0

    def within(self, stated: Value) -> float:
        """A factor on a value of the plant file: anywhere in its range, 1 without one."""
        self._n += 1
        if stated.range is None or not stated.value > 0.0:
            return 1.0
        lo, hi = stated.range
        return (lo + (hi - lo) * draws.uniform(*self._key, draws.FACTOR, self._n)) / stated.value

    def about(self, offset: Offset) -> float:
        """Something near what was learned."""
        self._n += 1
        luck = draws.normal(*self._key, draws.LEARNED, self._n)
        return offset.value + math.sqrt(offset.variance) * luck


def _failures(cc: int, station: StationSpec, luck: _Luck, c: list[float]) -> None:
    """How often a station fails and for how long; one that does not fail stays so."""
    modes = 0
    for failure in station.failures.values():
        between, repair = s.C_STRIKE_BETWEEN_S, s.C_STRIKE_REPAIR_S
        if failure.clock == "operating":
            between, repair = s.C_BETWEEN_S + modes, s.C_REPAIR_S + modes
            modes += 1
        c[cc + between] *= luck.within(failure.mean_between_s)
        c[cc + repair] *= luck.within(failure.mean_repair_s)


def _oven(
    line: Line,
    e: int,
    name: str,
    offsets: Mapping[str, Offset],
    luck: _Luck,
    c: list[float],
) -> None:
    """How well the air heats the parts, and by how much their cure differs from the model's."""
    heat, cured = offsets.get(f"{name}.heat_transfer"), offsets.get(f"{name}.exit_cured_min")
    model = line.elements[e].model
    if heat is None or cured is None or model is None:
        return
    p_c = line.k[s.ELEMENTS_K + e * s.EK + s.P_C]
    at = {q.name: p_c + n for n, q in enumerate(model.parameters)}
    c[at["heat_transfer_w_per_m2_k"]] *= luck.about(heat)
    # A part that cures more than the model says reaches both its limits sooner.
    more_min = luck.about(cured)
    c[at["cured_least_min"]] -= more_min
    c[at["cured_most_min"]] -= more_min
