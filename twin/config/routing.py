"""Whether the names in a plant file exist, and whether parts find their way from source to sink."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from twin.config.errors import KeyPath, PlantError

if TYPE_CHECKING:
    from twin.config.elements import ElementSpec
    from twin.config.plant import Plant, StationSpec

    Near: TypeAlias = StationSpec | ElementSpec
    """What takes parts from buffers and gives them to others."""


def known(name: str, names: Iterable[str], path: KeyPath, what: str) -> None:
    """Raise ``PlantError`` for a name that does not exist."""
    if name not in names:
        raise PlantError(
            path, f"there is no {what} {name!r}", f"known: {', '.join(names) or 'none'}"
        )


def check_names(plant: Plant) -> None:
    """Names of the line's elements differ; what is named by another exists."""
    seen: dict[str, KeyPath] = {plant.source.name: ("source", "name"), plant.sink: ("sink",)}
    for name, path in _elements(plant):
        if name in seen or name in {"line", "env", "control", "source"}:
            raise PlantError(path, f"the name {name!r} is taken", "names must differ")
        seen[name] = path
    buffers = tuple(b.name for b in plant.buffers)
    crews = tuple(crew.name for crew in plant.crews)
    known(plant.source.gives_to, buffers, ("source", "gives_to"), "buffer")
    for n, supply in enumerate(plant.supplies):
        known(supply.gives_to, buffers, ("supplies", n, "gives_to"), "buffer")
    for n, element in enumerate(plant.elements):
        known(element.takes_from, buffers, ("elements", n, "takes_from"), "buffer")
        known(element.gives_to, buffers, ("elements", n, "gives_to"), "buffer")
    for k, station in enumerate(plant.stations):
        _check_station(plant, station, ("stations", plant.row(k)), buffers, crews)
    if plant.source.mixed_by is not None:
        known(plant.source.mixed_by, plant.disturbances, ("source", "mixed_by"), "disturbance")


def _elements(plant: Plant) -> Iterator[tuple[str, KeyPath]]:
    for k, buffer in enumerate(plant.buffers):
        yield buffer.name, ("buffers", k, "name")
    for k, station in enumerate(plant.stations):
        yield station.name, ("stations", plant.row(k), "name")
    for k, supply in enumerate(plant.supplies):
        yield supply.name, ("supplies", k, "name")
    for k, crew in enumerate(plant.crews):
        yield crew.name, ("crews", k, "name")
    for k, element in enumerate(plant.elements):
        yield element.name, ("elements", k, "name")


def _check_station(
    plant: Plant,
    station: StationSpec,
    at: KeyPath,
    buffers: tuple[str, ...],
    crews: tuple[str, ...],
) -> None:
    """All that a station names."""
    known(station.takes_from, buffers, (*at, "takes_from"), "buffer")
    known(station.gives_to, (*buffers, plant.sink), (*at, "gives_to"), "buffer")
    for n, component in enumerate(station.also_takes):
        known(component.takes_from, buffers, (*at, "also_takes", n, "takes_from"), "buffer")
    for n, piece in enumerate(station.also_gives):
        known(piece.gives_to, buffers, (*at, "also_gives", n, "gives_to"), "buffer")
    if station.inspection.rework_to is not None:
        path = (*at, "inspection", "rework_to")
        known(station.inspection.rework_to, buffers, path, "buffer")
        if not station.inspects:
            hint = "write inspects: true, or remove rework_to"
            raise PlantError(path, f"{station.name!r} does not inspect", hint)
    for task, names in station.needs:
        for crew in names:
            known(crew, crews, (*at, "needs", task), "crew")
    _check_kind(plant, station, at)


def _check_kind(plant: Plant, station: StationSpec, at: KeyPath) -> None:
    """What does not go together."""
    rooms = {b.name: float(b.capacity) for b in plant.buffers}
    if station.batch is not None and (station.also_takes or station.also_gives):
        message = f"{station.name!r} makes batches and cannot assemble or take apart"
        raise PlantError((*at, "batch"), message, "use a station of its own for one of them")
    if station.setup is not None and plant.source.mixed_by is None:
        hint = "let source say mixed_by, with a disturbance of kind mix"
        raise PlantError((*at, "setup"), "there is one product only: nothing to set up", hint)
    least = (station.batch.at_least or station.batch.parts) if station.batch else 1
    needed = [(station.takes_from, least, (*at, "batch"))]
    needed += [
        (c.takes_from, c.parts, (*at, "also_takes", n)) for n, c in enumerate(station.also_takes)
    ]
    needed += [
        (p.gives_to, p.parts, (*at, "also_gives", n)) for n, p in enumerate(station.also_gives)
    ]
    for buffer, parts, path in needed:
        if parts > max(rooms[buffer], 1.0 if path[-1] == "batch" else 0.0):
            message = f"buffer {buffer!r} never holds the {parts} parts that are needed at once"
            raise PlantError(path, message, f"give {buffer!r} a capacity of at least {parts}")
    if sum(piece.mass_share * piece.parts for piece in station.also_gives) > 1.0:
        message = "the pieces weigh more than the part that they come off"
        raise PlantError(
            (*at, "also_gives"), message, "mass_share times parts adds up to 1 at most"
        )


def check_routing(plant: Plant) -> None:
    """Parts must flow from the source to the sink, and in a circle only as rework."""
    waiting: dict[str, Near] = {s.name: s for s in plant.stations}
    waiting |= {element.name: element for element in plant.elements}
    ready = {plant.source.gives_to, *(supply.gives_to for supply in plant.supplies)}
    ready |= {s.inspection.rework_to for s in plant.stations if s.inspection.rework_to is not None}
    while waiting:
        # A buffer can be entered once all stations that fill it have been placed.
        filling = {to for s in waiting.values() for to in _gives(s)}
        settled = ready - filling
        now = [s for s in waiting.values() if _takes(s) <= settled]
        if not now:
            first = next(iter(waiting.values()))
            found = [k for k, s in enumerate(plant.stations) if s.name == first.name]
            lacking = ", ".join(sorted(_takes(first) - ready)) or first.takes_from
            raise PlantError(
                ("stations", plant.row(found[0]), "takes_from") if found else ("elements",),
                f"no part reaches station {first.name!r}: its routing is cyclic or has no source",
                f"follow takes_from and gives_to from the source to the sink; missing: {lacking}",
            )
        for station in now:
            del waiting[station.name]
            ready |= _gives(station)
    if plant.sink not in ready:
        hint = f"let the last station say gives_to: {plant.sink}"
        raise PlantError(("sink",), "no station gives its parts to the sink", hint)
    _check_rework(plant)
    for k, buffer in enumerate(plant.buffers):
        if not any(buffer.name in _takes(s) for s in _near(plant)):
            message = f"nothing takes parts from buffer {buffer.name!r}"
            hint = f"remove it, or let a station say takes_from: {buffer.name}"
            raise PlantError(("buffers", k), message, hint)


def _near(plant: Plant) -> list[Near]:
    return [*plant.stations, *plant.elements]


def _takes(near: Near) -> set[str]:
    return {near.takes_from, *(c.takes_from for c in getattr(near, "also_takes", ()))}


def _gives(near: Near) -> set[str]:
    return {near.gives_to, *(p.gives_to for p in getattr(near, "also_gives", ()))}


def _check_rework(plant: Plant) -> None:
    """What is sent back for rework must be able to come to the same inspection again, or to a sink."""
    for k, station in enumerate(plant.stations):
        back = station.inspection.rework_to
        if back is None:
            continue
        reached, new = {back}, {back}
        while new:
            near = _near(plant)
            new = {to for s in near if s.takes_from in new for to in _gives(s)} - reached
            reached |= new
        if plant.sink not in reached and station.takes_from not in reached:
            raise PlantError(
                ("stations", plant.row(k), "inspection", "rework_to"),
                f"parts sent to {back!r} never leave the line again",
                "let a station take them from there and pass them on",
            )
