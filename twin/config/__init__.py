"""Plant files: YAML in, one validated immutable ``Plant`` out, or one error with file and line."""

from twin.config.errors import PlantError
from twin.config.load import (
    find_plant,
    load_plant,
    load_truth,
    plant_folder,
    plant_names,
    plant_schema,
)
from twin.config.plant import Plant, SetpointSpec, StationSpec, Value
from twin.config.truth import Truth

__all__ = [
    "Plant",
    "PlantError",
    "SetpointSpec",
    "StationSpec",
    "Truth",
    "Value",
    "find_plant",
    "load_plant",
    "load_truth",
    "plant_folder",
    "plant_names",
    "plant_schema",
]
