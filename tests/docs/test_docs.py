"""The documentation says what the code does: blocks run, links lead somewhere, names exist."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from controllers.policy import manifest
from controllers.policy.manifest import Manifest
from tests.docs.pages import (
    DOCS,
    PAGES,
    REPOSITORY,
    Workshop,
    anchors_of,
    blocks_of,
    links_of,
    name_of,
    prose_of,
)
from twin.act.modes import TABLE
from twin.cli import problems
from twin.cli.app import app
from twin.config import Mapping, load_plant, plant_names, plant_schema
from twin.config.values import Spec
from twin.cycle import Mode, Outcome
from twin.equipment.address_space import line_nodes
from twin.equipment.opcua_security import POLICIES
from twin.feedback.definitions import LINE_KPIS
from twin.feedback.iso22400 import STATION_KPIS
from twin.line.model import build_line
from twin.line.schema import STATES
from twin.line.tags import line_signals

REFERENCE = DOCS / "reference"
GROUPS = ("loop", "limits", "audit", "cert", "user", "policy", "store", "chaos")
"""Verbs that have verbs of their own."""
RUNNABLE = [page for page in PAGES if any(block.word for block in blocks_of(page))]


def text(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every ``twin`` command of every page, with its place."""
    for page in PAGES:
        for block in blocks_of(page):
            if block.language == "console":
                for command, _ in block.commands:
                    words = shlex.split(command, comments=True)
                    if words[0] == "twin":
                        yield f"{name_of(page)}:{block.line}: {command}", words[1:]


@cache
def program() -> Any:
    return typer.main.get_command(app)


def verb_options(words: list[str]) -> tuple[set[str], int]:
    """The options of the verb that a command names, and how many words the verb takes."""
    found, depth = program(), 0
    while hasattr(found, "commands") and depth < len(words) and not words[depth].startswith("-"):
        assert words[depth] in found.commands, f"there is no verb {' '.join(words[: depth + 1])!r}"
        found, depth = found.commands[words[depth]], depth + 1
    options = {name for parameter in found.params for name in parameter.opts}
    return options | {"--help", "-h", "--version"}, depth


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_the_blocks_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TAKTTWIN_LOCKS", str(tmp_path))
    monkeypatch.setenv("TAKTTWIN_KEYS", str(tmp_path / "keys"))
    workshop, blocks = Workshop(page, tmp_path), blocks_of(page)
    for block in blocks:
        workshop.take(block)
    assert any(block.word for block in blocks)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    for link in links_of(page):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{name_of(page)}: {link} leads nowhere"
        assert target.is_relative_to(REPOSITORY), f"{name_of(page)}: {link} leads outside"
        if anchor:
            assert anchor in anchors_of(target), f"{name_of(page)}: {link}: no such heading"


def test_every_page_can_be_reached_from_the_index() -> None:
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links_of(DOCS / "index.md")}
    missing = [name_of(p) for p in DOCS.rglob("*.md") if p.name != "index.md" and p not in linked]
    assert not missing


def test_the_commands_of_the_pages_exist() -> None:
    seen = 0
    for place, words in commands():
        options, depth = verb_options(words)
        for word in words[depth:]:
            if word.startswith("--"):
                assert word.partition("=")[0] in options, f"{place}: no option {word}"
        seen += 1
    assert seen > 20


def test_a_service_is_started_by_commands_that_exist() -> None:
    page = (DOCS / "how-to" / "run-as-a-service.md").read_text("utf-8")
    (unit,) = re.findall(r"(?m)^ExecStart=\S+/twin (.*)$", page)
    (container,) = re.findall(r"(?m)^ENTRYPOINT (\[.*\])$", page)
    for words in (shlex.split(unit), json.loads(container)[1:]):
        options, depth = verb_options(words)
        assert depth == 1
        assert {word for word in words if word.startswith("--")} <= options


def test_the_security_policies_of_the_pages_are_those_of_the_code() -> None:
    address_space = text("address-space.md").partition("\nSecurity: ")[2].partition(", always")[0]
    link = (DOCS / "how-to" / "secure-the-link.md").read_text("utf-8")
    offered = re.search(r"one of the policies ([^*]+) with \*", link)
    assert offered is not None
    for said in (address_space, offered[1]):
        assert re.findall(r"\w+_?Sha256\w*", said) == list(POLICIES)


def test_verbs_named_in_the_prose_exist() -> None:
    seen = 0
    for page in PAGES:
        for named in re.findall(r"`twin ([a-z]+(?: [a-z]+)?)", prose_of(page)):
            words = named.split()
            verb_options(words if words[0] in GROUPS else words[:1])
            seen += 1
    assert seen > 10


def test_the_readme_is_short_and_begins_with_something_to_copy() -> None:
    readme = REPOSITORY / "README.md"
    assert len(readme.read_text("utf-8").splitlines()) <= 150
    first = next(block for block in blocks_of(readme) if block.language == "console")
    assert first.line < 40
    assert first.text.startswith("$ make")


def test_the_make_targets_named_exist() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (REPOSITORY / "Makefile").read_text("utf-8")))
    for page in PAGES:
        named = set(re.findall(r"(?m)(?:`|^\$ )make ([a-z]+)", page.read_text("utf-8")))
        assert named <= targets, name_of(page)


def test_the_command_line_reference_is_complete() -> None:
    said = text("cli.md")
    group = program()
    verbs = {name: verb for name, verb in group.commands.items() if name not in GROUPS}
    for several in GROUPS:
        below = group.commands[several].commands
        verbs |= {f"{several} {name}": verb for name, verb in below.items()}
    for name, verb in verbs.items():
        assert f"`twin {name}" in said, name
        for parameter in verb.params:
            long = [option for option in parameter.opts if option.startswith("--")]
            assert not long or f"`{long[0]}" in said, f"{name} {long}"


def test_the_plant_file_reference_names_every_key() -> None:
    said, schema = text("plant-file.md"), plant_schema()
    for name, part in {"Plant": schema, **schema["$defs"]}.items():
        for key in part.get("properties", {}):
            assert f"`{key}`" in said, f"{name}.{key}"


def test_the_mapping_file_reference_names_every_key() -> None:
    said, schema = text("mapping-file.md"), Mapping.model_json_schema(by_alias=True)
    for name, part in {"Mapping": schema, **schema["$defs"]}.items():
        for key in part.get("properties", {}):
            assert f"`{key}`" in said, f"{name}.{key}"


def test_the_signal_reference_names_every_signal() -> None:
    said = text("signals.md")
    for name in plant_names():
        line = build_line(load_plant(name))
        stations = {station.name: station.setpoints for station in line.stations}
        for signal in line_signals(line):
            owner, _, quantity = signal.name.partition(".")
            of_model = owner in stations and quantity in {
                *stations[owner],
                *next(e.outputs for e in line.stations if e.name == owner),
            }
            if of_model or owner == "env":
                continue
            pattern = re.sub(r"time_[a-z_]+_s", "time_STATE_s", quantity)
            pattern = re.sub(r"zone_temp_\d", "zone_temp_N", pattern)
            whole = f"{owner}.{pattern}" if owner in ("line", "control") else f".{pattern}"
            assert f"{whole}`" in said, signal.name
    assert all(f"`{state}`" in said for state in STATES)


def test_the_address_space_reference_names_every_method_and_variable() -> None:
    said = text("address-space.md")
    line = build_line(load_plant("machining_line"))
    space = line_nodes(line, line_signals(line))
    own = [node.path for node in space.variables if node.signal < 0]
    for path in (*own, *(method.path for method in space.methods)):
        if not path.startswith(("Stations/", "Buffers/", "Line/")):  # those repeat: see below
            assert f"`{path}`" in said, path
    for leaf in ("Request", "Active", "LowLimit", "HighLimit", "RateLimit", "PartIds", "Capacity"):
        assert f"`{leaf}`" in said


def test_the_figures_reference_names_every_figure_with_its_unit() -> None:
    rows = re.findall(r"(?m)^\| `([^`]+)` \| ([^|]*) \|", text("kpis.md"))
    units = {name: unit.strip() for name, unit in rows}
    for definition in LINE_KPIS:
        name = definition.name.removeprefix("line.")
        assert units.get(definition.name, units.get(name)) == definition.unit, definition.name
    assert set(STATION_KPIS) <= set(units)


def test_the_manifest_reference_names_every_key() -> None:
    said = text("policy-manifest.md")
    parts = [Manifest, *vars(manifest).values()]
    seen = 0
    for part in parts:
        if (
            isinstance(part, type)
            and issubclass(part, Spec)
            and part.__module__ == Manifest.__module__
        ):
            for key in part.model_fields:
                assert f"`{key}`" in said, f"{part.__name__}.{key}"
                seen += 1
    assert seen > 40
    assert all(f"`{state}`" in said for state in manifest.Approval)


def test_the_exit_codes_are_those_of_the_program() -> None:
    rows = {int(code) for code in re.findall(r"(?m)^\| (\d+) \|", text("exit-codes.md"))}
    assert rows == {
        0,
        problems.NEGATIVE,
        problems.USAGE,
        problems.UNREACHABLE,
        problems.REFUSED,
        problems.CONFLICT,
        problems.DAMAGED,
        problems.UNFIT,
        problems.INTERNAL,
        problems.STOPPED + 2,
        problems.STOPPED + 15,
    }


def test_the_modes_table_is_the_guards() -> None:
    page = (DOCS / "explanation" / "guard.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| ([A-Z]+) \| `([a-z]+)` \| ([A-Z]+) \|", page)
    assert rows == [(row.source, row.event, row.target) for row in TABLE]
    assert all(mode in page for mode in Mode)
    assert all(outcome in page for outcome in Outcome if outcome is not Outcome.NONE)


def test_decisions_are_numbered_without_a_hole_and_one_page_long() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [page.name[:5] for page in pages] == [f"{n:04d}-" for n in range(1, len(pages) + 1)]
    for page in pages:
        said = page.read_text("utf-8")
        assert len(said.splitlines()) <= 60, page.name
        headings = re.findall(r"(?m)^## (.+)$", said)
        assert headings == [
            "Context",
            "Decision",
            "Consequences",
            "What would change our mind",
        ], page.name


def test_decisions_cited_in_the_code_exist() -> None:
    known = {page.name[:4] for page in (DOCS / "decisions").glob("*.md")}
    for folder in ("twin", "controllers"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            cited = set(re.findall(r"decision (\d{4})", path.read_text("utf-8")))
            assert cited <= known, path


def test_every_source_that_a_plant_file_names_is_listed() -> None:
    said = text("plant-parameters.md")
    for name in plant_names():
        for source in _sources(load_plant(name).model_dump()):
            if source.startswith(("assumption", "a ticket")):
                continue
            first = re.split(r"[,;:]| 20\d\d", source)[0]
            assert first in said, f"{name}: {source}"


def _sources(data: object) -> Iterator[str]:
    if isinstance(data, dict):
        if data.get("grade") in ("S", "K"):
            yield data["source"]
        for value in data.values():
            yield from _sources(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _sources(value)
