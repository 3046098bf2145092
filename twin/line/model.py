"""The structure of a line as constants: what a plant file becomes before anything moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twin.config import Plant, PlantError, StationSpec, Truth
from twin.config.elements import ElementSpec
from twin.config.errors import KeyPath
from twin.config.plant import VariantSpec
from twin.line import schema as s
from twin.line.columns import (
    LAWS,
    around_columns,
    consumers,
    custom_columns,
    failure_columns,
    flow_columns,
    power_columns,
    producers,
    upkeep_columns,
)
from twin.line.custom import ElementError, ElementKind, load_element
from twin.line.fit import (
    check_continuous,
    check_conveyed,
    check_grid,
    check_limits,
    check_parameter_names,
    check_truth,
    check_units,
)
from twin.processes import load
from twin.processes.model import Kind, ProcessModel, ProcessModelError, Quantity


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One source, station or environment: its name and the names behind its columns."""

    name: str
    kind: int
    model: ProcessModel | None = None
    setpoints: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    custom: ElementKind | None = None
    """Where another package offers it."""

    @property
    def process(self) -> ProcessModel:
        """The process model of a station. Raises ``TypeError`` for what is none."""
        if self.model is None:
            raise TypeError(f"{self.name!r} is no station and has no process model")
        return self.model


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A production line, immutable.

    ``elements`` are the source (0), the stations in the order of the plant file, the supplies of
    components, crews and belts, and the environment (last). ``c`` and ``k`` are the constant columns of ``twin.line.schema``;
    ``n_floats`` and ``n_ints`` the size of a state.
    """

    plant: Plant
    elements: tuple[Element, ...]
    buffers: tuple[str, ...]
    disturbances: tuple[str, ...]
    c: tuple[float, ...]
    k: tuple[int, ...]
    n_floats: int
    n_ints: int
    is_truth: bool = False

    @property
    def stations(self) -> tuple[Element, ...]:
        """The stations, in order; the station at position ``n`` is element ``n + 1``."""
        return self.elements[1 : 1 + len(self.plant.stations)]

    def setpoints_f(self, e: int) -> int:
        """Where the process setpoints of a station stand in the floats of a state."""
        return self.k[s.ELEMENTS_K + e * s.EK + s.OWN_F]

    def outputs_f(self, e: int) -> int:
        """Where its last results stand; those of the cycle under way follow."""
        return self.setpoints_f(e) + self.k[s.ELEMENTS_K + e * s.EK + s.N_SETPOINTS]

    def element(self, name: str) -> int:
        """The index of an element."""
        return next(n for n, element in enumerate(self.elements) if element.name == name)


def build_line(
    plant: Plant,
    truth: Truth | None = None,
    variant: str = "nominal",
    mismatch: Mapping[str, float] | None = None,
) -> Line:
    """The line as its file describes it; with ``truth``, as it really is.

    ``variant`` scales the power of idle stations; ``mismatch`` (``station.parameter`` to a share)
    moves parameters of the true line further away. Raises ``PlantError`` where the file asks for a
    process model, a parameter or a setpoint that does not exist.
    """
    if variant not in plant.variants:
        known = ", ".join(plant.variants)
        unknown = PlantError(("variants",), f"there is no variant {variant!r}", f"known: {known}")
        raise plant.located(unknown)
    try:
        elements = [Element(plant.source.name, s.SOURCE)]
        for n, station in enumerate(plant.stations):
            elements.append(_element(plant, n, station))
        elements += [Element(supply.name, s.SOURCE) for supply in plant.supplies]
        elements += [Element(crew.name, s.CREW) for crew in plant.crews]
        elements += [Element(f"{b.name}_belt", s.BELT) for b in plant.buffers if b.transit_s]
        for n, spec in enumerate(plant.elements):
            elements.append(_custom(n, spec))
        elements.append(Element("env", s.ENVIRONMENT))
        models = {e.name: e.model for e in elements if e.model is not None}
        check_parameter_names(plant, models, mismatch or {})
        check_units(plant, models.values())
        if truth is not None:
            check_truth(truth, models)
        return _columns(plant, tuple(elements), truth, plant.variants[variant], mismatch or {})
    except PlantError as error:
        raise plant.located(error) from error


def _custom(n: int, spec: ElementSpec) -> Element:
    try:
        return Element(spec.name, s.CUSTOM, custom=load_element(spec.kind))
    except ElementError as error:
        hint = "name one of these, or install the package that offers it"
        raise PlantError(("elements", n, "kind"), str(error), hint) from error


def _element(plant: Plant, n: int, station: StationSpec) -> Element:
    at: KeyPath = ("stations", plant.row(n))
    try:
        name, _, variant = station.model.partition(".")
        model = load(name).variant(variant) if variant else load(name)
    except ProcessModelError as error:
        hint = "name one of these, or install the package that offers it"
        raise PlantError((*at, "model"), str(error), hint) from error
    check_conveyed(at, station, model)
    mvs = tuple(q.name for q in model.mvs)
    for name in mvs:
        if name not in station.setpoints:
            message = f"station {station.name!r} has no setpoint {name!r}"
            raise PlantError((*at, "setpoints"), message, f"{station.model} needs {', '.join(mvs)}")
    for name in station.setpoints:
        if name not in mvs:
            hint = f"{station.model} has: {', '.join(mvs) or 'none'}"
            raise PlantError((*at, "setpoints", name), f"unknown setpoint {name!r}", hint)
    parameters = tuple(q.name for q in model.parameters)
    for name in station.parameters:
        if name not in parameters:
            hint = f"{station.model} has: {', '.join(parameters)}"
            raise PlantError((*at, "parameters", name), f"unknown parameter {name!r}", hint)
    continuous = model.kind is Kind.CONTINUOUS
    check_grid(at, station, model)
    check_continuous(plant, at, station, model)
    check_limits(at, station, model)
    first = 0 if continuous else 5
    outputs = tuple(q.name for q in model.outputs)[first:]
    if continuous:
        outputs = getattr(model.module, "EXIT_OUTPUTS", ())
    for name in station.sensors:
        if name not in (*outputs, "power_kw", "tool_use", "zone_temp_c"):
            hint = f"measured: {', '.join((*outputs, 'power_kw'))}"
            raise PlantError((*at, "sensors", name), f"nothing to measure as {name!r}", hint)
    kind = s.CONVEYOR if continuous else s.STATION
    return Element(station.name, kind, model, mvs, outputs, parameters)


def _columns(
    plant: Plant,
    elements: tuple[Element, ...],
    truth: Truth | None,
    variant: VariantSpec,
    mismatch: Mapping[str, float],
) -> Line:
    disturbances = tuple(plant.disturbances)
    buffers = tuple(b.name for b in plant.buffers)
    capacities = [_room(plant, n) for n in range(len(buffers))]
    rings = [max(capacity, 1) for capacity in capacities]
    n_elements = len(elements)
    places = [st.batch.parts if st.batch else st.places for st in plant.stations]
    n_x = [len(e.model.states) if e.model else 0 for e in elements]
    own = [len(e.setpoints) + 2 * len(e.outputs) for e in elements]
    own = [len(e.custom.columns) if e.custom else n for e, n in zip(elements, own, strict=True)]
    held = sum(e.custom.places for e in elements if e.custom)
    slots = sum(rings) + sum(places) + held + 1
    sizes = (n_elements, len(buffers), slots, len(disturbances))
    k = _areas(*sizes, sum(n_x) + sum(own), sum(rings), sum(places))
    places_i = k[s.K_RING_I] + sum(rings)
    k += [0] * (n_elements * s.EK)
    k[s.K_BUFFER_K] = len(k)
    names = [element.name for element in elements]
    for n, capacity in enumerate(capacities):
        belt = f"{buffers[n]}_belt"
        k += [capacity, sum(rings[:n]), names.index(belt) if belt in names else 0]
    k[s.K_FED_K] = len(k)
    for name in buffers:
        for side in (producers, consumers):
            near = side(plant, name)
            k += [len(near), *near, *[0] * (n_elements - len(near))]
    c = [0.0] * (n_elements * s.EC)
    k[s.ELEMENTS_K + s.KIND] = s.SOURCE
    x_at, v_at = k[s.K_STATE_F], 0
    for e, element in enumerate(elements):
        ek = s.ELEMENTS_K + e * s.EK
        k[ek + s.KIND] = element.kind
        k[ek + s.MIXED_BY] = k[ek + s.REWORK_TO] = -1
        if element.custom is not None:
            custom_columns(plant, e, element.custom, x_at, c, k)
            x_at += own[e]
        elif element.model is None:
            around_columns(plant, e, element.kind, element.name, c, k)
        else:
            station = plant.stations[e - 1]
            _station_columns(plant, e, element, station, truth, variant, mismatch, c, k)
            flow_columns(plant, e, station, c, k)
            upkeep_columns(plant, e, station, names, c, k)
            k[ek + s.X_F] = x_at
            k[ek + s.PLACES_I] = places_i + sum(places[: e - 1])
            k[ek + s.OWN_F] = x_at + n_x[e]
            x_at += n_x[e] + own[e]
            v_at = _vector_columns(ek, element.model, plant.source.mixed_by, v_at, k)
    k[s.K_VECTORS] = v_at
    n_floats = k[s.K_PART_F] + slots * s.P_FLOATS
    n_ints = k[s.K_QUEUE_I] + n_elements
    columns = (tuple(c), tuple(k), n_floats, n_ints)
    return Line(plant, elements, buffers, disturbances, *columns, is_truth=truth is not None)


def _areas(
    elements: int, buffers: int, slots: int, disturbances: int, own: int, rings: int, places: int
) -> list[int]:
    """Where each kind of record begins in ``f`` and ``i``: the head of ``k``."""
    k = [0] * s.N_K
    k[s.K_ELEMENTS], k[s.K_BUFFERS], k[s.K_SLOTS], k[s.K_DISTURBANCES] = (
        elements, buffers, slots, disturbances,
    )  # fmt: skip
    k[s.K_LINE_F] = elements * s.E_FLOATS
    k[s.K_DISTURBANCE_F] = k[s.K_LINE_F] + s.L_FLOATS
    k[s.K_STATE_F] = k[s.K_DISTURBANCE_F] + disturbances
    k[s.K_PART_F] = k[s.K_STATE_F] + own
    k[s.K_LINE_I] = elements * s.E_INTS
    k[s.K_BUFFER_I] = k[s.K_LINE_I] + s.L_INTS
    k[s.K_RING_I] = k[s.K_BUFFER_I] + buffers * s.B_INTS
    k[s.K_PART_I] = k[s.K_RING_I] + rings + places
    k[s.K_FREE_I] = k[s.K_PART_I] + slots * s.P_INTS
    k[s.K_QUEUE_I] = k[s.K_FREE_I] + slots
    return k


def _vector_columns(
    ek: int, model: ProcessModel, mixed_by: str | None, at: int, k: list[int]
) -> int:
    """Where a model's vectors x, u, d, p and its outputs lie in an engine's work space; the end."""
    groups = (model.states, model.mvs, model.dvs, model.parameters)
    k[ek + s.VECTORS_V] = at
    k[ek + s.OUT_V] = at + sum(len(group) for group in groups)
    disturbances = [q.name for q in model.dvs]
    for column, name in ((s.ELAPSED_D, "shift_elapsed_h"), (s.PRODUCT_D, mixed_by)):
        k[ek + column] = disturbances.index(name) if name in disturbances else -1
    if model.kind is Kind.CONTINUOUS:
        k[ek + s.PLACED_K] = len(k)
        setpoints, outputs = [q.name for q in model.mvs], list(model.output_names)
        k += [disturbances.index(n) for n in ("ambient_c", "conveyor_phase", "carrier_1_mass_kg")]
        k.append(setpoints.index("setback") if "setback" in setpoints else -1)
        needed = ("power_kw", "gas_kw", "carriers_per_h", "defect_probability")
        k += [outputs.index(name) for name in (*needed, *model.module.EXIT_OUTPUTS)]
    return k[ek + s.OUT_V] + len(model.outputs)


def _room(plant: Plant, n: int) -> int:
    """Places of a buffer; one without hands its part over, which a conveyor cannot take."""
    buffer = plant.buffers[n]
    room = round(float(buffer.capacity))
    if room == 0:
        for station in plant.stations:
            if station.takes_from == buffer.name and station.step_s is not None:
                raise PlantError(
                    ("buffers", n, "capacity"),
                    f"{station.name!r} takes its parts at grid points and needs a place to wait",
                    "give at least 1",
                )
    return room


def _station_columns(
    plant: Plant,
    e: int,
    element: Element,
    station: StationSpec,
    truth: Truth | None,
    variant: VariantSpec,
    mismatch: Mapping[str, float],
    c: list[float],
    k: list[int],
) -> None:
    model = element.process
    buffers = [b.name for b in plant.buffers]
    true = truth.stations[station.name] if truth is not None else None
    ek, cc = s.ELEMENTS_K + e * s.EK, e * s.EC
    k[ek + s.TAKES_FROM] = buffers.index(station.takes_from)
    sink = station.gives_to == plant.sink
    k[ek + s.GIVES_TO] = s.SINK if sink else buffers.index(station.gives_to)
    k[ek + s.INSPECTS] = int(station.inspects)
    k[ek + s.RESTART_SCRAP] = station.restart_scrap_parts
    k[ek + s.CAN_STANDBY] = int(station.standby)
    k[ek + s.HAS_TOOL] = int(station.tool is not None)
    k[ek + s.N_SETPOINTS] = len(model.mvs)
    k[ek + s.N_X], k[ek + s.N_D] = len(model.states), len(model.dvs)
    k[ek + s.N_P], k[ek + s.N_Y] = len(model.parameters), len(element.outputs)
    k[ek + s.PLACES] = station.places
    k[ek + s.P_C] = len(c)
    k[ek + s.D_K] = len(k)
    names = list(plant.disturbances)
    k += [names.index(q.name) if q.name in names else -1 for q in model.dvs]
    parameters = _parameters(e, model, station, truth, variant, mismatch)
    k[ek + s.DRIFTS] = int(any(parameters[len(model.parameters) :]))
    c += parameters
    c += [_default(q) for q in model.dvs]
    c[cc + s.C_WARM_UP_S] = float((true and true.warm_up_s) or station.warm_up_s)
    power_columns(e, station.power, true, variant, c)
    failure_columns(e, station.failures, true, c)
    if station.tool is not None:
        c[cc + s.C_TOOL_LIFE_MM] = float(station.tool.end_of_life_mm)
        c[cc + s.C_TOOL_LIFE_CV] = float((true and true.tool_life_cv) or station.tool.life_cv)
        c[cc + s.C_TOOL_CHANGE_S] = float(station.tool.change_s)
    c[cc + s.C_RESTART_AFTER_S] = station.restart_after_s
    c[cc + s.C_STEP_S] = station.step_s or 0.0
    c[cc + s.C_SHIFT_H] = plant.shift_h
    if station.cycle_scatter is not None:
        c[cc + s.C_CYCLE_LAW] = LAWS[station.cycle_scatter.law]
        c[cc + s.C_CYCLE_CV] = station.cycle_scatter.cv


def _parameters(
    e: int,
    model: ProcessModel,
    station: StationSpec,
    truth: Truth | None,
    variant: VariantSpec,
    mismatch: Mapping[str, float],
) -> list[float]:
    """Values of the model's parameters, then their drifts per hour as shares."""
    values = {q.name: _default(q) for q in model.parameters}
    values |= {name: float(value) for name, value in station.parameters.items()}
    drifts = dict.fromkeys(values, 0.0)
    if truth is not None:
        true = truth.stations[station.name]
        values |= {name: float(value) for name, value in true.parameters.items()}
        values |= {name: float(value) for name, value in true.effects.items()}
        drifts |= true.drift_per_h
    factors = [*variant.parameter_factors.items()]
    factors += [(path, 1.0 + share) for path, share in mismatch.items()]
    for path, factor in factors:
        owner, _, name = path.partition(".")
        if owner == station.name:
            values[name] *= factor
    for quantity in model.parameters if not mismatch else ():
        if not quantity.lo <= values[quantity.name] <= quantity.hi:
            raise PlantError(
                ("stations", e - 1, "parameters", quantity.name),
                f"{quantity.name} = {values[quantity.name]} {quantity.unit} is out of range",
                f"the model holds from {quantity.lo} to {quantity.hi}",
            )
    return [*values.values(), *drifts.values()]


def _default(quantity: Quantity) -> float:
    if quantity.default is None:
        raise TypeError(f"the quantity {quantity.name!r} has no default")
    return quantity.default
