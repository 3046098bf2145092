"""OPC UA's own values from plain Python ones.

The library annotates its constructors with integer and time types of its own and takes plain ones.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from asyncua import ua

from twin.equipment.node_types import DataType

TYPES = {kind: ua.VariantType[kind.value] for kind in DataType}

_ua: Any = ua


def node_id(identifier: str | int | bytes | UUID, namespace: int = 0) -> ua.NodeId:
    """The id of a node; a number alone is one of the standard's own."""
    made: ua.NodeId = _ua.NodeId(identifier, namespace)
    return made


def status(code: int) -> ua.StatusCode:
    """A status code by its number."""
    made: ua.StatusCode = _ua.StatusCode(code)
    return made


def refusal(code: int) -> ua.UaStatusCodeError:
    """The error that the library raises for a bad status."""
    made: ua.UaStatusCodeError = _ua.UaStatusCodeError(code)
    return made


def scalar(value: Any, kind: DataType) -> ua.Variant:
    """A single value."""
    return ua.Variant(value, TYPES[kind])


def array(values: list[Any], kind: DataType) -> ua.Variant:
    """A list of values, empty or not."""
    return ua.Variant(values, TYPES[kind], is_array=True)


def data_value(value: ua.Variant, code: ua.StatusCode, stamp: datetime) -> ua.DataValue:
    """A value with its status and source time."""
    made: ua.DataValue = _ua.DataValue(value, code, stamp)
    return made


def name_of(code: int) -> str:
    """The standard's word for a status code."""
    return str(status(code).name)
