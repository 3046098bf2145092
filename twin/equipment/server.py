"""The tree of a line inside an asyncua server."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asyncua import Server, ua

from twin.equipment.address_space import NAMESPACE
from twin.equipment.node_types import AddressSpace, Argument, DataType, Method, Variable
from twin.equipment.opcua_types import TYPES, node_id, status
from twin.equipment.units import unece_id

Action = Callable[..., Awaitable[Any]]
CASTS: dict[DataType, Callable[[float], Any]] = {
    DataType.BOOLEAN: bool,
    DataType.BYTE: int,
    DataType.INT32: int,
    DataType.INT64: int,
    DataType.DOUBLE: float,
}


class Refused(Exception):  # noqa: N818  (an answer, not a fault)
    """A method says no, by one of the status codes of OPC UA."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


async def add_nodes(
    server: Server,
    space: AddressSpace,
    actions: Mapping[str, Action],
    *,
    historised: bool = False,
) -> dict[str, ua.NodeId]:
    """Put the tree under Objects; returns the node of each path below the line object.

    ``actions`` are the methods by path: given plain values, they return variants or raise
    ``Refused``. ``historised``: the values of signals can be read back in time.
    """
    index = await server.register_namespace(NAMESPACE)
    session = server.iserver.isession
    parent = node_id(ua.ObjectIds.ObjectsFolder)
    items = []
    for path, level in space.levels:
        node = node_id(path, index)
        items.append(_object(node, parent, organizes=path == space.levels[0][0]))
        text = Variable("EquipmentLevel", DataType.STRING, level)
        items.append(_variable(node_id(f"{path}/EquipmentLevel", index), node, text, prop=True))
        parent = node
    nodes = {"": parent}
    for path in space.folders():
        nodes[path] = node_id(f"{space.root}/{path}", index)
        items.append(_object(nodes[path], nodes[path.rpartition("/")[0]]))
    for variable in space.variables:
        node = node_id(f"{space.root}/{variable.path}", index)
        nodes[variable.path] = node
        item = _variable(node, nodes[variable.path.rpartition("/")[0]], variable)
        if historised and variable.signal >= 0 and not variable.words:
            item.NodeAttributes = _historised(item.NodeAttributes)
        items.append(item)
        items += _properties(node, variable)
    for result in await session.add_nodes(items):
        result.StatusCode.check()
    for method in space.methods:
        folder, _, name = method.path.rpartition("/")
        nodes[method.path] = node_id(f"{space.root}/{method.path}", index)
        await server.get_node(nodes[folder]).add_method(
            nodes[method.path],
            ua.QualifiedName(name, index),
            _callback(method, actions[method.path]),
            [_argument(a) for a in method.takes],
            [_argument(a) for a in method.returns],
        )
    return nodes


def _object(node: ua.NodeId, parent: ua.NodeId, *, organizes: bool = False) -> ua.AddNodesItem:
    name = str(node.Identifier).rpartition("/")[2]
    item = ua.AddNodesItem(RequestedNewNodeId=node, ParentNodeId=parent)
    item.BrowseName = ua.QualifiedName(name, node.NamespaceIndex)
    item.NodeClass = ua.NodeClass.Object
    item.ReferenceTypeId = node_id(
        ua.ObjectIds.Organizes if organizes else ua.ObjectIds.HasComponent
    )
    item.TypeDefinition = node_id(ua.ObjectIds.BaseObjectType)
    text = ua.LocalizedText(name)
    item.NodeAttributes = ua.ObjectAttributes(DisplayName=text, Description=text, EventNotifier=0)
    return item


def _variable(
    node: ua.NodeId, parent: ua.NodeId, variable: Variable, *, prop: bool = False
) -> ua.AddNodesItem:
    name = variable.path.rpartition("/")[2]
    item = ua.AddNodesItem(RequestedNewNodeId=node, ParentNodeId=parent)
    standard = prop and name != "EquipmentLevel"
    item.BrowseName = ua.QualifiedName(name, 0 if standard else node.NamespaceIndex)
    item.NodeClass = ua.NodeClass.Variable
    item.ReferenceTypeId = node_id(ua.ObjectIds.HasProperty if prop else ua.ObjectIds.HasComponent)
    kind = ua.ObjectIds.BaseDataVariableType
    if prop:
        kind = ua.ObjectIds.PropertyType
    elif variable.limits is not None and variable.data_type is DataType.DOUBLE:
        kind = ua.ObjectIds.AnalogItemType
    elif variable.codes:
        kind = ua.ObjectIds.MultiStateDiscreteType
    item.TypeDefinition = node_id(kind)
    item.NodeAttributes = _attributes(
        name,
        ua.Variant(_initial(variable), TYPES[variable.data_type], is_array=variable.array),
        node_id(TYPES[variable.data_type].value),
        writable=variable.writable,
    )
    return item


def _attributes(
    name: str, value: ua.Variant, data_type: ua.NodeId, *, writable: bool = False
) -> ua.VariableAttributes:
    access = ua.AccessLevel.CurrentRead.mask
    if writable:
        access |= ua.AccessLevel.CurrentWrite.mask
    text = ua.LocalizedText(name)
    return ua.VariableAttributes(
        DisplayName=text,
        Description=text,
        Value=value,
        DataType=data_type,
        ValueRank=ua.ValueRank.OneDimension if value.is_array else ua.ValueRank.Scalar,
        AccessLevel=access,
        UserAccessLevel=access,
        Historizing=False,
    )


def _historised(attributes: ua.VariableAttributes) -> ua.VariableAttributes:
    access = attributes.AccessLevel | ua.AccessLevel.HistoryRead.mask
    return dataclasses.replace(
        attributes, AccessLevel=access, UserAccessLevel=access, Historizing=True
    )


def _initial(variable: Variable) -> Any:
    if variable.initial is not None or variable.data_type is DataType.DATE_TIME:
        return variable.initial
    return CASTS[variable.data_type](0.0)


def _properties(node: ua.NodeId, variable: Variable) -> list[ua.AddNodesItem]:
    """Unit, range and the words for codes, as AnalogItemType and MultiStateDiscreteType have them."""
    found: list[tuple[str, Any, int]] = []
    if variable.unit != "1":
        identifier = unece_id(variable.unit)
        space = "http://www.opcfoundation.org/UA/units/un/cefact"
        if identifier < 0:
            space = "http://unitsofmeasure.org"
        text = ua.LocalizedText(variable.unit)
        unit = ua.EUInformation(space, identifier, text, text)
        found.append(("EngineeringUnits", unit, ua.ObjectIds.EUInformation))
    if variable.limits is not None:
        limits = ua.Range(variable.limits.lo, variable.limits.hi)
        found.append(("EURange", limits, ua.ObjectIds.Range))
    if variable.codes:
        texts = [ua.LocalizedText(code) for code in variable.codes]
        found.append(("EnumStrings", texts, ua.ObjectIds.LocalizedText))
    items = []
    for name, value, data_type in found:
        kind = ua.VariantType.ExtensionObject
        if isinstance(value, list):
            kind = ua.VariantType.LocalizedText
        prop = Variable(name, DataType.STRING, "")
        at = node_id(f"{node.Identifier!s}/{name}", node.NamespaceIndex)
        item = _variable(at, node, prop, prop=True)
        variant = ua.Variant(value, kind, is_array=isinstance(value, list))
        item.NodeAttributes = _attributes(name, variant, node_id(data_type))
        items.append(item)
    return items


def _argument(argument: Argument) -> ua.Argument:
    return ua.Argument(
        Name=argument.name,
        DataType=node_id(TYPES[argument.data_type].value),
        ValueRank=ua.ValueRank.OneDimension if argument.array else ua.ValueRank.Scalar,
    )


def _callback(method: Method, action: Action) -> Action:
    """Check number and types of the arguments, which the library leaves to the method."""

    async def call(_parent: ua.NodeId, *given: ua.Variant) -> Any:
        if len(given) < len(method.takes):
            return status(ua.StatusCodes.BadArgumentsMissing)
        if len(given) > len(method.takes):
            return status(ua.StatusCodes.BadTooManyArguments)
        values = []
        for variant, argument in zip(given, method.takes, strict=True):
            wrong = variant.VariantType is not TYPES[argument.data_type]
            if wrong or variant.is_array != argument.array:
                return status(ua.StatusCodes.BadInvalidArgument)
            if variant.Value is None and not argument.array:
                return status(ua.StatusCodes.BadInvalidArgument)
            values.append([] if variant.Value is None else variant.Value)
        try:
            return await action(*values)
        except Refused as refused:
            return status(refused.code)

    return call
