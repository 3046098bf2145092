"""What is drafted from a server: right where it guesses, open where it cannot tell."""

from __future__ import annotations

import pytest
from asyncua import ua

from tests.twin.equipment.lines import signals
from twin.equipment.foreign.addresses import Live
from twin.equipment.foreign.draft import address, draft
from twin.equipment.foreign.inventory import Item
from twin.equipment.foreign.matching import assigned, words
from twin.signals import Limits, Role, Signal

ENTITIES = ("turning", "milling", "b_turned")


def item(path: str, kind: str = "Double", *, writable: bool = False, unit: str = "") -> Item:
    node = ua.NodeId(path, 2)
    live = Live(
        node,
        is_method=kind == "method",
        type="" if kind == "method" else kind,
        is_array=False,
        readable=kind != "method",
        writable=writable,
        executable=kind == "method",
        value=ua.DataValue(ua.Variant(0.0)),
        name=path.rpartition("/")[2],
    )
    steps = tuple((2, step) for step in path.split("/"))
    return Item(live, ua.NodeId(path.rpartition("/")[0], 2), steps, unit, unit)


def signal(name: str, unit: str = "1", role: Role = Role.PV) -> Signal:
    return Signal(name, unit, role, "", Limits(0.0, 1.0))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ST10_SpindleSpeedActual", ("st", "10", "spindle", "speed", "actual")),
        ("PLCAlive", ("plc", "alive")),
        ("b_turned.level", ("b", "turned", "level")),
        ("PartsCount", ("op", "count")),
        ("Temperature", ("temp",)),
    ],
)
def test_names_are_taken_apart_in_any_spelling(name, found):
    assert words(name) == found


def guesses(wanted: list[Signal], items: list[Item]) -> dict[str, str]:
    found, _ = assigned(wanted, items, ENTITIES)
    return {name: guess.item.text for name, guess in found.items()}


def test_a_node_below_another_machine_is_not_meant():
    items = [item("Line/Milling/Power", unit="kW"), item("Line/Turning/Power", unit="kW")]
    assert guesses([signal("turning.power_kw", "kW")], items) == {
        "turning.power_kw": "Line/Turning/Power"
    }
    assert guesses([signal("line.power_kw", "kW")], items) == {}


def test_a_node_of_another_quantity_is_not_meant():
    items = [item("Line/Turning/Power", unit="bar")]
    assert guesses([signal("turning.power_kw", "kW")], items) == {}


def test_what_fits_twice_is_left_open_and_told():
    items = [item("A/Turning/Power", unit="kW"), item("B/Turning/Power", unit="kW")]
    found, why = assigned([signal("turning.power_kw", "kW")], items, ENTITIES)
    assert found == {}
    assert "not told apart: A/Turning/Power" in why["turning.power_kw"]
    two = [signal("turning.scrap_count"), signal("turning.tool_count")]
    found, why = assigned(two, [item("Turning/ScrapToolCount", "Int32")], ENTITIES)
    assert found == {}
    assert "may also be turning.tool_count" in why["turning.scrap_count"]


def test_a_node_belongs_to_the_signal_that_it_fits_best():
    wanted = [signal("turning.state"), signal("turning.state_since_s", "s")]
    assert guesses(wanted, [item("Turning/State", "Int32")]) == {"turning.state": "Turning/State"}


def test_a_setpoint_is_shown_here_and_asked_there():
    items = [
        item("Turning/Feed/Actual", unit="mm"),
        item("Turning/Feed/Setpoint", "Float", writable=True, unit="mm"),
    ]
    wanted = [signal("turning.feed_mm", "mm", Role.MV)]
    made = draft("p", wanted, items, ("", "urn:us", "urn:acme:plc"), "urn:acme")
    assert made.signals["turning.feed_mm"]["node"] == "plc:s=Turning/Feed/Actual"
    assert made.signals["turning.feed_mm"]["write"] == {
        "node": "plc:s=Turning/Feed/Setpoint",
        "type": "Float",
    }


def test_the_standby_methods_are_found_where_no_tag_is():
    items = [
        item("Turning/Ecm/StandbyStatus", "Byte"),
        item("Turning/Ecm/StartPause", "method"),
        item("Turning/Ecm/EndPause", "method"),
    ]
    made = draft("p", [signal("turning.standby", "1", Role.MV)], items, ("", "", "urn:plc"), "")
    assert made.signals["turning.standby"]["pause"]["start"] == {
        "node": "plc:s=Turning/Ecm/StartPause"
    }


def test_nothing_is_invented_for_a_server_that_has_nothing():
    made = draft("machining_line", signals(), [], ("http://opcfoundation.org/UA/",), "")
    assert made.signals == made.handshake == {}
    assert set(made.open) >= {s.name for s in signals()}
    assert "handshake.heartbeat" in made.open


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028", "\u2029"])
def test_a_server_writes_no_line_of_the_draft(end):
    live = f"{end}status: {{uncertain: good}}{end}#"
    items = [
        item(f"Line/Turning/Power{live}", unit="kW"),  # guessed
        item(f"Line/Alive{live}", writable=True),  # a part of the handshake
        item(f"A/Milling/Power{live}", unit="kW"),  # not told apart
        item(f"B/Milling/Power{live}", unit="kW"),
        item(f"Line/Other{live}"),  # of no signal
        item(f"Line/StartIt{live}", "method"),
    ]
    wanted = [signal("turning.power_kw", "kW"), signal("milling.power_kw", "kW")]
    made = draft("p", wanted, items, ("", "", f"urn:acme:plc{live}"), f"urn:acme{live}")
    assert set(made.signals) == {"turning.power_kw"}
    assert set(made.handshake) == {"heartbeat"}
    assert any("not told apart" in why for why in made.open.values())
    assert any("StartIt" in text for text in made.unused)
    lines = made.text().splitlines()
    assert not [line for line in lines if line.startswith("status")]
    plain = [line for line in lines if not line.startswith("#") and line]
    assert [line.partition(":")[0].strip() for line in plain] == [
        *("schema_version", "plant", "server", "namespaces", plain[4].partition(":")[0].strip()),
        *("application_uri", "signals", "turning.power_kw", "handshake", "heartbeat"),
    ]


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (ua.NodeId(2258, 0), "i=2258"),
        (ua.NodeId("A.B=C", 3), "plc:s=A.B=C"),
        (ua.NodeId(b"\x01\xff", 3), "plc:b=01ff"),
    ],
)
def test_every_kind_of_node_id_has_its_address(node, text):
    assert address(node, {3: "plc"}) == text
