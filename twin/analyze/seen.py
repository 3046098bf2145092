"""Which lines a twin can be put in step with by what they show, and which it cannot yet."""

from __future__ import annotations

from twin.config.plant import StationSpec
from twin.line import schema as s
from twin.line.model import Line


class UnseenError(ValueError):
    """A line with elements whose state no reading tells enough of; the message names them."""


def unseen(line: Line) -> list[str]:
    """Elements that would be put in step wrongly, by kind and name.

    A reading tells states, counters, parts in buffers and the part in hand. It does not tell when a
    component comes, how far a part has travelled on a belt, what else a batch holds, whom a station waits
    for, or anything of elements of other packages.
    """
    plant = line.plant
    found = [f"supply {supply.name}" for supply in plant.supplies]
    found += [f"belt {buffer.name}" for buffer in plant.buffers if buffer.transit_s > 0.0]
    found += [f"crew {crew.name}" for crew in plant.crews]
    found += [f"element {x.name}" for x in line.elements if x.kind == s.CUSTOM]
    return found + [f"station {st.name}" for st in plant.stations if _is_unseen(st)]


def refuse_unseen(line: Line) -> None:
    """Raise ``UnseenError`` for a line that has such elements."""
    told = ", ".join(unseen(line))
    if told:
        raise UnseenError(f"no twin can be put in step yet with what readings do not tell: {told}")


def _is_unseen(station: StationSpec) -> bool:
    """Batches, assemblies, disassemblies, and rework: what they hold and mark is not told."""
    return bool(
        station.batch is not None
        or station.also_takes
        or station.also_gives
        or station.inspection.rework_to is not None
    )
