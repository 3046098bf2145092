"""Servers that start quickly: the six thousand standard nodes are built once a test process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.address_space import AttributeValue, NodeData
from asyncua.server.internal_server import InternalServer

Nodes = dict[ua.NodeId, NodeData]


def copied(nodes: Nodes) -> Nodes:
    """The same nodes to be changed by another server; values and references are immutable."""
    copies = {}
    for node_id, node in nodes.items():
        copy = copies[node_id] = NodeData(node.nodeid)
        copy.references = node.references.copy()
        copy.attributes = {
            key: AttributeValue(attribute.value) for key, attribute in node.attributes.items()
        }
    return copies


@pytest.fixture(scope="session", autouse=True)
def quick_servers() -> Iterator[None]:
    built: list[Nodes] = []
    load = InternalServer.load_standard_address_space

    async def load_once(self: InternalServer, shelf_file: Any = None) -> None:
        if not built:
            await load(self, shelf_file)
            built.append(copied(self.aspace._nodes))
        self.aspace._nodes = copied(built[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InternalServer, "load_standard_address_space", load_once)
        yield
