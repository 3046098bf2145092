"""Plant files: YAML in, one validated immutable ``Plant`` out, or one error with file and line."""

from twin.config.errors import FileError, PlantError
from twin.config.load import (
    find_plant,
    load_mapping,
    load_plant,
    load_truth,
    load_tuned,
    load_tuned_rules,
    plant_folder,
    plant_names,
    plant_schema,
)
from twin.config.mapping import Mapping
from twin.config.plant import Plant, SetpointSpec, StationSpec
from twin.config.policy_behaviour import behaviour_sha256
from twin.config.truth import Truth
from twin.config.tuned import (
    PolicyFile,
    RuleTrial,
    Tuned,
    TunedPoint,
    TunedRule,
    TunedRules,
    untuned,
)
from twin.config.values import Value

__all__ = [
    "FileError",
    "Mapping",
    "Plant",
    "PlantError",
    "PolicyFile",
    "RuleTrial",
    "SetpointSpec",
    "StationSpec",
    "Truth",
    "Tuned",
    "TunedPoint",
    "TunedRule",
    "TunedRules",
    "Value",
    "behaviour_sha256",
    "find_plant",
    "load_mapping",
    "load_plant",
    "load_truth",
    "load_tuned",
    "load_tuned_rules",
    "plant_folder",
    "plant_names",
    "plant_schema",
    "untuned",
]
