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
    for k, buffer in enumerate(plant.buffers):
        if buffer.transit_s > 0.0:
            yield f"{buffer.name}_belt", ("buffers", k, "name")


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
    if station.batch is not None and (station.also_takes or station.also_gives):
        message = f"{station.name!r} makes batches and cannot assemble or take apart"
        raise PlantError((*at, "batch"), message, "use a station of its own for one of them")
    if station.inspection.rework_to == station.gives_to:
        message = f"{station.name!r} sends bad parts to where it sends the good ones"
        hint = "let rework_to name another buffer, or remove it"
        raise PlantError((*at, "inspection", "rework_to"), message, hint)
    _check_room(plant, station, at)
    _check_setup(plant, station, at)
    taken = (station.takes_from, *(c.takes_from for c in station.also_takes))
    gives = (station.gives_to, *(p.gives_to for p in station.also_gives))
    for key, names in (("also_takes", taken), ("also_gives", gives)):
        for n, name in enumerate(names):
            if name in names[:n]:
                message = f"{station.name!r} names {name!r} twice"
                hint = f"give each entry of {key} a buffer of its own, and say there how many parts"
                raise PlantError((*at, key, n - 1), message, hint)
    if sum(piece.mass_share * piece.parts for piece in station.also_gives) > 1.0:
        message = "the pieces weigh more than the part that they come off"
        raise PlantError(
            (*at, "also_gives"), message, "mass_share times parts adds up to 1 at most"
        )


def _check_room(plant: Plant, station: StationSpec, at: KeyPath) -> None:
    """As many parts as are needed at once must be able to come together."""
    rooms = {b.name: float(b.capacity) for b in plant.buffers}
    least = (station.batch.at_least or station.batch.parts) if station.batch else 1
    before = station.takes_from
    hands = max(rooms[before], 1.0)  # a buffer without places hands one part over
    needed = [
        (before, least, hands, (*at, "batch")),
        (before, station.wake_at_parts, hands, (*at, "wake_at_parts")),
    ]
    for n, component in enumerate(station.also_takes):
        path = (*at, "also_takes", n)
        needed.append((component.takes_from, component.parts, rooms[component.takes_from], path))
    for n, piece in enumerate(station.also_gives):
        path = (*at, "also_gives", n)
        needed.append((piece.gives_to, piece.parts, rooms[piece.gives_to], path))
    for buffer, parts, room, path in needed:
        if parts > room:
            message = f"buffer {buffer!r} never holds the {parts} parts that are needed at once"
            raise PlantError(path, message, f"give {buffer!r} a capacity of at least {parts}")
    limit = plant.source.wip_limit
    for key, parts in (("batch", least), ("wake_at_parts", station.wake_at_parts)):
        if limit is not None and parts > limit and before in ordered_buffers(plant):
            message = f"{station.name!r} waits for {parts} parts, and never are so many in the line"
            raise PlantError((*at, key), message, f"let source say wip_limit: {parts} or more")


def _check_setup(plant: Plant, station: StationSpec, at: KeyPath) -> None:
    """There must be products to set up for."""
    if station.setup is None:
        return
    mixed_by = plant.source.mixed_by
    if mixed_by is None:
        hint = "let source say mixed_by, with a disturbance of kind mix"
        raise PlantError((*at, "setup"), "there is one product only: nothing to set up", hint)
    mix = plant.disturbances.get(mixed_by)
    if mix is not None and mix.validity[0] < 0.0:
        message = f"a product is a number from 0 on, and {mixed_by!r} may lie below"
        hint = "let its validity begin at 0 or above"
        raise PlantError(("disturbances", mixed_by, "validity"), message, hint)
    for n, change in enumerate(station.setup.changes if mix and mix.kind == "mix" else ()):
        for key, product in (("before", change.before), ("after", change.after)):
            if mix is not None and product not in mix.choices:
                message = f"{key} = {product:g} is no product: {mixed_by!r} does not choose it"
                hint = f"products: {', '.join(f'{choice:g}' for choice in mix.choices)}"
                raise PlantError((*at, "setup", "changes", n, key), message, hint)


def ordered_buffers(plant: Plant) -> set[str]:
    """The buffers that blanks of the source come to; elsewhere there are components only."""
    reached: set[str] = set()
    new = {plant.source.gives_to}
    while new:
        reached |= new
        near = [s for s in _near(plant) if s.takes_from in reached]
        new = {to for s in near for to in (s.gives_to, *_back(s))} - reached
    return reached


def check_routing(plant: Plant) -> None:
    """Parts must flow from the source to the sink, and in a circle only as rework."""
    _check_reached(plant)
    _check_circles(plant)
    if not any(plant.sink in _gives(near) for near in _near(plant)):
        hint = f"let the last station say gives_to: {plant.sink}"
        raise PlantError(("sink",), "no station gives its parts to the sink", hint)
    _check_rework(plant)
    _check_components(plant)
    for k, buffer in enumerate(plant.buffers):
        if not any(buffer.name in _takes(s) for s in _near(plant)):
            message = f"nothing takes parts from buffer {buffer.name!r}"
            hint = f"remove it, or let a station say takes_from: {buffer.name}"
            raise PlantError(("buffers", k), message, hint)
        if buffer.transit_s > 0.0 and float(buffer.capacity) < 1.0:
            message = f"belt {buffer.name!r} has no place for a part"
            raise PlantError(("buffers", k), message, "give it a capacity of at least 1")


def _check_reached(plant: Plant) -> None:
    """Every station must be reached from the source or a supply by all that it needs."""
    reached = {plant.source.gives_to, *(supply.gives_to for supply in plant.supplies)}
    waiting, now = _near(plant), True
    while waiting and now:
        now = any(_takes(near) <= reached for near in waiting)
        for near in [near for near in waiting if _takes(near) <= reached]:
            waiting.remove(near)
            reached |= _gives(near) | set(_back(near))
    if waiting:
        # Of several the first whose own input is what lacks: the others may only stand behind it.
        filled = {to for near in waiting for to in (*_gives(near), *_back(near))}
        first = next((n for n in waiting if (_takes(n) - reached) - filled), waiting[0])
        lacking = sorted(_takes(first) - reached)
        raise PlantError(
            _key_of(plant, first, lacking[0]),
            f"no part reaches station {first.name!r}: its routing is cyclic or has no source",
            "follow takes_from and gives_to from the source or a supply to the sink; missing: "
            + ", ".join(lacking),
        )


def _key_of(plant: Plant, near: Near, buffer: str) -> KeyPath:
    """The key by which a station takes parts from a buffer."""
    if near in plant.elements:
        return ("elements", [spec.name for spec in plant.elements].index(near.name), "takes_from")
    at = ("stations", plant.row([station.name for station in plant.stations].index(near.name)))
    if near.takes_from == buffer:
        return (*at, "takes_from")
    components = [component.takes_from for component in getattr(near, "also_takes", ())]
    return (*at, "also_takes", components.index(buffer), "takes_from")


def _check_circles(plant: Plant) -> None:
    """Leaving rework aside, no part may come to a station twice."""
    waiting = _near(plant)
    while waiting:
        # A station has its place once all that fill its buffers have theirs.
        filling = {to for near in waiting for to in _gives(near)}
        placed = [near for near in waiting if not _takes(near) & filling]
        if not placed:
            first = next(near for near in waiting if _takes(near) & filling)
            circle = ", ".join(near.name for near in waiting)
            raise PlantError(
                _key_of(plant, first, min(_takes(first) & filling)),
                f"parts go round for ever: the routing of {first.name!r} is cyclic",
                f"look at gives_to of {circle}: only rework_to may lead back",
            )
        waiting = [near for near in waiting if near not in placed]


def _check_components(plant: Plant) -> None:
    """What goes into a part are components: a part that is ordered would never come out."""
    ordered = ordered_buffers(plant)
    for k, station in enumerate(plant.stations):
        for n, component in enumerate(station.also_takes):
            if component.takes_from in ordered:
                message = (
                    f"{station.name!r} would build parts that the source has released into others:"
                    f" they come to {component.takes_from!r}, and their orders would stay open"
                )
                hint = "let supplies bring the components, by a buffer of their own"
                path = ("stations", plant.row(k), "also_takes", n, "takes_from")
                raise PlantError(path, message, hint)


def _near(plant: Plant) -> list[Near]:
    return [*plant.stations, *plant.elements]


def _takes(near: Near) -> set[str]:
    return {near.takes_from, *(c.takes_from for c in getattr(near, "also_takes", ()))}


def _gives(near: Near) -> set[str]:
    return {near.gives_to, *(p.gives_to for p in getattr(near, "also_gives", ()))}


def _back(near: Near) -> tuple[str, ...]:
    """Where a station sends parts back to."""
    inspection = getattr(near, "inspection", None)
    return () if inspection is None or inspection.rework_to is None else (inspection.rework_to,)


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
