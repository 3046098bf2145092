"""What every part of a plant file is made of: names, intervals, and numbers with their pedigree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)
from pydantic_core import core_schema

from twin.config.errors import PlantError
from twin.config.source import Source
from twin.signals import UNITS

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
UpToOne = Annotated[float, Field(gt=0, le=1)]
BelowHalf = Annotated[float, Field(ge=0, lt=0.5)]
AtLeastOne = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Spec(BaseModel):
    """Any part of a plant file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Document(Spec):
    """A whole file, which knows where its keys stand."""

    _source: Source | None = PrivateAttr(default=None)

    def read_from(self, source: Source) -> Self:
        """Remember the file, so that whoever finds a fault later can point at its line."""
        self._source = source
        return self

    def located(self, error: PlantError) -> PlantError:
        """The same error with file and line, if this came from a file."""
        if error.file or self._source is None:
            return error
        return self._source.locate(error)


class Value(Spec):
    """A number with its pedigree.

    ``class``: S published, D derived, A assumption, K known but not seen in the source. ``range``
    is where the true value may lie. A bare number in the file is an assumption without a range.
    """

    value: float
    range: tuple[float, float] | None = None
    grade: Literal["S", "D", "A", "K"] = Field(default="A", alias="class")
    source: str = "assumption"

    def __float__(self) -> float:
        """The number itself."""
        return self.value

    @property
    def numbers(self) -> tuple[float, ...]:
        """The value and the ends of its range, if it has one."""
        return (self.value, *(self.range or ()))

    @model_validator(mode="after")
    def _inside(self) -> Self:
        refuse_reversed(self.range)
        if self.range is not None and not self.range[0] <= self.value <= self.range[1]:
            msg = f"the value {self.value} lies outside its own range {list(self.range)}"
            raise ValueError(msg)
        return self


def refuse_reversed(pair: tuple[float, float] | None) -> None:
    """Raise ``ValueError`` for an interval whose low end is above its high end."""
    if pair is not None and pair[0] > pair[1]:
        msg = f"the low end {pair[0]:g} lies above the high end {pair[1]:g}"
        raise ValueError(msg)


def ordered(pair: tuple[float, float]) -> tuple[float, float]:
    """The pair itself, its low end first."""
    refuse_reversed(pair)
    return pair


def known_unit(code: str) -> str:
    """The code itself, if it is one of the UCUM codes in use here."""
    if code not in UNITS:
        msg = f"{code!r} is no unit known here; UCUM codes in use: {', '.join(sorted(UNITS))}"
        raise ValueError(msg)
    return code


def whole(value: Value) -> Value:
    """The number itself, if it counts things: 0, 1, 2, and so on."""
    if float(value) < 0.0 or not float(value).is_integer():
        msg = f"{float(value):g} is no whole number, as a count must be"
        raise ValueError(msg)
    return value


def one_line(text: str) -> str:
    """The text itself, if terminals and pages can show it as it is."""
    if not text.isprintable():
        msg = f"a title is one line of text without control characters, not {text!r}"
        raise ValueError(msg)
    return text


Interval = Annotated[tuple[float, float], AfterValidator(ordered)]
"""Low end and high end."""


def _number_as_value(given: Any) -> Any:
    if isinstance(given, int | float) and not isinstance(given, bool):
        return {"value": given}
    if isinstance(given, dict) and isinstance(given.get("range"), list):
        return {**given, "range": tuple(given["range"])}  # a validator loses JSON's leniency
    return given


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number with its pedigree can be: its value, and both ends of its range.

    ``least`` and ``most`` are allowed, ``above`` itself is not. The schema for editors says the
    same, and that the number may stand bare.
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf

    def hold(self, value: Value) -> Value:
        """The value itself, if it lies inside."""
        for number in value.numbers:
            fault = ""
            if number <= self.above:
                fault = f"must be greater than {self.above:g}"
            elif number < self.least:
                fault = f"must be at least {self.least:g}"
            elif number > self.most:
                fault = f"must be at most {self.most:g}"
            if fault:
                where = "" if number == value.value else f", and its range reaches {number:g}"
                msg = f"this {fault}{where}"
                raise ValueError(msg)
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """What the validator runs."""
        return core_schema.no_info_after_validator_function(self.hold, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """What an editor is told."""
        said = {"minimum": self.least, "maximum": self.most, "exclusiveMinimum": self.above}
        finite = {word: bound for word, bound in said.items() if math.isfinite(bound)}
        value = handler(schema)
        value = next((option for option in value.get("anyOf", ()) if "$ref" in option), value)
        if finite:
            value = {**value, "properties": {"value": finite}}
        return {"anyOf": [{"type": "number", **finite}, value]}


Sourced = Annotated[Value, BeforeValidator(_number_as_value), Bounds()]
SourcedPositive = Annotated[Sourced, Bounds(above=0.0)]
SourcedNotNegative = Annotated[Sourced, Bounds(least=0.0)]
Count = Annotated[Sourced, AfterValidator(whole)]
Title = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(one_line)]
Unit = Annotated[str, AfterValidator(known_unit)]
