"""The nodes of an address space as plain data: nothing here knows a network or a library."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from twin.signals import Limits


class DataType(StrEnum):
    """The built-in types of OPC UA that the tree uses."""

    BOOLEAN = "Boolean"
    BYTE = "Byte"
    INT32 = "Int32"
    INT64 = "Int64"
    DOUBLE = "Double"
    STRING = "String"
    DATE_TIME = "DateTime"


@dataclass(frozen=True, slots=True)
class Variable:
    """A value below the line object.

    ``signal`` is the position of the signal that it shows, -1 for none; ``words`` turns the code of
    that signal into what this node says. ``codes`` names the values of a code, for display.
    """

    path: str
    data_type: DataType
    initial: Any = None
    signal: int = -1
    unit: str = "1"
    limits: Limits | None = None
    array: bool = False
    writable: bool = False
    words: tuple[Any, ...] = ()
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Argument:
    """What a method takes or returns."""

    name: str
    data_type: DataType
    array: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """Something that the line does on request."""

    path: str
    takes: tuple[Argument, ...] = ()
    returns: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """All nodes of one line. Paths of variables and methods begin below ``root``."""

    root: str
    levels: tuple[tuple[str, str], ...]
    """Path and ISA-95 level of each object from the enterprise to the line."""
    variables: tuple[Variable, ...]
    methods: tuple[Method, ...]

    def paths(self) -> tuple[str, ...]:
        """Where variables and methods stand."""
        return (*(node.path for node in self.variables), *(node.path for node in self.methods))

    def folders(self) -> tuple[str, ...]:
        """The objects between the line and its variables and methods, parents first."""
        found: dict[str, None] = {}
        for path in self.paths():
            parts = path.split("/")[:-1]
            for depth in range(len(parts)):
                found["/".join(parts[: depth + 1])] = None
        return tuple(found)
