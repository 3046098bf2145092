"""The constant columns of what surrounds the process: power, failures, flow, people, setups, upkeep.

Each function fills what one part of the plant file says into ``c`` and ``k``, see
``twin.line.schema``; lists of their own length are appended and pointed to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twin.config import Plant, PlantError, StationSpec
from twin.config.elements import ElementSpec
from twin.config.plant import FailureSpec, PowerSpec, VariantSpec
from twin.config.truth import TrueStation
from twin.line import schema as s
from twin.line.custom import ElementKind

_OPERATING = (s.C_BETWEEN_S, s.C_REPAIR_S, s.C_REPAIR_CV, s.C_REPAIR_LAW)
_CALENDAR = (
    s.C_STRIKE_BETWEEN_S,
    s.C_STRIKE_REPAIR_S,
    s.C_STRIKE_REPAIR_CV,
    s.C_STRIKE_REPAIR_LAW,
)
LAWS = {"exponential": s.EXPONENTIAL, "lognormal": s.LOGNORMAL}
PICKS = {"fifo": s.FIFO, "lifo": s.LIFO, "same_product": s.SAME_PRODUCT}


def producers(plant: Plant, buffer: str) -> list[int]:
    """The elements that may put a part into a buffer, in order."""
    near = [0] if plant.source.gives_to == buffer else []
    for n, station in enumerate(plant.stations):
        gives = (station.gives_to, *(piece.gives_to for piece in station.also_gives))
        if buffer in (*gives, station.inspection.rework_to):
            near.append(n + 1)
    near += [e for e, spec in customs(plant) if spec.gives_to == buffer]
    first = 1 + len(plant.stations)
    return near + [first + n for n, sp in enumerate(plant.supplies) if sp.gives_to == buffer]


def consumers(plant: Plant, buffer: str) -> list[int]:
    """The stations that may take a part from a buffer, in order."""
    near = [
        n + 1
        for n, station in enumerate(plant.stations)
        if buffer in (station.takes_from, *(c.takes_from for c in station.also_takes))
    ]
    return near + [e for e, spec in customs(plant) if spec.takes_from == buffer]


def customs(plant: Plant) -> list[tuple[int, ElementSpec]]:
    """The elements of other packages, with their numbers: they stand behind all others."""
    belts = sum(b.transit_s > 0.0 for b in plant.buffers)
    first = 1 + len(plant.stations) + len(plant.supplies) + len(plant.crews) + belts
    return [(first + n, spec) for n, spec in enumerate(plant.elements)]


def around_columns(
    plant: Plant, e: int, kind: int, name: str, c: list[float], k: list[int]
) -> None:
    """An element without a process: a source, a crew, a belt."""
    if kind == s.SOURCE:
        source_columns(plant, e, name, k)
    elif kind == s.CREW:
        crew_columns(plant, e, name, c, k)
    elif kind == s.BELT:
        buffer = [b.name for b in plant.buffers].index(name.removesuffix("_belt"))
        k[s.ELEMENTS_K + e * s.EK + s.CARRIES] = buffer
        c[e * s.EC + s.C_TRANSIT_S] = plant.buffers[buffer].transit_s


def custom_columns(
    plant: Plant, e: int, custom: ElementKind, own_f: int, c: list[float], k: list[int]
) -> None:
    """An element of another package: its buffers, its own columns, its parameters.

    Raises ``PlantError`` for a parameter that it does not have, or that is out of its range.
    """
    n, spec = next((n, s) for n, (at, s) in enumerate(customs(plant)) if at == e)
    ek, buffers = s.ELEMENTS_K + e * s.EK, [b.name for b in plant.buffers]
    k[ek + s.TAKES_FROM] = buffers.index(spec.takes_from)
    k[ek + s.GIVES_TO] = buffers.index(spec.gives_to)
    k[ek + s.OWN_F], k[ek + s.P_C] = own_f, len(c)
    k[ek + s.N_P] = len(custom.parameters)
    known = {q.name: q for q in custom.parameters}
    for name, value in spec.parameters.items():
        at = ("elements", n, "parameters", name)
        if name not in known:
            hint = f"{spec.kind} has: {', '.join(known) or 'none'}"
            raise PlantError(at, f"unknown parameter {name!r}", hint)
        if not known[name].lo <= value <= known[name].hi:
            hint = f"{spec.kind} holds from {known[name].lo:g} to {known[name].hi:g}"
            raise PlantError(at, f"{name} = {value:g} is out of range", hint)
    c += [spec.parameters.get(q.name, q.default or 0.0) for q in custom.parameters]


def source_columns(plant: Plant, e: int, name: str, k: list[int]) -> None:
    """The source of blanks, or a supply of components."""
    ek = s.ELEMENTS_K + e * s.EK
    buffers = [b.name for b in plant.buffers]
    source = plant.source
    if e == 0:
        k[ek + s.GIVES_TO] = buffers.index(source.gives_to)
        k[ek + s.WIP_LIMIT] = source.wip_limit or 0
        if source.mixed_by is not None:
            k[ek + s.MIXED_BY] = list(plant.disturbances).index(source.mixed_by)
        return
    supply = next(supply for supply in plant.supplies if supply.name == name)
    k[ek + s.GIVES_TO] = buffers.index(supply.gives_to)
    k[ek + s.OF_COMPONENTS] = 1


def crew_columns(plant: Plant, e: int, name: str, c: list[float], k: list[int]) -> None:
    """People and the hours at which they are there."""
    crew = next(crew for crew in plant.crews if crew.name == name)
    ek = s.ELEMENTS_K + e * s.EK
    k[ek + s.BATCH] = crew.people
    k[ek + s.DUTY_C] = len(c)
    c[e * s.EC + s.C_STARTS_AT_H] = plant.energy.starts_at_h
    c.append(float(len(crew.on_duty_h)))
    for begin, end in crew.on_duty_h:
        c += [begin, end]


def power_columns(
    e: int, power: PowerSpec, true: TrueStation | None, variant: VariantSpec, c: list[float]
) -> None:
    """What a station draws in kilowatts while it does not work; the truth may know better."""
    cc = e * s.EC
    idle = float((true and true.idle_kw) or power.idle_kw) * variant.idle_power_factor
    c[cc + s.C_OFF_KW] = float(power.off_kw)
    c[cc + s.C_STANDBY_KW] = float((true and true.standby_kw) or power.standby_kw)
    c[cc + s.C_WARM_UP_KW], c[cc + s.C_IDLE_KW] = float(power.warm_up_kw), idle


def failure_columns(
    e: int, failures: Mapping[str, FailureSpec], true: TrueStation | None, c: list[float]
) -> None:
    """How often a station fails and for how long; the truth may know better.

    Modes that age with the work have columns one behind the other, the one by the calendar its own.
    """
    modes = 0
    for mode, failure in failures.items():
        between = (true and true.mean_between_s.get(mode)) or failure.mean_between_s
        repair = (true and true.mean_repair_s.get(mode)) or failure.mean_repair_s
        law = [float(between), float(repair), failure.repair_cv, LAWS[failure.repair_law]]
        columns = [column + modes for column in _OPERATING]
        if failure.clock == "calendar":
            columns = list(_CALENDAR)
        else:
            modes += 1
        for column, value in zip(columns, law, strict=True):
            c[e * s.EC + column] = value


def flow_columns(plant: Plant, e: int, station: StationSpec, c: list[float], k: list[int]) -> None:
    """What a station takes together, what comes off, which part it picks, how well it inspects."""
    ek, cc = s.ELEMENTS_K + e * s.EK, e * s.EC
    buffers = [b.name for b in plant.buffers]
    batch = station.batch
    k[ek + s.BATCH] = batch.parts if batch else 1
    k[ek + s.AT_LEAST] = (batch.at_least or batch.parts) if batch else 1
    k[ek + s.PICKS] = PICKS[station.picks]
    k[ek + s.WAKE_AT] = max(station.wake_at_parts, k[ek + s.AT_LEAST])
    if station.also_takes:
        k[ek + s.ALSO_TAKES_K] = len(k)
        k.append(len(station.also_takes))
        for component in station.also_takes:
            k += [buffers.index(component.takes_from), component.parts]
    if station.also_gives:
        k[ek + s.ALSO_GIVES_K], k[ek + s.ALSO_GIVES_C] = len(k), len(c)
        k.append(len(station.also_gives))
        for piece in station.also_gives:
            k += [buffers.index(piece.gives_to), piece.parts]
            c.append(piece.mass_share)
    inspection = station.inspection
    c[cc + s.C_FINDS], c[cc + s.C_FALSE_ALARMS] = inspection.finds, inspection.false_alarms
    k[ek + s.REWORK_PASSES] = inspection.rework_passes
    if inspection.rework_to is not None:
        k[ek + s.REWORK_TO] = buffers.index(inspection.rework_to)


def upkeep_columns(
    plant: Plant,
    e: int,
    station: StationSpec,
    elements: Sequence[str],
    c: list[float],
    k: list[int],
) -> None:
    """Setups, services, and who is needed for what."""
    ek, cc = s.ELEMENTS_K + e * s.EK, e * s.EC
    if station.setup is not None:
        k[ek + s.SETUP_C] = len(c)
        c += [float(station.setup.default_s), float(len(station.setup.changes))]
        for change in station.setup.changes:
            c += [change.before, change.after, change.setup_s]
    if station.service is not None:
        k[ek + s.SERVICE_OPS] = station.service.every_parts or 0
        c[cc + s.C_SERVICE_EVERY_S] = station.service.every_working_s or 0.0
        c[cc + s.C_SERVICE_S] = station.service.service_s
    crews = [getattr(station.needs, task) for task in s.TASKS]
    if any(crews):
        k[ek + s.CREWS_K] = lists = len(k)
        k += [0] * len(s.TASKS)
        for task, names in enumerate(crews):
            if names:
                k[lists + task] = len(k)
                k += [len(names), *(elements.index(name) for name in names)]
