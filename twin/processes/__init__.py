"""Process models: the physics of the stations, each equation written once.

`load` finds a model by name, among the models shipped here and among those that other packages
offer under the entry point group ``takttwin.processes``. A dot names a variant:
``load("cutting.milling")``. Neither numba nor CasADi is imported before a model is asked for its
``numbers()`` or ``symbols()``.
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Final

from twin.processes.model import (
    Kind,
    Point,
    ProcessModel,
    ProcessModelError,
    Quantity,
    Variant,
    output,
    per_part_outputs,
    positions,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "Kind",
    "Point",
    "ProcessModel",
    "ProcessModelError",
    "Quantity",
    "Variant",
    "available",
    "load",
    "output",
    "per_part_outputs",
    "positions",
]

ENTRY_POINT_GROUP: Final = "takttwin.processes"

_BUILT_IN: Final = {
    "cutting": "twin.processes.cutting",
    "fixed_cycle": "twin.processes.fixed_cycle",
    "moulding": "twin.processes.moulding",
    "oven": "twin.processes.oven",
}


def available() -> tuple[str, ...]:
    """Return the names of all models that can be loaded, variants not counted."""
    offered = entry_points(group=ENTRY_POINT_GROUP).names
    return tuple(sorted({*_BUILT_IN, *offered}))


def load(name: str) -> ProcessModel:
    """Return the process model ``name``, or ``model.variant``.

    Raises `ProcessModelError` if there is none, or if an entry point offers something else.
    """
    model_name, _, variant = name.partition(".")
    found: object
    if model_name in _BUILT_IN:
        found = importlib.import_module(_BUILT_IN[model_name])
    else:
        points = tuple(entry_points(group=ENTRY_POINT_GROUP, name=model_name))
        if not points:
            raise ProcessModelError(
                f"there is no process model {model_name!r}; known are {', '.join(available())}."
                f" A package offers its own by the entry point group {ENTRY_POINT_GROUP!r}"
            )
        found = _loaded(points[0])
    if isinstance(found, ModuleType):
        found = getattr(found, "MODEL", found)
    if not isinstance(found, ProcessModel):
        raise ProcessModelError(
            f"the entry point {model_name!r} must name a ProcessModel, or a module that holds one"
            f" as MODEL, not {found!r}"
        )
    model = found.variant(variant) if variant else found
    if model_name not in _BUILT_IN:
        from twin.processes.check import check_reference

        check_reference(model)
    return model


def _loaded(point: EntryPoint) -> object:
    """What an entry point names. Raises `ProcessModelError` with the package's own error."""
    try:
        return point.load()
    except Exception as error:
        package = point.dist.name if point.dist is not None else "a package"
        raise ProcessModelError(
            f"the process model {point.name!r} of {package} cannot be imported from {point.value}:"
            f" {error}"
        ) from error
