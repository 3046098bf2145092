"""YAML as plain data with the position of each key, and nothing that YAML can do beyond data.

Aliases, tags, duplicate keys and numbers that are not finite are refused: a plant file is read by
people and must mean what it shows.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from twin.config.errors import KeyPath, PlantError

LONGEST_FILE_BYTES = 512 * 1024
_OTHER_BASE = re.compile(r"[-+]?(0[0-9_]+|0[bx].*|.*[:_].*)")
"""YAML 1.1 takes 010 for eight, 8:00 for four hundred and eighty, 1_0 for ten: nobody means that."""
DEEPEST_NESTING = 12


@dataclass(frozen=True, slots=True)
class Sort:
    """What a file is read as: what to do where there is none, and how it begins."""

    absent: str
    begins: str


PLANT = Sort(
    "give a path to a plant file, or the name of a shipped plant",
    "schema_version: 1 and name: ...",
)
TRUTH = Sort(
    "write it beside the plant file, or begin with a copy by twin init",
    "schema_version: 1 and plant: NAME, the name in the plant file",
)
MAPPING = Sort(
    "let a draft be written: twin discover opc.tcp://HOST:PORT --plant PLANT > FILE",
    "schema_version: 1 and plant: NAME, the name in the plant file",
)


@dataclass(frozen=True, slots=True)
class Source:
    """The data of one YAML file and the line (from 1) of every key in it."""

    path: Path
    data: Any
    lines: dict[KeyPath, int]
    text: tuple[str, ...]

    def locate(self, error: PlantError) -> PlantError:
        """The same error with file, line and the text of the line filled in."""
        path = tuple(error.key_path)
        line = 0
        while not line:
            line = self.lines.get(path, 0)
            if not path:
                break
            path = path[:-1]
        text = self.text[line - 1].rstrip() if 0 < line <= len(self.text) else ""
        return PlantError(
            error.key_path,
            error.message,
            error.hint,
            file=str(self.path),
            line=line,
            text=text,
        )


def read_yaml(path: Path, sort: Sort = PLANT) -> Source:
    """Parse one file. Raises ``PlantError`` for everything that is wrong with it."""
    try:
        if path.stat().st_size > LONGEST_FILE_BYTES:
            raise PlantError(
                (),
                f"the file is larger than {LONGEST_FILE_BYTES // 1024} KiB",
                "a plant file describes one line; split recorded data into Parquet or CSV",
                file=str(path),
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlantError(
            (),
            f"cannot read the file: {error.strerror}",
            sort.absent,
            file=str(path),
        ) from error
    except UnicodeDecodeError as error:
        readable: bytes = error.object[: error.start]
        raise PlantError(
            (),
            "the file is not UTF-8 text",
            "save it as UTF-8; unit codes and texts may then hold any letter",
            file=str(path),
            line=readable.count(b"\n") + 1,
        ) from error
    lines: dict[KeyPath, int] = {}
    try:
        _refuse_events(text, path)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        message = f"not valid YAML: {error.problem}"
        hint = "indent by two spaces and quote texts that hold a colon"
        if r"'\t'" in str(error.problem):
            message = "not valid YAML: a tab stands where only spaces may"
            hint = "write two spaces for each <tab> in the line"
        before: int | None = error.problem_mark.line if error.problem_mark else None
        raise _on_line(before, path, text, message, hint) from error
    except yaml.reader.ReaderError as error:
        message = f"not valid YAML: the character U+{error.character:04X} may not stand in it"
        hint = "remove it; a plant file is plain text"
        before = text.count("\n", 0, error.position)
        raise _on_line(before, path, text, message, hint) from error
    split = tuple(text.splitlines())
    source = Source(path, None, lines, split)
    try:
        data = None if node is None else _plain(node, (), lines)
    except PlantError as error:
        raise source.locate(error) from error
    if not isinstance(data, dict):
        hint = f"begin with {sort.begins}; one key a line"
        raise PlantError((), "the file holds no mapping of keys", hint, file=str(path), line=1)
    return Source(path, data, lines, split)


def _on_line(before: int | None, path: Path, text: str, message: str, hint: str) -> PlantError:
    """A fault of the YAML itself, with so many lines before it."""
    if before is None:
        return PlantError((), message, hint, file=str(path))
    line = next(iter(text.splitlines()[before : before + 1]), "").rstrip()
    shown = line.replace("\t", "<tab>")
    return PlantError((), message, hint, file=str(path), line=before + 1, text=shown)


def _refuse_events(text: str, path: Path) -> None:
    """Anchors, aliases, tags, deep nests and more than one document stop the reading early."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        before = event.start_mark.line if event.start_mark else None
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_NESTING:
            message = f"nested deeper than {DEEPEST_NESTING} levels"
            hint = "no key of a plant file lies that deep: count the brackets and the indents"
            raise _on_line(before, path, text, message, hint)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            hint = "remove the line --- and what does not belong to this one"
            raise _on_line(before, path, text, "a second document begins here", hint)
        alias = isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None)
        tag = getattr(event, "tag", None)
        if alias or tag:
            what = f"the tag {tag}" if tag else "an anchor or alias"
            message = f"{what} is not allowed in a plant file"
            raise _on_line(before, path, text, message, "write the value out")


def _plain(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                lines[(*path, "?")] = key_node.start_mark.line + 1
                hint = "put the list behind the key"
                raise PlantError((*path, "?"), "a key must be a single word", hint)
            key = str(key_node.value)
            lines[(*path, key)] = key_node.start_mark.line + 1
            if key in result:
                raise PlantError((*path, key), f"the key {key!r} stands here twice", "remove one")
            result[key] = _plain(value_node, (*path, key), lines)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, k), lines) for k, item in enumerate(node.value)]
    if node.tag.endswith((":int", ":float")) and _OTHER_BASE.fullmatch(str(node.value)):
        hint = "write it in plain decimals, or put the text in quotes"
        message = f"{str(node.value)[:40]!r} would be read as a number of another base"
        raise PlantError(path, message, hint)
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except ValueError as error:
        hint = "write a number with fewer digits, or put the text in quotes"
        raise PlantError(path, f"{str(node.value)[:40]!r} cannot be read", hint) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise PlantError(path, "the number is not finite", "unknown is not a number: leave it out")
    if not isinstance(value, str | int | float | bool | None):
        return str(node.value)  # a date is a text here
    return value
