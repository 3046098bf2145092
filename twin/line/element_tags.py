"""Tags that only some lines have: of people, belts, batches, components, rework, setups, services.

They tell what a twin must know to come to such a line in its middle. Each is declared together with how
it is read from a state. A list of whole numbers stands beside the count of its entries: `LISTS` says where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from twin.line import schema as s
from twin.line.columns import customs
from twin.line.custom import LIST_COUNTS
from twin.line.flow import nth
from twin.line.model import Line
from twin.signals import Limits, Role, Signal
from twin.state import LineState

COMPONENTS, REWORK = "line.components", "line.rework"
"""Lists of parts: those that nobody has ordered, and those sent back, as often as they were."""
ARRIVALS = ".arrivals_us"
"""End of a list's name: when the parts still on a belt reach its end, plant time in microseconds."""

_ENDS = (
    (".components", "ComponentIds"),
    (".rework", "ReworkIds"),
    (ARRIVALS, "ArrivalsUs"),
    ("", "PartIds"),
)
LISTS = dict(zip(LIST_COUNTS, _ENDS, strict=True))
"""By the end of a count's name: the end of its list's name, and the leaf of the list's node."""


MOST = 2.0**31
"""Beyond any count, and any time in seconds."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A signal, and its true value in a state."""

    signal: Signal
    read: Callable[[LineState], float]


def element_tags(line: Line) -> list[Tag]:
    """The tags of one line beyond those that every line has, in a fixed order."""
    return [*_of_line(line), *_of_belts(line), *_of_stations(line), *_of_others(line)]


def has_components(line: Line) -> bool:
    """Whether there are parts in the line that are nobody's order."""
    return bool(line.plant.supplies) or any(st.also_gives for st in line.plant.stations)


def has_rework(line: Line) -> bool:
    """Whether parts may be sent back."""
    return any(st.inspection.rework_to is not None for st in line.plant.stations)


def _tag(
    name: str,
    unit: str,
    node: str,
    read: Callable[[LineState], float],
    most: float = MOST,
    least: float = 0.0,
) -> Tag:
    """``least`` and ``most``: what lies outside is not to be believed."""
    return Tag(Signal(name, unit, Role.PV, node, validity=Limits(least, most)), read)


def _float(at: int) -> Callable[[LineState], float]:
    return lambda state: state.floats[at]


def _int(at: int) -> Callable[[LineState], float]:
    return lambda state: state.ints[at]


# --- parts ----------------------------------------------------------------------------------------


def components(line: Line, state: LineState) -> tuple[int, ...]:
    """The numbers of the parts in the line that nobody has ordered, in rising order."""
    return tuple(part for part, marks in _parts(line, state) if marks & s.COMPONENT)


def reworked(line: Line, state: LineState) -> tuple[int, ...]:
    """The numbers of the parts in the line that were sent back, each as often as it was."""
    return tuple(
        part for part, marks in _parts(line, state) for _ in range(marks // s.PASS) if part
    )


def arrivals_us(line: Line, buffer: int, state: LineState) -> tuple[int, ...]:
    """When the parts on a belt reach its end, the foremost first."""
    f, i, k = state.floats, state.ints, line.k
    at = k[s.K_BUFFER_I] + buffer * s.B_INTS
    level = i[at + s.LEVEL]
    slots = [nth(buffer, n, i, k) for n in range(level - i[at + s.ON_BELT], level)]
    return tuple(round(f[k[s.K_PART_F] + n * s.P_FLOATS + s.ARRIVES_S] * 1e6) for n in slots)


def in_hand(line: Line, e: int, state: LineState) -> tuple[int, ...]:
    """The parts of the batch inside a station, the first to be let go first."""
    i, k = state.ints, line.k
    first = k[s.ELEMENTS_K + e * s.EK + s.PLACES_I]
    slots = i[first : first + i[e * s.E_INTS + s.IN_HAND]]
    return tuple(i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID] for slot in slots)


def _parts(line: Line, state: LineState) -> list[tuple[int, int]]:
    i, k = state.ints, line.k
    at = range(k[s.K_PART_I], k[s.K_PART_I] + k[s.K_SLOTS] * s.P_INTS, s.P_INTS)
    return sorted((i[n + s.PART_ID], i[n + s.PART_MARKS]) for n in at if i[n + s.PART_ID])


def element_lists(line: Line) -> dict[str, Callable[[LineState], tuple[int, ...]]]:
    """How each list of one line beyond the parts in buffers is read from a state."""
    found: dict[str, Callable[[LineState], tuple[int, ...]]] = {}
    if has_components(line):
        found[COMPONENTS] = partial(components, line)
    if has_rework(line):
        found[REWORK] = partial(reworked, line)
    for b, buffer in enumerate(line.plant.buffers):
        if buffer.transit_s > 0.0:
            found[buffer.name + ARRIVALS] = partial(arrivals_us, line, b)
    for e, station in enumerate(line.plant.stations, start=1):
        if station.batch is not None:
            found[station.name] = partial(in_hand, line, e)
    return found


# --- the tags -------------------------------------------------------------------------------------


def _of_line(line: Line) -> Iterator[Tag]:
    if has_components(line):
        node = "Line/ComponentCount"
        yield _tag("line.component_count", "1", node, lambda state: len(components(line, state)))
        at = line.k[s.K_LINE_I] + s.NEXT_PART
        yield _tag("line.newest_part_id", "1", "Line/NewestPartId", _int(at))
    if has_rework(line):
        node = "Line/ReworkCount"
        yield _tag("line.rework_count", "1", node, lambda state: len(reworked(line, state)))


def _of_belts(line: Line) -> Iterator[Tag]:
    for b, buffer in enumerate(line.plant.buffers):
        if buffer.transit_s > 0.0:
            at = line.k[s.K_BUFFER_I] + b * s.B_INTS + s.ON_BELT
            node = f"Buffers/{buffer.name}/OnBeltCount"
            yield _tag(f"{buffer.name}.on_belt_count", "1", node, _int(at))


def _of_stations(line: Line) -> Iterator[Tag]:
    crews = [line.element(crew.name) for crew in line.plant.crews]
    for e, station in enumerate(line.plant.stations, start=1):
        name, a, b = station.name, e * s.E_FLOATS, e * s.E_INTS
        status, admin = f"Stations/{name}/Status", f"Stations/{name}/Admin"
        if station.batch is not None:
            yield _tag(
                f"{name}.in_hand_count",
                "1",
                f"{status}/InHandCount",
                _int(b + s.IN_HAND),
                station.batch.parts,
            )
        if any(getattr(station.needs, task) for task in s.TASKS):
            yield _tag(
                f"{name}.waits_for", "1", f"{status}/WaitsFor", _int(b + s.WANTS), len(s.TASKS)
            )
            node = f"{status}/AttendedBy"
            yield _tag(f"{name}.attended_by", "1", node, _attended_by(b, crews), len(crews))
        if station.needs.repair:
            node = f"{status}/RepairSince"
            yield _tag(f"{name}.repair_since_s", "s", node, _repair_since_s(e))
        if station.setup is not None:
            node = f"{status}/SetUpFor"
            yield _tag(f"{name}.set_up_for", "1", node, _float(a + s.SET_UP_FOR), least=-1.0)
        if station.service is not None:
            node = f"{admin}/ServicedOpCount"
            yield _tag(f"{name}.serviced_op_count", "1", node, _int(b + s.SERVICED_OPS))
            node = f"{admin}/ServicedWork"
            yield _tag(f"{name}.serviced_work_s", "s", node, _float(a + s.SERVICED_S))


def _attended_by(b: int, crews: list[int]) -> Callable[[LineState], float]:
    def read(state: LineState) -> float:
        held = state.ints[b + s.HELD]
        return crews.index(held) + 1 if held else 0

    return read


def _repair_since_s(e: int) -> Callable[[LineState], float]:
    """Since when somebody repairs the station: later than it stands, where nobody was free at once.

    While nobody does, since when it is in its state.
    """
    a, b = e * s.E_FLOATS, e * s.E_INTS

    def read(state: LineState) -> float:
        if state.ints[b + s.STATE] == s.DOWN and state.ints[b + s.PENDING] == s.REPAIRED:
            return state.floats[a + s.DUE_S] - state.floats[a + s.TASK_S]
        return state.floats[a + s.SINCE_S]

    return read


def _of_others(line: Line) -> Iterator[Tag]:
    """Supplies, crews, and elements of other packages."""
    for supply in line.plant.supplies:
        at = line.element(supply.name) * s.E_FLOATS + s.LAST_RELEASE_S
        node = f"Supplies/{supply.name}/LastRelease"
        yield _tag(f"{supply.name}.last_release_s", "s", node, _float(at), least=-MOST)
    for crew in line.plant.crews:
        at = line.element(crew.name) * s.E_INTS + s.OPS
        yield _tag(
            f"{crew.name}.on_duty", "1", f"Crews/{crew.name}/OnDutyCount", _int(at), crew.people
        )
    for e, spec in customs(line.plant):
        name, b, node = spec.name, e * s.E_INTS, f"Elements/{spec.name}"
        yield _tag(f"{name}.state", "1", f"{node}/StateCurrent", _int(b + s.STATE), s.N_STATES - 1)
        since = _float(e * s.E_FLOATS + s.SINCE_S)
        yield _tag(f"{name}.state_since_s", "s", f"{node}/StateSince", since)
        yield _tag(f"{name}.part_id", "1", f"{node}/PartId", _part_in(line, b))
        kind = line.elements[e].custom
        own_f = line.k[s.ELEMENTS_K + e * s.EK + s.OWN_F]
        for n, column in enumerate(kind.columns if kind is not None else ()):
            yield _tag(
                f"{name}.{column}", "1", f"{node}/{column}", _float(own_f + n), 1e300, -1e300
            )


def _part_in(line: Line, b: int) -> Callable[[LineState], float]:
    def read(state: LineState) -> float:
        slot = state.ints[b + s.SLOT]
        at = line.k[s.K_PART_I] + slot * s.P_INTS
        return state.ints[at + s.PART_ID] if slot >= 0 else 0

    return read
