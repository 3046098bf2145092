from __future__ import annotations

from pathlib import Path

import pytest
from asyncua import Server, ua

from tests.twin.cli.shell import twin
from tests.twin.equipment.lines import plant, signals
from twin.equipment.address_space import NAMESPACE, line_nodes
from twin.equipment.node_types import DataType
from twin.equipment.nodeset import write_nodeset
from twin.equipment.units import unece_id
from twin.line.model import build_line


@pytest.fixture
def line():
    return build_line(plant())


async def test_another_server_takes_the_file_and_has_the_same_line(line, tmp_path):
    path = tmp_path / "line.xml"
    count = await write_nodeset(line, signals(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["line.xml"]
    other = Server()
    await other.init()
    try:
        added = await other.import_xml(str(path))
        assert len(added) == count
        index = await other.get_namespace_index(NAMESPACE)
        space = line_nodes(line, signals())
        for variable in space.variables:
            node = other.get_node(ua.NodeId(f"{space.root}/{variable.path}", index))
            assert (await node.read_data_type_as_variant_type()).name == variable.data_type.value
            access = await node.get_access_level()
            assert (ua.AccessLevel.CurrentWrite in access) is variable.writable
            if variable.limits is not None:
                shown = await (await node.get_child("0:EURange")).read_value()
                assert (shown.Low, shown.High) == (variable.limits.lo, variable.limits.hi)
            if variable.unit != "1" and unece_id(variable.unit) >= 0:
                unit = await (await node.get_child("0:EngineeringUnits")).read_value()
                assert unit.UnitId == unece_id(variable.unit)
            if variable.codes:
                words = await (await node.get_child("0:EnumStrings")).read_value()
                assert [word.Text for word in words] == list(variable.codes)
        for method in space.methods:
            node = other.get_node(ua.NodeId(f"{space.root}/{method.path}", index))
            if method.takes:
                taken = await (await node.get_child("0:InputArguments")).read_value()
                assert [a.Name for a in taken] == [a.name for a in method.takes]
        feed = ua.NodeId(f"{space.root}/Stations/turning/Setpoints/feed_mm/HighLimit", index)
        assert await other.get_node(feed).read_value() == 0.38
    finally:
        await other.stop()


async def test_the_same_line_gives_the_same_bytes(line, tmp_path):
    await write_nodeset(line, signals(), tmp_path / "one.xml")
    await write_nodeset(line, signals(), tmp_path / "two.xml")
    assert (tmp_path / "one.xml").read_bytes() == (tmp_path / "two.xml").read_bytes()


def test_the_command_writes_it_and_serves_nothing(tmp_path: Path):
    path = tmp_path / "line.NodeSet2.xml"
    code, out, err = twin("emulate", "machining_line", "--nodeset", path)
    assert (code, out) == (0, "")
    assert str(path) in err
    assert path.read_text("utf-8").count("<UAVariable ") > 300
    code, _, err = twin("emulate", "machining_line", "--nodeset", tmp_path / "no" / "x.xml")
    assert code == 2
    assert "no folder" in err


def test_bytes_are_bytes_and_states_have_the_numbers_of_packml(line):
    by_path = {v.path: v for v in line_nodes(line, signals()).variables}
    status = by_path["Stations/wash/EnergyManagement/StandbyManagementStatus"]
    assert status.data_type is DataType.BYTE
    assert [status.words[code] for code in (0, 1, 2, 3, 4)] == [1, 4, 5, 2, 2]
    number = by_path["Stations/wash/Status/StateNumber"]
    assert [number.words[code] for code in (0, 1, 3, 4, 6)] == [2, 4, 5, 6, 9]
