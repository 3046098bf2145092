from __future__ import annotations

from dataclasses import replace

import pytest

from tests.twin.equipment.lines import plant, signals
from twin.equipment import address_space as nodes
from twin.equipment.address_space import line_nodes
from twin.equipment.node_types import AddressSpace, DataType
from twin.equipment.plc import PlcMode
from twin.equipment.units import unece_id
from twin.line.model import build_line
from twin.signals import Role


@pytest.fixture(scope="module")
def space() -> AddressSpace:
    return line_nodes(build_line(plant()), signals())


def test_each_signal_has_one_node_of_its_own(space):
    shown = [v for v in space.variables if v.signal >= 0 and not v.words]
    assert [v.signal for v in shown] == list(range(len(signals())))
    assert [v.path for v in shown] == [nodes.value_path(s) for s in signals()]


def test_paths_are_unique_and_begin_with_the_isa_95_levels(space):
    paths = space.paths()
    assert len(set(paths)) == len(paths)
    assert not set(paths) & set(space.folders())
    assert space.root == "acme/ulm/machining/line1"
    assert [level for _, level in space.levels] == ["Enterprise", "Site", "Area", "Line"]


def test_only_requests_their_commit_and_the_heartbeat_can_be_written(space):
    writable = {v.path for v in space.variables if v.writable}
    requests = {f"{s.node}/Request" for s in signals() if s.role is Role.MV}
    assert writable == requests | {"Control/RequestSeq", "Control/ControllerAlive"}


def test_points_in_plant_time_are_known():
    names = {s.name for s in signals() if nodes.is_instant(s)}
    since = {s.name for s in signals() if s.name.endswith(".state_since_s")}
    assert len(since) == len(plant().stations)
    assert names == since | {"line.last_release_s"}


def test_a_conveyor_lists_its_carriers_beside_the_buffers(space):
    assert set(nodes.part_id_paths(signals())) == set(nodes.buffer_paths(signals()))
    paths = nodes.part_id_paths(signals("paint_cure_line"))
    assert paths["oven"] == "Stations/oven/Status/PartIds"
    assert set(paths) > set(nodes.buffer_paths(signals("paint_cure_line")))


def test_a_setpoint_shows_its_limits(space):
    by_path = {v.path: v for v in space.variables}
    at = "Stations/turning/Setpoints/feed_mm"
    assert (by_path[f"{at}/LowLimit"].initial, by_path[f"{at}/HighLimit"].initial) == (0.15, 0.38)
    assert by_path[f"{at}/RateLimit"].initial == 0.002
    assert by_path[f"{at}/Active"].unit == "mm"


def test_states_are_told_in_the_words_of_packml(space):
    by_path = {v.path: v for v in space.variables}
    text = by_path["Stations/wash/Status/StateText"]
    assert text.words[4] == "Execute"
    assert text.words[6] == "Aborted"
    starved = by_path["Stations/wash/Status/EquipmentStarved"]
    blocked = by_path["Stations/wash/Status/EquipmentBlocked"]
    assert [starved.words[3], starved.words[5]] == [True, False]
    assert [blocked.words[3], blocked.words[5]] == [False, True]


def test_the_mode_has_the_words_of_the_plc(space):
    mode = next(v for v in space.variables if v.path == "Control/Mode")
    assert mode.codes == tuple(one.name.lower() for one in PlcMode)


def test_counts_are_integers_and_measurements_are_not(space):
    types = {v.path: v.data_type for v in space.variables}
    assert types["Stations/turning/Status/StateCurrent"] is DataType.INT32
    assert types["Line/GoodCount"] is DataType.INT64
    assert types["Stations/turning/Process/power_kw"] is DataType.DOUBLE
    assert types["Control/PermitRemote"] is DataType.BOOLEAN


def test_a_parent_with_too_many_children_is_refused():
    line = build_line(plant())
    first = signals()[0]
    wide = [replace(first, name=f"line.x{k}", node=f"Line/x{k}") for k in range(201)]
    with pytest.raises(ValueError, match="'Line' would have 201 children"):
        line_nodes(line, wide)


def test_units_have_the_numbers_of_their_common_codes():
    assert unece_id("kW") == 0x4B5754  # KWT
    assert unece_id("EUR/MW.h") == -1
