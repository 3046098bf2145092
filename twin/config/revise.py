"""A plant with some of its numbers replaced: as an object, and as the text of its file.

In the text only those numbers change; comments, order and layout stay as their author left them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from twin.config.errors import KeyPath, PlantError
from twin.config.plant import Plant
from twin.config.values import Value

Change = Value | float


def revised_plant(plant: Plant, changes: Mapping[KeyPath, Change]) -> Plant:
    """The plant with other numbers, checked as a whole. Raises ``PlantError`` if it does not hold.

    Paths count stations as ``plant.stations`` does: machines side by side one by one.
    """
    data = plant.model_dump(mode="json", by_alias=True)
    for path, change in changes.items():
        node: Any = data
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = _said(change)
    try:
        revised = Plant.model_validate_json(json.dumps(data), strict=True)
    except ValueError as error:
        raise PlantError((), f"the plant does not hold with these numbers: {error}") from error
    revised.check()
    return revised


def revised_text(text: str, changes: Mapping[KeyPath, Change]) -> str:
    """The text of a plant file with other numbers. Paths count stations as the file does.

    A key that is not there yet is added to its mapping. Raises ``PlantError`` where there is no
    such mapping.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    edits: list[tuple[int, int, str]] = []
    added: dict[int, list[str]] = {}
    for path, change in changes.items():
        mapping = _at(root, path[:-1])
        if not isinstance(mapping, yaml.MappingNode) or not mapping.value:
            raise PlantError(path, f"there is no mapping to put {path[-1]!r} into", "add it first")
        written = _written(change)
        old = next((value for key, value in mapping.value if key.value == path[-1]), None)
        if old is not None:
            edits.append((old.start_mark.index, _end(old), written))
            continue
        entry = f"{path[-1]}: {written}"
        if mapping.flow_style:
            entry = f", {entry}"
        else:
            entry = f"\n{' ' * mapping.value[0][0].start_mark.column}{entry}"
        added.setdefault(_end(mapping.value[-1][1]), []).append(entry)
    # What ends where something is added keeps its own edit: both meet at one place, in this order.
    edits += [(at, at, "".join(entries)) for at, entries in added.items()]
    for start, end, written in sorted(edits, key=lambda edit: (edit[0], edit[1]), reverse=True):
        text = text[:start] + written + text[end:]
    return text


def write_revised(plant: Path, to: Path, changes: Mapping[KeyPath, Change]) -> None:
    """Write a plant file with other numbers; it appears whole or not at all.

    The draft is read back and checked before it gets its name.
    """
    from twin.config.load import load_plant

    draft = to.with_name(f".{to.stem}.draft.yaml")
    try:
        draft.write_text(revised_text(plant.read_text("utf-8"), changes), encoding="utf-8")
        load_plant(str(draft))
        draft.replace(to)
    finally:
        draft.unlink(missing_ok=True)


def _at(node: yaml.Node | None, path: KeyPath) -> yaml.Node | None:
    for key in path:
        if isinstance(node, yaml.MappingNode):
            node = next((value for name, value in node.value if name.value == key), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
        else:
            return None
    return node


def _end(node: yaml.Node) -> int:
    """Where the text of a value ends; a block ends with its last entry, not at the next key."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _said(change: Change) -> Any:
    return change.model_dump(mode="json", by_alias=True) if isinstance(change, Value) else change


def _written(change: Change) -> str:
    """A number as YAML text in one line."""
    if not isinstance(change, Value):
        return _number(change)
    inside = [f"value: {_number(change.value)}"]
    if change.range is not None:
        inside.append(f"range: [{', '.join(_number(end) for end in change.range)}]")
    inside += [f"class: {change.grade}", f"source: {json.dumps(change.source)}"]
    return f"{{{', '.join(inside)}}}"


def _number(value: float) -> str:
    """As YAML 1.1 reads a number: an exponent needs a dot before it and a sign in it."""
    text = f"{value:.10g}"
    mantissa, exponent, power = text.partition("e")
    if not exponent:
        return text
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{power if power[0] in '+-' else f'+{power}'}"
