"""From a name or a path to a validated plant."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from twin.config.errors import KeyPath, PlantError
from twin.config.plant import Plant
from twin.config.source import Source, read_yaml
from twin.config.truth import Truth

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
    if path.is_dir() and (path / "plant.yaml").is_file():
        return path / "plant.yaml"
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
    plant = _validated(Plant, source)
    try:
        plant.check()
    except PlantError as error:
        raise source.locate(error) from error
    return plant


def load_truth(name_or_path: str, plant: Plant) -> Truth:
    """The true plant that belongs to a plant file: ``X.truth.yaml`` beside ``X.yaml``."""
    path = find_plant(name_or_path)
    truth_path = path.with_name(f"{path.stem}.truth.yaml")
    if truth_path.resolve().parent != path.resolve().parent:
        raise PlantError(
            (),
            "the truth file leads outside the folder of its plant",
            "keep both files in one folder and replace the link by the file",
            file=str(truth_path),
        )
    source = read_yaml(truth_path)
    truth = _validated(Truth, source)
    try:
        truth.check(plant)
    except PlantError as error:
        raise source.locate(error) from error
    return truth


def plant_schema() -> dict[str, Any]:
    """The JSON schema of a plant file, for editors."""
    schema = Plant.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _validated(model: type[Model], source: Source) -> Model:
    try:
        # JSON mode is strict about types and still takes a list for a tuple.
        return model.model_validate_json(json.dumps(source.data), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        path: KeyPath = tuple(first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(_siblings(model, path))
            found = PlantError(path, f"unknown key {path[-1]!r}", f"known here: {known}")
        elif first["type"] == "missing":
            found = PlantError(path, f"the key {path[-1]!r} is missing", "add it")
        else:
            message = first["msg"].removeprefix("Value error, ")
            hint = f"given: {first['input']!r}" if not isinstance(first["input"], dict) else ""
            found = PlantError(path, message, hint)
        more = len(error.errors()) - 1
        if more:
            found = PlantError(found.key_path, f"{found.message} (and {more} more)", found.hint)
        raise source.locate(found) from error


def _siblings(model: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """The keys that are allowed where an unknown one was found."""
    node: dict[str, Any] = model.model_json_schema(by_alias=True)
    definitions = node.get("$defs", {})
    for key in path[:-1]:
        if "properties" in node and key in node["properties"]:
            node = node["properties"][key]
        elif "items" in node and isinstance(key, int):
            node = node["items"]
        elif isinstance(node.get("additionalProperties"), dict):
            node = node["additionalProperties"]
        for option in node.get("anyOf", ()):
            if "$ref" in option:
                node = option
        if "$ref" in node:
            node = definitions[node["$ref"].rsplit("/", 1)[1]]
    return tuple(sorted(node.get("properties", ())))
