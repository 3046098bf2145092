"""What a line may have beyond stations in a row: people, components, batches, setups, upkeep, rework."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from twin.config.values import (
    Name,
    NotNegative,
    Positive,
    SourcedNotNegative,
    Spec,
    Title,
    Unit,
    Value,
)

Share = Annotated[float, Field(ge=0, le=1)]
Parts = Annotated[int, Field(ge=1, le=1000)]


class TakesSpec(Spec):
    """Assembly: components that go into each part."""

    takes_from: Name
    parts: Parts = 1


class GivesSpec(Spec):
    """Disassembly: components that come off each part, with their share of its mass."""

    gives_to: Name
    parts: Parts = 1
    mass_share: Share = 0.0


class BatchSpec(Spec):
    """So many parts are worked on together; a batch begins with ``at_least`` of them.

    Parts beyond the last whole batch wait: with ``at_least`` below ``parts`` fewer of them do.
    """

    parts: Annotated[int, Field(ge=2, le=64)]
    at_least: Parts | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.at_least is not None and self.at_least > self.parts:
            msg = f"at_least = {self.at_least} is more than the batch holds ({self.parts})"
            raise ValueError(msg)
        return self


class ChangeSpec(Spec):
    """Setting up from one product to another."""

    before: float
    after: float
    setup_s: NotNegative


class SetupSpec(Spec):
    """What it takes to change a station over to another product (see ``source.mixed_by``).

    ``changes`` name single pairs; all others take ``default_s``.
    """

    default_s: SourcedNotNegative
    changes: tuple[ChangeSpec, ...] = ()


class InspectionSpec(Spec):
    """How well a station that inspects sees, and what becomes of what it finds.

    A bad part goes to ``rework_to`` at most ``rework_passes`` times, and to scrap after that; on its
    way through the stations again it may be spoilt again.
    """

    finds: Share = 1.0
    false_alarms: Share = 0.0
    rework_to: Name | None = None
    rework_passes: Annotated[int, Field(ge=1, le=100)] = 1


class ServiceSpec(Spec):
    """Preventive maintenance: after so many parts or so much working time, whichever comes first."""

    every_parts: Annotated[int, Field(ge=1)] | None = None
    every_working_s: Positive | None = None
    service_s: Positive

    @model_validator(mode="after")
    def _sometime(self) -> Self:
        if self.every_parts is None and self.every_working_s is None:
            msg = "a service needs every_parts, every_working_s or both"
            raise ValueError(msg)
        return self


class NeedsSpec(Spec):
    """The crews that a station's tasks need somebody of, those named first being asked first."""

    work: tuple[Name, ...] = ()
    setup: tuple[Name, ...] = ()
    repair: tuple[Name, ...] = ()
    tool_change: tuple[Name, ...] = ()
    service: tuple[Name, ...] = ()


class CrewSpec(Spec):
    """People with the same skill. ``on_duty_h``: hours of the day; gaps are breaks; none: always."""

    name: Name
    people: Annotated[int, Field(ge=1, le=1000)]
    on_duty_h: tuple[tuple[float, float], ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        last = -24.0
        for begin, end in self.on_duty_h:
            if not 0.0 <= begin < end <= begin + 24.0 or begin >= 24.0 or begin < last:
                msg = (
                    f"on_duty_h: [{begin:g}, {end:g}] must lie behind the one before it, begin"
                    " within the day and end within 24 h; beyond midnight write [22, 30]"
                )
                raise ValueError(msg)
            last = end
        if self.on_duty_h and last - 24.0 > self.on_duty_h[0][0]:
            msg = "on_duty_h: the last stretch reaches into the first one of the next day"
            raise ValueError(msg)
        return self


class SupplySpec(Spec):
    """Where components enter: one every ``every_s`` as long as there is room for it."""

    name: Name
    gives_to: Name
    every_s: Positive
    component_kg: SourcedNotNegative


class ElementSpec(Spec):
    """An element that another package offers, between two buffers; see `twin.line.custom`."""

    name: Name
    kind: Name
    takes_from: Name
    gives_to: Name
    parameters: dict[Name, float] = {}


Picks = Literal["fifo", "lifo", "same_product"]
"""Which waiting part a station takes."""


class UtilitySpec(Spec):
    """What the hall supplies beside electricity and gas: compressed air, coolant, process water.

    Made elsewhere on the site, it is on no meter of the line; ``kwh_per_unit`` is the electricity that
    making it takes there.
    """

    title: Title
    unit: Unit
    kwh_per_unit: SourcedNotNegative
    eur_per_unit: SourcedNotNegative


class UseSpec(Spec):
    """How much of a utility a station takes: an hour at work, ready, asleep, and for each part on top.

    Ready are all states but processing, standby and off: air leaks and pumps run while a machine waits.
    """

    working_per_h: SourcedNotNegative = Value(value=0.0)
    ready_per_h: SourcedNotNegative = Value(value=0.0)
    asleep_per_h: SourcedNotNegative = Value(value=0.0)
    per_part: SourcedNotNegative = Value(value=0.0)
