"""Nodes of a mapping file on a live server: found anew at each connection, by namespace URI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asyncua import Client, ua

from twin.config.mapping import ADDRESS, NodeSpec
from twin.equipment.opcua_types import node_id

READS = (
    *("NodeClass", "DataType", "ValueRank", "AccessLevel", "UserAccessLevel", "Value"),
    *("BrowseName", "Executable", "UserExecutable"),
)
"""What is asked of each node."""
AT_ONCE = 100
"""Nodes in one request: servers limit what they answer at once."""


@dataclass(frozen=True, slots=True)
class Live:
    """A node as it was found on a server.

    ``type`` is the built-in type of its value, empty where that cannot be told.
    """

    id: ua.NodeId
    is_method: bool
    type: str
    is_array: bool
    readable: bool
    writable: bool
    executable: bool
    value: ua.DataValue
    name: str = ""


async def resolve(
    client: Client, words: Mapping[str, str], specs: Iterable[NodeSpec]
) -> dict[str, ua.NodeId]:
    """The node id of each address and path; those whose namespace or path is not there are left out."""
    uris = await client.get_namespace_array()
    index = {word: uris.index(uri) for word, uri in words.items() if uri in uris}
    found: dict[str, ua.NodeId] = {}
    paths: dict[str, ua.RelativePath] = {}
    for spec in specs:
        if spec.node is not None:
            made = _node(spec.node, index)
            if made is not None:
                found[spec.where] = made
        elif spec.path is not None:
            browse = _relative(spec.path, index)
            if browse is not None:
                paths[spec.where] = browse
    for names in chunks(tuple(paths)):
        objects = node_id(ua.ObjectIds.ObjectsFolder)
        results = await client.translate_browsepaths(objects, [paths[name] for name in names])
        for name, result in zip(names, results, strict=True):
            if result.StatusCode.is_good() and result.Targets:
                found[name] = result.Targets[0].TargetId
    return found


async def look(client: Client, nodes: Sequence[ua.NodeId]) -> dict[ua.NodeId, Live]:
    """What the server says of nodes; those that it does not have are left out."""
    found = {}
    for some in chunks(tuple(dict.fromkeys(nodes))):
        wanted = [
            ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds[name])
            for node in some
            for name in READS
        ]
        answers = []
        for request in chunks(tuple(wanted), AT_ONCE * 5):
            parameters = ua.ReadParameters()
            parameters.NodesToRead = list(request)
            answers += await client.uaclient.read(parameters)
        for at, node in enumerate(some):
            told = answers[at * len(READS) : (at + 1) * len(READS)]
            if told[0].StatusCode is None or told[0].StatusCode.is_good():
                found[node] = _live(node, dict(zip(READS, told, strict=True)))
    return found


def chunks(items: tuple[Any, ...], size: int = AT_ONCE) -> Iterable[tuple[Any, ...]]:
    """The items in their order, so many at a time."""
    return (items[at : at + size] for at in range(0, len(items), size))


def _live(node: ua.NodeId, told: Mapping[str, ua.DataValue]) -> Live:
    value = told["Value"]
    access = int(_held(told["UserAccessLevel"], _held(told["AccessLevel"], 0)))
    browse = _held(told["BrowseName"], None)
    is_method = _held(told["NodeClass"], 0) == ua.NodeClass.Method
    return Live(
        node,
        is_method,
        _type(_held(told["DataType"], None), value),
        _held(told["ValueRank"], -1) >= 0,
        bool(access & ua.AccessLevel.CurrentRead.mask),
        bool(access & ua.AccessLevel.CurrentWrite.mask),
        is_method and bool(_held(told["UserExecutable"], _held(told["Executable"], True))),
        value,
        "" if browse is None else browse.Name,
    )


def _held(value: ua.DataValue, otherwise: Any) -> Any:
    good = value.StatusCode is None or value.StatusCode.is_good()
    held = value.Value.Value if good and value.Value is not None else None
    return otherwise if held is None else held


def _type(data_type: ua.NodeId | None, value: ua.DataValue) -> str:
    """The built-in type: that of the value held, else that of the node if it names one itself."""
    if value.Value is not None and value.Value.VariantType is not ua.VariantType.Null:
        return str(value.Value.VariantType.name)
    if data_type is None or data_type.NamespaceIndex != 0:
        return ""
    try:
        return str(ua.VariantType(int(str(data_type.Identifier))).name)
    except ValueError:
        return ""


def _node(text: str, index: Mapping[str, int]) -> ua.NodeId | None:
    found = ADDRESS.fullmatch(text)
    if found is None or (found["word"] and found["word"] not in index):
        return None
    kinds: dict[str, Any] = {"i": int, "g": UUID, "b": bytes.fromhex, "s": str}
    return node_id(kinds[found["kind"]](found["name"]), index.get(found["word"] or "", 0))


def _relative(path: str, index: Mapping[str, int]) -> ua.RelativePath | None:
    """The path with numbers in place of words; None if the server lacks a namespace."""
    elements = []
    made: Any = ua
    for step in path.split("/")[1:]:
        word, colon, name = step.partition(":")
        if colon and word not in index:
            return None
        target = made.QualifiedName(name, index[word]) if colon else made.QualifiedName(step, 0)
        elements.append(
            made.RelativePathElement(
                ReferenceTypeId=node_id(ua.ObjectIds.HierarchicalReferences),
                IsInverse=False,
                IncludeSubtypes=True,
                TargetName=target,
            )
        )
    relative: ua.RelativePath = made.RelativePath(elements)
    return relative
