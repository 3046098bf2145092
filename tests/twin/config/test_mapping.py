"""Mapping files that cannot be used: each with its place and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.twin.equipment.lines import plant, signals
from twin.config import Mapping, PlantError, load_mapping
from twin.equipment.foreign import translation

GOOD = """schema_version: 1
plant: machining_line
server:
  namespaces: {plc: "urn:acme:plc"}
signals:
  turning.state:
    node: plc:s=ST10.State
    words: {0: "off", 1: idle, 2: processing}
  turning.power_kw:
    path: /plc:Line/plc:ST10/plc:Power
    unit: W
  turning.feed_mm:
    node: plc:i=17
    write: {node: "plc:i=18", type: Float}
  turning.standby:
    node: plc:s=ST10.Ecm.Status
    words: {2: 0, 3: 1, 4: 1, 5: 0}
    pause: {of: {node: "plc:s=E"}, start: {node: "plc:s=E.Start"}, end: {node: "plc:s=E.End"}}
handshake:
  heartbeat: {node: "plc:s=Alive", type: UInt16}
  sequence: {absent: takes values as they come}
  request_remote: {node: "plc:s=Remote", type: Boolean, value: true}
  release_remote: {node: "plc:s=Remote", type: Boolean, value: false}
absent:
  - {signals: "*.gas_kwh", why: no gas is burnt here}
"""


def load(text: str, folder: Path) -> Mapping:
    path = folder / "m.yaml"
    path.write_text(text, "utf-8")
    mapping = load_mapping(path, plant(), signals())
    translation.check(mapping, signals())
    return mapping


def test_a_good_one_says_what_it_binds_and_what_not(tmp_path):
    mapping = load(GOOD, tmp_path)
    assert translation.meaning(mapping, _signal("turning.state")).value(2) == 4.0
    assert translation.meaning(mapping, _signal("turning.power_kw")).value(1500) == 1.5
    assert mapping.why_absent("oven.gas_kwh") == "no gas is burnt here"
    assert "wash.gas_kwh" not in mapping.undecided(signals())
    needed = mapping.needed(signals())
    assert "milling.state" in needed
    assert "control.permit_remote" in needed
    assert "handshake.reset_shed" in needed
    assert "turning.op_count" not in needed
    assert mapping.guesses() == {}


@pytest.mark.parametrize("part", ["heartbeat", "request_remote"])
def test_no_loop_is_closed_without_what_it_needs_unless_that_is_accepted(part, tmp_path):
    assert load(GOOD, tmp_path).unclosable() == ""
    bound = re.search(rf"(?m)^  {part}: .*\n", GOOD)[0]
    for lacking in ("", f"  {part}: {{absent: no such tag}}\n"):
        told = load(GOOD.replace(bound, lacking), tmp_path).unclosable()
        assert told.startswith(f"the PLC has no {part}, by which it would")
    accepted = f"  {part}: {{absent: no such tag, accepted: somebody stands by}}\n"
    assert load(GOOD.replace(bound, accepted), tmp_path).unclosable() == ""


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("plant: machining_line", "plant: molding_cell", 2, "this is a mapping for"),
        ("turning.feed_mm", "turning.fed_mm", 12, "no signal 'turning.fed_mm'"),
        ("unit: W", "unit: s", 11, "'s' is not converted"),
        ("2: processing", "2: procesing", 8, "no word 'procesing'"),
        ("plc:i=17", "plx:i=17", 12, "no namespace 'plx'"),
        ("plc:i=17", "plc.17", 13, "'plc.17' is no node"),
        ("path: /plc:Line", "path: plc:Line", 10, "is no path"),
        ("    path:", "    node: plc:s=P\n    path:", 9, "name the node once"),
        ("write: {node", "wrote: {node", 14, "unknown key 'wrote'"),
        ("type: Float", "type: Real", 14, "must be"),
        ("turning.feed_mm", "turning.op_count", 12, "never written"),
        ("    unit: W", "    gain: 0", 9, "gain 0"),
        ('"*.gas_kwh"', '"*.steam"', 25, "no signal of the plant"),
        ('"*.gas_kwh"', "turning.state", 6, "bound and absent"),
        ("heartbeat: {node", "heartbeat: {absent: none, node", 20, "say one of"),
        ("heartbeat: {node", "heartbeat: {accepted: all well, node", 20, "only what is absent"),
        ("as they come}", "as they come, accepted: all well}", 21, "nothing is to be accepted"),
    ],
)
def test_a_fault_has_its_place_and_a_hint(old, new, line, words, tmp_path):
    assert old in GOOD
    with pytest.raises(PlantError) as told:
        load(GOOD.replace(old, new, 1), tmp_path)
    error = told.value
    assert words in error.message
    assert error.hint
    assert error.place.endswith(f"m.yaml:{line}"), error.place


def test_an_unknown_status_code_is_refused(tmp_path):
    with pytest.raises(PlantError, match="no status code 'GoodEnough'"):
        load(GOOD + "status: {codes: {GoodEnough: bad}}\n", tmp_path)


def _signal(name: str):
    return next(signal for signal in signals() if signal.name == name)
