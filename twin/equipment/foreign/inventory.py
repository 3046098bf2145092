"""What a server has: all variables and methods below its Objects folder, with what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from asyncua import Client, ua

from twin.equipment.foreign.addresses import AT_ONCE, Live, chunks, look
from twin.equipment.opcua_types import node_id
from twin.equipment.units import unit_of
from twin.signals import Limits

DEEPEST = 16
_SERVER_OBJECT = node_id(ua.ObjectIds.Server)
_KINDS = (ua.NodeClass.Object, ua.NodeClass.Variable, ua.NodeClass.Method)
_PROPERTIES = ("EngineeringUnits", "EURange", "EnumStrings")


@dataclass(frozen=True, slots=True)
class Item:
    """A variable or method of a server. ``path`` are browse names from the Objects folder on.

    ``unit`` is a UCUM code, empty where the server tells none that is known; ``said_unit`` is its own
    word. ``words`` name the values of a code.
    """

    live: Live
    parent: ua.NodeId
    path: tuple[tuple[int, str], ...]
    unit: str = ""
    said_unit: str = ""
    limits: Limits | None = None
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The path as people read it."""
        return "/".join(name for _, name in self.path)


@dataclass(slots=True)
class _Tree:
    """What browsing has found so far: the way to each node, and properties by their owner."""

    paths: dict[ua.NodeId, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    parents: dict[ua.NodeId, ua.NodeId] = field(default_factory=dict)
    classes: dict[ua.NodeId, ua.NodeClass] = field(default_factory=dict)
    properties: dict[ua.NodeId, dict[str, ua.NodeId]] = field(default_factory=dict)


async def take_inventory(client: Client) -> tuple[Item, ...]:
    """Browse the whole server, its own Server object left out, in the order of paths."""
    tree = _Tree()
    objects = node_id(ua.ObjectIds.ObjectsFolder)
    tree.paths[objects] = ()
    level = [objects]
    for _ in range(DEEPEST):
        level = await _below(client, tree, level)
        if not level:
            break
    wanted = [
        node
        for node, kind in tree.classes.items()
        if kind in (ua.NodeClass.Variable, ua.NodeClass.Method)
    ]
    live = await look(client, wanted)
    said = await _said(client, tree, live)
    found = [_item(tree, live[node], said.get(node, {})) for node in wanted if node in live]
    return tuple(sorted(found, key=lambda item: item.path))


async def _below(client: Client, tree: _Tree, level: Sequence[ua.NodeId]) -> list[ua.NodeId]:
    """The children of one level of the tree; properties are noted with their owner."""
    found = []
    for some in chunks(tuple(level)):
        nodes = [client.get_node(node) for node in some]
        for node, (_, result) in zip(some, await client.browse_nodes(nodes), strict=True):
            references = list(result.References or ())
            if result.ContinuationPoint:
                references = await client.get_node(node).get_references()
            for reference in references:
                child = _child(tree, node, reference)
                if child is not None:
                    found.append(child)
    return found


def _child(tree: _Tree, parent: ua.NodeId, reference: ua.ReferenceDescription) -> ua.NodeId | None:
    """The node that a reference leads down to, if it is new and worth a look."""
    name = reference.BrowseName
    child: ua.NodeId = reference.NodeId
    if not reference.IsForward or child == _SERVER_OBJECT or child in tree.paths:
        return None
    if reference.ReferenceTypeId == node_id(ua.ObjectIds.HasProperty):
        tree.properties.setdefault(parent, {})[name.Name] = child
        if name.Name in _PROPERTIES or name.NamespaceIndex == 0:
            return None
    elif reference.NodeClass not in _KINDS:
        return None
    tree.paths[child] = (*tree.paths[parent], (name.NamespaceIndex, name.Name))
    tree.parents[child], tree.classes[child] = parent, reference.NodeClass
    return child


async def _said(
    client: Client, tree: _Tree, live: Mapping[ua.NodeId, Live]
) -> dict[ua.NodeId, dict[str, Any]]:
    """The values of the properties that tell unit, range and words."""
    wanted = [
        (node, name, tree.properties[node][name])
        for node in live
        for name in _PROPERTIES
        if name in tree.properties.get(node, {})
    ]
    said: dict[ua.NodeId, dict[str, Any]] = {}
    for some in chunks(tuple(wanted), AT_ONCE):
        parameters = ua.ReadParameters()
        parameters.NodesToRead = [
            ua.ReadValueId(NodeId=at, AttributeId=ua.AttributeIds.Value) for *_, at in some
        ]
        answers = await client.uaclient.read(parameters)
        for (node, name, _), answer in zip(some, answers, strict=True):
            if answer.Value is not None and answer.Value.Value is not None:
                said.setdefault(node, {})[name] = answer.Value.Value
    return said


def _item(tree: _Tree, live: Live, said: Mapping[str, Any]) -> Item:
    item = Item(live, tree.parents[live.id], tree.paths[live.id])
    unit, limits, words = (said.get(name) for name in _PROPERTIES)
    if isinstance(unit, ua.EUInformation):
        text = (unit.DisplayName.Text if unit.DisplayName is not None else "") or ""
        item = replace(item, unit=unit_of(int(unit.UnitId), text), said_unit=text)
    if isinstance(limits, ua.Range) and limits.Low < limits.High:
        item = replace(item, limits=Limits(float(limits.Low), float(limits.High)))
    if isinstance(words, list):
        item = replace(item, words=tuple(str(word.Text or "") for word in words))
    return item
