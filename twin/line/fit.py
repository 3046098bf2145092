"""Whether a plant file and the process models that it names fit together.

Each function raises ``PlantError`` with the path of the key at fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twin.config import Plant, PlantError, StationSpec, Truth, Value
from twin.config.errors import KeyPath
from twin.processes.model import Kind, ProcessModel


def check_parameter_names(
    plant: Plant, models: Mapping[str, ProcessModel], mismatch: Mapping[str, float]
) -> None:
    """What variants, scenarios and the caller change by ``station.parameter`` must exist."""
    known = {f"{name}.{q.name}" for name, model in models.items() for q in model.parameters}
    asked: list[tuple[KeyPath, Mapping[str, float]]] = [((), mismatch)]
    for name, variant in plant.variants.items():
        asked.append((("variants", name, "parameter_factors"), variant.parameter_factors))
    for name, scenario in plant.scenarios.items():
        asked.append((("scenarios", name, "model_mismatch"), scenario.model_mismatch))
    for at, changes in asked:
        for path in changes:
            if path not in known:
                station = path.partition(".")[0]
                near = [q for q in sorted(known) if q.startswith(f"{station}.")]
                several = sorted(
                    {q.partition(".")[0] for q in known if q.startswith(f"{station}_")}
                )
                hint = f"known: {', '.join(near)}" if near else f"no station {station!r} has any"
                if several and not near:
                    hint = f"with servers: N its machines are {', '.join(several)}"
                raise PlantError((*at, path), f"there is no parameter {path!r}", hint)


def check_truth(truth: Truth, models: Mapping[str, ProcessModel]) -> None:
    """The truth may move only what the process models have, and within what they hold for."""
    for station, model in models.items():
        known = {q.name: q for q in model.parameters}
        true = truth.stations[station]
        groups: dict[str, Mapping[str, Value | float]] = {
            "parameters": true.parameters,
            "effects": true.effects,
            "drift_per_h": true.drift_per_h,
        }
        for group, values in groups.items():
            for name, value in values.items():
                at: KeyPath = ("stations", station, group, name)
                if name not in known:
                    hint = f"{model.name} has: {', '.join(known)}"
                    raise truth.located(PlantError(at, f"unknown parameter {name!r}", hint))
                q = known[name]
                if group != "drift_per_h" and not q.lo <= float(value) <= q.hi:
                    message = f"{name} = {float(value):g} {q.unit} is out of range"
                    hint = f"the model holds from {q.lo:g} to {q.hi:g} {q.unit}"
                    raise truth.located(PlantError(at, message, hint))


def check_limits(at: KeyPath, station: StationSpec, model: ProcessModel) -> None:
    """Setpoints and parameters must lie where the process model holds."""
    for q in model.mvs:
        lo, hi = station.setpoints[q.name].validity
        if not q.lo <= lo <= hi <= q.hi:
            message = f"validity of {q.name!r} reaches beyond its process model"
            hint = f"{station.model} holds from {q.lo:g} to {q.hi:g} {q.unit}"
            raise PlantError((*at, "setpoints", q.name, "validity"), message, hint)
    for q in model.parameters:
        if q.name not in station.parameters:
            continue
        value = station.parameters[q.name]
        for number in (value.value, *(value.range or ())):
            if not q.lo <= number <= q.hi:
                message = f"{q.name} = {number:g} {q.unit} is out of range"
                hint = f"{station.model} holds from {q.lo:g} to {q.hi:g}"
                raise PlantError((*at, "parameters", q.name), message, hint)


def check_units(plant: Plant, models: Iterable[ProcessModel]) -> None:
    """A disturbance that somebody knows by name comes in the unit that they take it in."""
    taken = {"price_eur_per_mwh": ("the objective", "EUR/MW.h"), "site_load_kw": ("the peak", "kW")}
    for model in models:
        taken |= {q.name: (model.name, q.unit) for q in model.dvs}
    for name, disturbance in plant.disturbances.items():
        who, unit = taken.get(name, ("nobody", disturbance.unit))
        if disturbance.unit != unit:
            message = f"{who} takes {name} in {unit}, not in {disturbance.unit}"
            hint = f"write unit: {unit}, and its numbers in that"
            raise PlantError(("disturbances", name, "unit"), message, hint)


SINGLE_PARTS = (
    "cycle_scatter",
    "tool",
    "inspection",
    "also_takes",
    "also_gives",
    "batch",
    "setup",
    "picks",
    "needs",
    "wake_at_parts",
    "service",
    "restart_scrap_parts",
)
"""Keys of stations that take one part, or one batch, after the other."""


def check_continuous(plant: Plant, at: KeyPath, station: StationSpec, model: ProcessModel) -> None:
    """A conveyor through a process knows nothing of what belongs to single cycles."""
    if model.kind is not Kind.CONTINUOUS:
        if station.mpc is not None:
            message = f"{station.model} makes one part after the other, and its MPC knows its task"
            raise PlantError((*at, "mpc"), message, "remove it; bands belong to sensors")
        return
    hint = f"remove it, or let a station before or behind {station.name!r} do it"
    for key in SINGLE_PARTS:
        if getattr(station, key) != StationSpec.model_fields[key].default:
            message = f"{station.model} moves its parts on without a pause and has no {key}"
            raise PlantError((*at, key), message, hint)
    for name, failure in station.failures.items():
        if failure.clock == "calendar":
            message = f"{station.model} fails in motion only, not by the calendar"
            path = (*at, "failures", name, "clock")
            raise PlantError(path, message, "remove clock: calendar")
    if station.inspects and station.gives_to != plant.sink:
        message = f"{station.name!r} passes its parts on to {station.gives_to!r} unseen"
        raise PlantError((*at, "inspects"), message, hint)


CONVEYED_DVS = ("ambient_c", "conveyor_phase", "carrier_1_mass_kg")
CONVEYED_OUTPUTS = ("power_kw", "gas_kw", "carriers_per_h", "defect_probability")
CONVEYED_NAMES = ("EXIT_OUTPUTS", "shift_carriers", "entry_open")
"""What a continuous process model has beside its equations, so that parts can pass through it on a conveyor."""


def check_conveyed(at: KeyPath, station: StationSpec, model: ProcessModel) -> None:
    """A continuous model in a line knows of the parts that pass: who lacks a name is told all of them."""
    if model.kind is not Kind.CONTINUOUS:
        return
    has = {q.name for q in model.dvs}, set(model.output_names), set(vars(model.module))
    wanted = (CONVEYED_DVS, CONVEYED_OUTPUTS, CONVEYED_NAMES)
    lacking = [
        name for names, own in zip(wanted, has, strict=True) for name in names if name not in own
    ]
    if lacking:
        message = f"parts cannot pass through {station.model}: it has no {', '.join(lacking)}"
        hint = "see docs/how-to/your-own-process-model.md: a continuous model"
        raise PlantError((*at, "model"), message, hint)
    exits = [name for name in model.module.EXIT_OUTPUTS if name not in has[1]]
    if exits:
        message = f"{station.model} has no outputs {', '.join(exits)}, which its EXIT_OUTPUTS name"
        raise PlantError((*at, "model"), message, "name outputs that it declares")


def check_grid(at: KeyPath, station: StationSpec, model: ProcessModel) -> None:
    """The grid and the places of a conveyor are those that the process model is made for."""
    if model.kind is not Kind.CONTINUOUS:
        if station.step_s is not None or station.places != 1:
            key = "step_s" if station.step_s is not None else "places"
            message = f"{station.model} makes one part after the other and has no {key}"
            raise PlantError((*at, key), message, "remove it")
        return
    longest_s = model.step_s or 0.0
    if station.step_s is None:
        message = f"{station.model} is continuous and needs step_s"
        raise PlantError((*at, "step_s"), message, f"add it, at most {longest_s:g} s")
    if station.step_s > longest_s:
        message = f"step_s = {station.step_s:g} s is too long for {station.model}"
        raise PlantError((*at, "step_s"), message, f"at most {longest_s:g} s")
    places = sum(q.name.startswith("carrier_") for q in model.dvs)
    if station.places != places:
        message = f"{station.model} has {places} places, not {station.places}"
        raise PlantError((*at, "places"), message, f"write places: {places}")
