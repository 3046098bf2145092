"""The address space of a line as a NodeSet2 file, for tools that plan before there is a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from asyncua import Server, ua
from asyncua.common.xmlexporter import XmlExporter

from twin.equipment.address_space import line_nodes
from twin.equipment.asyncua_log import quiet_asyncua
from twin.equipment.opcua_security import open_server
from twin.equipment.server import Refused, add_nodes
from twin.line.model import Line
from twin.signals import Signal

_ids = ua.ObjectIds
_ENCODINGS = {
    f"i={data_type}": f"i={encoding}"
    for data_type, encoding in (
        (_ids.Argument, _ids.Argument_Encoding_DefaultXml),
        (_ids.Range, _ids.Range_Encoding_DefaultXml),
        (_ids.EUInformation, _ids.EUInformation_Encoding_DefaultXml),
    )
}


async def write_nodeset(line: Line, signals: tuple[Signal, ...], path: Path) -> int:
    """Write the file, whole or not at all; returns how many nodes it holds.

    The values are those of a server at its start. The same line gives the same bytes.
    """
    quiet_asyncua()
    server = open_server()
    await server.init()
    try:
        nodes = await _own_nodes(server, line, signals)
        exporter: Any = XmlExporter(server, export_values=True)
        await exporter.build_etree([server.get_node(node) for node in nodes])
        root = exporter.etree.getroot()
        _name_encodings(root)
        ET.indent(root)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")
        part.replace(path)
    finally:
        await server.stop()
    return len(nodes)


def _name_encodings(root: ET.Element) -> None:
    """Name the XML encoding of each structure, as Part 6 asks; the library names its data type."""
    for identifier in root.iter("uax:Identifier"):
        identifier.text = _ENCODINGS.get(identifier.text or "", identifier.text)


async def _own_nodes(server: Server, line: Line, signals: tuple[Signal, ...]) -> list[ua.NodeId]:
    """Put the line into the server; all nodes of its namespace, parents first."""
    space = line_nodes(line, signals)
    nodes = await add_nodes(server, space, dict.fromkeys((m.path for m in space.methods), _refuse))
    index = nodes[""].NamespaceIndex
    known = server.iserver.aspace.keys()
    own = [node for node in known if node.NamespaceIndex == index]
    return sorted(own, key=lambda node: str(node.Identifier).split("/"))


async def _refuse(*_: object) -> None:
    raise Refused(ua.StatusCodes.BadNotSupported)
