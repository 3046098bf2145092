"""Which role a user needs to change what at the line: data, node by node.

The OPC UA library asks for a role by service, not by node. Here stands the least role for each method and
each writable variable of the line; what does not stand here, nobody outside may write or call. Reading,
browsing and subscribing is for every user.
"""

from __future__ import annotations

from collections.abc import Iterable

from twin.equipment import address_space as nodes
from twin.equipment.node_types import AddressSpace
from twin.equipment.users import Role

PERMIT = nodes.VERBS["PermitRemote"]


def least_roles(space: AddressSpace) -> dict[str, Role]:
    """By path below the line object, the role that a change of it needs at least."""
    found: dict[str, Role] = dict.fromkeys(_changeable(space), Role.operator)
    found[PERMIT] = Role.engineer
    return found


def _changeable(space: AddressSpace) -> Iterable[str]:
    yield from (variable.path for variable in space.variables if variable.writable)
    yield from (method.path for method in space.methods)
