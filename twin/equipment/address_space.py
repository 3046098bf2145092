"""What a line looks like to an OPC UA client: the tree of nodes, as plain data.

The tree follows ISA-95 (enterprise, site, area, line); below the line object the names are those of
PackML (OPC 30050) and Machinery (OPC 40001-1) by convention, in a namespace of its own, so that no
companion nodeset has to be imported. A node's identifier is the string of its path. Nothing here
knows a network or a library: the server builds these nodes, the client looks for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from twin.config import Plant
from twin.equipment import energy
from twin.equipment.node_types import AddressSpace, Argument, DataType, Method, Variable
from twin.line import schema as s
from twin.line.element_tags import LISTS
from twin.line.model import Line
from twin.signals import Role, Signal

NAMESPACE = "urn:takttwin:line:1"
MOST_CHILDREN = 200
"""Servers search the children of a node one by one: a wide folder makes them slow."""

CONFIG_HASH = "Identification/ConfigHash"
EPOCH, SPEED = "Simulation/Epoch", "Simulation/SpeedFactor"
PLC_ALIVE = "Control/PlcAlive"
SIM_TIME, STEP, LOCKSTEP = "Simulation/SimTime", "Simulation/StepNumber", "Simulation/Lockstep"
ALIVE, REQUEST_SEQUENCE = "Control/ControllerAlive", "Control/RequestSeq"
ENTITIES, LATEST, RECENT = "Events/Entities", "Events/Latest", "Events/Recent"
APPLY, ADVANCE = "Control/ApplySetpoints", "Control/Advance"
VERBS = {
    "RequestRemote": "Control/RequestRemote",
    "ReleaseRemote": "Control/ReleaseRemote",
    "ResetShed": "Control/ResetShed",
    "PermitRemote": "Control/SetPermitRemote",
}
"""Methods behind the verbs of ``Equipment.command``; the permit itself is a variable's name."""

MODES = ("off", "manual", "auto", "remote")
"""Who moves the setpoints, by the codes of ``PlcMode``."""
PACKML = (
    *("Stopped", "Idle", "Starting", "Suspended", "Execute", "Suspended", "Aborted", "Held"),
    *("Held", "Held", "Held"),
)
"""PackML's words for the states of ``twin.line.schema``.

PackML suspends a unit for causes outside of it (nothing to work on, no room for the part) and holds
it for causes inside (a new tool, a setup, a
service, nobody there for it). A machine in standby waits for a start, which is Idle; ready but
without a part it is Suspended, with EquipmentStarved beside it.
"""

_LEVELS = ("Enterprise", "Site", "Area", "Line")


def value_path(signal: Signal) -> str:
    """Where a signal's value stands: a setpoint is an object, and its value what is in force."""
    return f"{signal.node}/Active" if signal.role is Role.MV else signal.node


def is_instant(signal: Signal) -> bool:
    """Whether the value is itself a point in plant time."""
    return signal.node.endswith(("/StateSince", "/RepairSince", "/LastRelease"))


def buffer_paths(signals: Sequence[Signal]) -> dict[str, str]:
    """The objects of the buffers by name, found by their levels."""
    return {
        signal.name.removesuffix(".level"): signal.node.removesuffix("/Level")
        for signal in signals
        if signal.node.startswith("Buffers/") and signal.node.endswith("/Level")
    }


def part_id_paths(signals: Sequence[Signal]) -> dict[str, str]:
    """Where lists of whole numbers stand: the parts on conveyors and in buffers, and what else is listed."""
    found = {name: f"{path}/PartIds" for name, path in buffer_paths(signals).items()}
    phase = "/Process/conveyor_phase"
    for signal in signals:
        if signal.node.startswith("Stations/") and signal.node.endswith(phase):
            name = signal.name.removesuffix(".conveyor_phase")
            found[name] = f"{signal.node.removesuffix(phase)}/Status/PartIds"
    node = {signal.name: signal.node for signal in signals}
    for name, count in list_counts(signals).items():
        if name not in found:
            leaf = next(leaf for end, (_, leaf) in LISTS.items() if count.endswith(end))
            found[name] = f"{node[count].rpartition('/')[0]}/{leaf}"
    return found


def list_counts(signals: Sequence[Signal]) -> dict[str, str]:
    """By list, the signal that says how many entries it has; that of a conveyor has none."""
    found = {name: f"{name}.level" for name in buffer_paths(signals)}
    for signal in signals:
        for end, (list_end, _) in LISTS.items():
            if signal.name.endswith(end):
                found[signal.name.removesuffix(end) + list_end] = signal.name
    return found


def line_nodes(line: Line, signals: Sequence[Signal]) -> AddressSpace:
    """The tree of a line. Raises ``ValueError`` if an object has too many children."""
    plant = line.plant
    levels = tuple(
        ("/".join(plant.path[: depth + 1]), level) for depth, level in enumerate(_LEVELS)
    )
    variables = [*_identification(plant), *_simulation(), *_control(plant), *_events(line)]
    for at, signal in enumerate(signals):
        variables += _signal_nodes(at, signal)
    capacities = {b.name: round(float(b.capacity)) for b in plant.buffers}
    for name, path in buffer_paths(signals).items():
        variables.append(Variable(f"{path}/Capacity", DataType.INT64, capacities[name]))
    for path in part_id_paths(signals).values():
        variables.append(Variable(path, DataType.INT64, [], array=True))
    variables += energy.energy_nodes(plant, signals)
    methods = (*_methods(), *energy.energy_methods(signals))
    space = AddressSpace("/".join(plant.path), levels, tuple(variables), methods)
    _check_width(space)
    return space


def data_type(signal: Signal) -> DataType:
    """The type of a signal's node: codes and counts are integers, the rest is Double."""
    leaf = signal.node.rpartition("/")[2]
    own = signal.node.startswith("Elements/") and leaf not in ("StateCurrent", "PartId")
    if signal.role is Role.MV or own:
        return DataType.DOUBLE
    if leaf in ("PermitRemote", "WatchdogOk"):
        return DataType.BOOLEAN
    if leaf in ("StateCurrent", "Mode", "Shed", "ApplyResult", "WaitsFor", "AttendedBy"):
        return DataType.INT32
    counts = ("Count", "PartId", "Level", "WIP", "ToolChanges", "PlcAlive", "ApplySeq")
    return DataType.INT64 if leaf.endswith(counts) else DataType.DOUBLE


def _signal_nodes(at: int, signal: Signal) -> list[Variable]:
    path = value_path(signal)
    codes = _codes(path)
    nodes = [Variable(path, data_type(signal), None, at, signal.unit, signal.validity, codes=codes)]
    limits, unit = signal.validity, signal.unit
    if signal.role is Role.MV and limits is not None:
        nodes += [
            Variable(
                f"{signal.node}/Request", DataType.DOUBLE, 0.0, -1, unit, limits, writable=True
            ),
            Variable(f"{signal.node}/LowLimit", DataType.DOUBLE, limits.lo, -1, unit),
            Variable(f"{signal.node}/HighLimit", DataType.DOUBLE, limits.hi, -1, unit),
            Variable(f"{signal.node}/RateLimit", DataType.DOUBLE, signal.rate_per_s, -1),
        ]
    if codes is s.STATES:
        folder = path.removesuffix("/StateCurrent")
        starved = tuple(code == s.IDLE for code in range(s.N_STATES))
        blocked = tuple(code == s.BLOCKED for code in range(s.N_STATES))
        nodes += [
            Variable(f"{folder}/StateText", DataType.STRING, "", at, words=PACKML),
            Variable(f"{folder}/StateNumber", DataType.INT32, 0, at, words=energy.PACKML_NUMBERS),
            Variable(f"{folder}/EquipmentStarved", DataType.BOOLEAN, False, at, words=starved),
            Variable(f"{folder}/EquipmentBlocked", DataType.BOOLEAN, False, at, words=blocked),
        ]
    return nodes


def _codes(path: str) -> tuple[str, ...]:
    """The words for the codes of a node that has such."""
    if path.endswith("/StateCurrent"):
        return s.STATES
    return MODES if path == "Control/Mode" else ()


def _identification(plant: Plant) -> list[Variable]:
    return [
        Variable("Identification/Manufacturer", DataType.STRING, "takttwin"),
        Variable("Identification/Model", DataType.STRING, plant.title),
        Variable(
            "Identification/ProductInstanceUri", DataType.STRING, f"urn:takttwin:{plant.name}"
        ),
        Variable(CONFIG_HASH, DataType.STRING, plant.config_hash),
    ]


def _simulation() -> list[Variable]:
    return [
        Variable(EPOCH, DataType.DATE_TIME),
        Variable(SPEED, DataType.DOUBLE, 1.0),
        Variable(SIM_TIME, DataType.INT64, 0, unit="us"),
        Variable(STEP, DataType.INT64, 0),
        Variable(LOCKSTEP, DataType.BOOLEAN, False),
    ]


def _control(plant: Plant) -> list[Variable]:
    patience_ms = 1000.0 * plant.control.watchdog_periods * plant.control.period_s
    return [
        Variable(ALIVE, DataType.INT64, 0, writable=True),
        Variable(REQUEST_SEQUENCE, DataType.INT64, 0, writable=True),
        Variable("Control/WatchdogTimeout", DataType.DOUBLE, patience_ms, unit="ms"),
    ]


def _events(line: Line) -> list[Variable]:
    """Transitions as numbers.

    The running number of the first, then for each time_us, entity, before, after and part; an
    entity by its place in the list of names.
    """
    names = [element.name for element in line.elements]
    return [
        Variable(ENTITIES, DataType.STRING, names, array=True),
        Variable(LATEST, DataType.INT64, [0], array=True),
        Variable(RECENT, DataType.INT64, [0], array=True),
    ]


def _methods() -> tuple[Method, ...]:
    int64, double, string = DataType.INT64, DataType.DOUBLE, DataType.STRING
    return (
        Method(
            APPLY,
            (
                Argument("Sequence", int64),
                Argument("Heartbeat", int64),
                Argument("DeadlineUs", int64),
                Argument("Names", string, array=True),
                Argument("Values", double, array=True),
            ),
            (
                Argument("Outcome", string),
                Argument("Result", string),
                Argument("Active", double, array=True),
            ),
        ),
        Method(
            ADVANCE,
            (Argument("UntilUs", int64),),
            (
                Argument("Step", int64),
                Argument("FirstEvent", int64),
                Argument("Times", int64, array=True),
                Argument("Entities", string, array=True),
                Argument("Before", DataType.INT32, array=True),
                Argument("After", DataType.INT32, array=True),
                Argument("Parts", int64, array=True),
            ),
        ),
        Method(VERBS["RequestRemote"]),
        Method(VERBS["ReleaseRemote"]),
        Method(VERBS["ResetShed"]),
        Method(VERBS["PermitRemote"], (Argument("Permit", DataType.BOOLEAN),)),
    )


def _check_width(space: AddressSpace) -> None:
    children: dict[str, int] = {}
    for path in {*space.paths(), *space.folders()}:
        parent = path.rpartition("/")[0]
        children[parent] = children.get(parent, 0) + 1
    for parent, count in children.items():
        if count > MOST_CHILDREN:
            msg = f"{parent!r} would have {count} children, at most {MOST_CHILDREN} are allowed"
            raise ValueError(msg)
