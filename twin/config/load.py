"""From a name or a path to a validated plant."""

from __future__ import annotations

import json
import math
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from twin.config.errors import KeyPath, PlantError
from twin.config.mapping import Mapping
from twin.config.plant import Plant
from twin.config.source import MAPPING, TRUTH, Source, read_yaml
from twin.config.truth import Truth
from twin.config.tuned import Tuned, TunedRules
from twin.config.values import NAME_PATTERN, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

    from twin.signals import Signal

Model = TypeVar("Model", bound=BaseModel)


@cache
def plant_folder() -> Path:
    """Where the shipped plants are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "plant_configs"
    return shipped if shipped.is_dir() else package.parent / "plant_configs"


def plant_names() -> tuple[str, ...]:
    """The shipped plants."""
    files = sorted(plant_folder().glob("*.yaml"))
    return tuple(f.stem for f in files if not f.stem.endswith(".truth"))


def find_plant(name_or_path: str) -> Path:
    """The file of a shipped plant by its name, or any file by its path."""
    if name_or_path in plant_names():
        return plant_folder() / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.is_dir():
        if (path / "plant.yaml").is_file():
            return path / "plant.yaml"
        hint = (
            f"plant files here: {', '.join(sorted(f.name for f in path.glob('*.yaml'))) or 'none'}"
        )
        raise PlantError((), "there is no plant.yaml in this folder", hint, file=name_or_path)
    if not path.is_file():
        raise PlantError(
            (),
            f"there is no plant {name_or_path!r}",
            f"shipped plants: {', '.join(plant_names())}; or give the path of a plant file",
            file=name_or_path,
        )
    return path


def load_plant(name_or_path: str) -> Plant:
    """The plant, checked as a whole. Raises ``PlantError`` with file and line."""
    source = read_yaml(find_plant(name_or_path))
    plant = _validated(Plant, source).read_from(source)
    try:
        plant.check()
    except PlantError as error:
        raise plant.located(error) from error
    return plant


def load_truth(name_or_path: str, plant: Plant) -> Truth:
    """The true plant that belongs to a plant file: ``X.truth.yaml`` beside ``X.yaml``."""
    path = find_plant(name_or_path)
    truth_path = path.with_name(f"{path.stem}.truth.yaml")
    if truth_path.resolve().parent != path.parent.resolve():
        raise PlantError(
            (),
            "the truth file leads outside the folder of its plant",
            "keep both files in one folder and replace the link by the file",
            file=str(truth_path),
        )
    source = read_yaml(truth_path, TRUTH)
    truth = _validated(Truth, source).read_from(source)
    try:
        truth.check(plant)
    except PlantError as error:
        raise truth.located(error) from error
    return truth


def load_mapping(path: Path, plant: Plant, signals: Sequence[Signal]) -> Mapping:
    """How a foreign server's nodes become the plant's signals. Raises ``PlantError``."""
    source = read_yaml(path, MAPPING)
    mapping = _validated(Mapping, source).read_from(source)
    try:
        mapping.check(plant.name, signals)
    except PlantError as error:
        raise mapping.located(error) from error
    return mapping


def load_tuned(name_or_path: str, plant: Plant) -> Tuned:
    """The tuned setpoints that belong to a plant file: ``X.fixed.json`` beside ``X.yaml``."""
    return _searched(Tuned, name_or_path, plant, "fixed", "tuned setpoints", "")


def load_tuned_rules(name_or_path: str, plant: Plant) -> TunedRules:
    """The tuned thresholds that belong to a plant file: ``X.rules.json`` beside ``X.yaml``."""
    return _searched(TunedRules, name_or_path, plant, "rules", "tuned thresholds", " --rules")


Found = TypeVar("Found", Tuned, TunedRules)


def _searched(
    model: type[Found], name_or_path: str, plant: Plant, kind: str, what: str, option: str
) -> Found:
    path = find_plant(name_or_path)
    tuned_path = path.with_name(f"{path.stem}.{kind}.json")
    try:
        tuned = model.model_validate_json(tuned_path.read_text(encoding="utf-8"), strict=True)
        tuned.check(plant)
    except OSError as error:
        raise PlantError(
            (),
            f"cannot read the {what}: {error.strerror}",
            f"make them: twin tune {plant.name}{option}",
            file=str(tuned_path),
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise PlantError(tuple(first["loc"]), first["msg"], file=str(tuned_path)) from error
    except PlantError as error:
        raise PlantError(error.key_path, error.message, error.hint, file=str(tuned_path)) from error
    return tuned


def plant_schema() -> dict[str, Any]:
    """The JSON schema of a plant file, for editors."""
    schema = Plant.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _validated(model: type[Model], source: Source) -> Model:
    try:
        # JSON mode is strict about types and still takes a list for a tuple.
        return model.model_validate_json(json.dumps(source.data), strict=True)
    except ValidationError as error:
        faults = error.errors()
        # A misspelt key is also missing under its right name: tell the cause.
        first = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise source.locate(_fault(model, first, more)) from error


def _fault(model: type[BaseModel], found: ErrorDetails, more: str) -> PlantError:
    """What pydantic found, in the words of a plant file."""
    path: KeyPath = tuple(found["loc"])
    if found["type"] == "extra_forbidden":
        known = _siblings(model, path)
        near = get_close_matches(str(path[-1]), known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        hint += f"known here: {', '.join(known)}"
        return PlantError(path, f"unknown key {path[-1]!r}{more}", hint)
    if found["type"] == "missing":
        under = f"under {path[-2]!r}" if len(path) > 1 and isinstance(path[-2], str) else "here"
        return PlantError(path, f"the key {path[-1]!r} is missing{more}", f"add it {under}")
    if path and path[-1] == "[key]":  # pydantic's mark for a fault of the key itself
        path = path[:-1]
        return PlantError(path, f"{path[-1]!r} cannot be a name{more}", _OF_A_NAME)
    given = found["input"]
    if found.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return PlantError(path, f"{given!r} cannot be a name{more}", _OF_A_NAME)
    hint = "correct the value"
    if isinstance(given, dict) and "value" in given:
        hint = f"given: {', '.join(f'{key} {given[key]}' for key in given if key in _NUMBERS)}"
    elif not isinstance(given, dict | list):
        hint = f"given: {given!r}"
    words = _words(found, path)
    if isinstance(given, str) and _is_number(given) and "number" in words:
        hint += f"; YAML takes this for a text: write {_as_yaml(float(given))}"
    return PlantError(path, words + more, hint)


_NUMBERS = ("value", "range")
_OF_A_NAME = (
    "a name is lower-case letters, digits and _, beginning with a letter, at most 40 characters"
)


_WORDS = {
    "model_type": "must be a mapping of keys",
    "dict_type": "must be a mapping of keys",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must hold at least {min_length}, not {actual_length}",
    "too_long": "must hold at most {max_length}, not {actual_length}",
}


def _words(found: ErrorDetails, path: KeyPath) -> str:
    """What is wrong with which key, without the words of a programming language."""
    key = next((str(step) for step in reversed(path) if isinstance(step, str)), "the file")
    context = found.get("ctx", {})
    if context.get("class_name") == Value.__name__:
        return f"{key} must be a number, bare or with its pedigree"
    if found["type"] in _WORDS:
        return f"{key} {_WORDS[found['type']].format(**context)}"
    text = found["msg"].removeprefix("Value error, ")
    for subject in ("Input should", "this must"):
        if text.startswith(subject):
            return f"{key} must{text.removeprefix(subject)}"
    return text


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _as_yaml(number: float) -> str:
    """The number as YAML reads one: with a dot, and a sign in the exponent if it has one."""
    mantissa, exponent, power = repr(number).partition("e")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}{exponent}{power}"


def _siblings(model: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """The keys that are allowed where an unknown one was found."""
    schema = model.model_json_schema(by_alias=True)
    node: dict[str, Any] = schema
    for key in path[:-1]:
        node = _resolved(_child(node, key), schema.get("$defs", {}))
    return tuple(sorted(node.get("properties", ())))


def _child(node: dict[str, Any], key: str | int) -> dict[str, Any]:
    """The part of a JSON schema that describes one key of a mapping or item of a list."""
    # A mapping whose keys must be names has its values under the pattern of the names.
    free = (node.get("items"), node.get("additionalProperties"))
    free = (*free, *node.get("patternProperties", {}).values())
    child: dict[str, Any] = {}
    for option in (node.get("properties", {}).get(key), *free):
        if isinstance(option, dict):
            child = option
            break
    return child


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The same with a reference, or the option that may be left out, replaced by what it means."""
    for option in node.get("anyOf", ()):
        if "$ref" in option:
            node = option
    if "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[1]]
    return node
