"""The plant as its file describes it: typed, frozen, unknown keys refused, units in the names."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from twin.config.agreement import check_agreement
from twin.config.elements import (
    BatchSpec,
    CrewSpec,
    ElementSpec,
    GivesSpec,
    InspectionSpec,
    NeedsSpec,
    Picks,
    ServiceSpec,
    SetupSpec,
    SupplySpec,
    TakesSpec,
    UseSpec,
    UtilitySpec,
)
from twin.config.station_task import StationTaskSpec
from twin.config.values import (
    Bounds,
    Count,
    Document,
    Interval,
    Name,
    NotNegative,
    Positive,
    Sourced,
    SourcedNotNegative,
    SourcedPositive,
    Spec,
    Title,
    Unit,
    ordered,
)
from twin.signals import Limits


class SetpointSpec(Spec):
    """A manipulated variable: where it starts, its three nested intervals, how fast it may move."""

    start: float
    validity: Interval
    engineering: Interval
    operator: Interval
    rate_per_s: Positive
    discrete: bool = False

    @model_validator(mode="after")
    def _nested(self) -> Self:
        validity, engineering, operator = (
            Limits(*pair) for pair in (self.validity, self.engineering, self.operator)
        )
        if not (validity.nests(engineering) and engineering.nests(operator)):
            msg = "limits are not nested: validity must hold engineering, and that operator"
            raise ValueError(msg)
        if not operator.holds(self.start):
            msg = f"start {self.start} lies outside the operator limits {list(self.operator)}"
            raise ValueError(msg)
        return self


class SensorSpec(Spec):
    """An instrument: noise (standard deviation), delay, and the share of samples that it loses."""

    noise_sd: NotNegative = 0.0
    delay_s: NotNegative = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    validity: Interval | None = None
    band: Interval | None = None
    """For a controlled variable: the quality band."""


StopTime = Annotated[Sourced, Bounds(least=1.0)]
"""Seconds between stops, or of one: what comes or goes faster is scatter of the cycle time."""


class FailureSpec(Spec):
    """A way to fail: operating time between failures (exponential), and repair time.

    ``repair_cv`` is the scatter of a lognormal repair time; an exponential one has its own.
    """

    mean_between_s: StopTime
    mean_repair_s: StopTime
    repair_law: Literal["lognormal", "exponential"] = "lognormal"
    repair_cv: NotNegative = 1.0
    clock: Literal["operating", "calendar"] = "operating"
    """Calendar: it strikes whether the station works or not."""


class ToolSpec(Spec):
    """The cutting edge: end of life as flank wear, its scatter, what a change takes and costs."""

    end_of_life_mm: SourcedPositive
    life_cv: SourcedNotNegative
    change_s: SourcedNotNegative
    edge_cost_eur: SourcedNotNegative


class PowerSpec(Spec):
    """Electric power in the states in which the station makes no part, kW."""

    off_kw: SourcedNotNegative
    standby_kw: SourcedNotNegative
    idle_kw: SourcedNotNegative
    warm_up_kw: SourcedNotNegative


class CycleSpec(Spec):
    """How cycle times scatter from part to part around the process model's."""

    law: Literal["exponential", "lognormal"]
    cv: Positive = 1.0


class StationSpec(Spec):
    """One station: what it does (process model), where its parts come from and go to."""

    name: Name
    title: Title
    model: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$")]
    """A process model, or one of its variants: ``cutting.milling``."""
    takes_from: Name
    gives_to: Name
    power: PowerSpec
    warm_up_s: SourcedNotNegative
    cycle_scatter: CycleSpec | None = None
    parameters: dict[Name, Sourced] = {}
    setpoints: dict[Name, SetpointSpec] = {}
    standby_after_s: SetpointSpec
    standby: bool = True
    min_ready_s: NotNegative = 0.0
    """Once woken, the station is to stay awake for so long: a spindle that must warm through, say."""
    min_standby_s: NotNegative = 0.0
    """Once asleep, it is to stay so for so long: a compressor that must not start too often, say."""
    failures: dict[Name, FailureSpec] = {}
    tool: ToolSpec | None = None
    inspects: bool = False
    inspection: InspectionSpec = InspectionSpec()
    servers: Annotated[int, Field(ge=1, le=20)] = 1
    """Machines of this kind side by side: ``name_1``, ``name_2``, ..."""
    also_takes: tuple[TakesSpec, ...] = ()
    also_gives: tuple[GivesSpec, ...] = ()
    batch: BatchSpec | None = None
    setup: SetupSpec | None = None
    picks: Picks = "fifo"
    needs: NeedsSpec = NeedsSpec()
    wake_at_parts: Annotated[int, Field(ge=1)] = 1
    """Fallen asleep by itself, the station wakes when so many parts wait (N-policy)."""
    service: ServiceSpec | None = None
    uses: dict[Name, UseSpec] = {}
    restart_scrap_parts: Annotated[int, Field(ge=0)] = 0
    """Parts that are scrap after a stop longer than ``restart_after_s``."""
    restart_after_s: Positive = 300.0
    step_s: Annotated[float, Field(ge=0.1)] | None = None
    """Grid of a continuous process."""
    places: Annotated[int, Field(ge=1, le=64)] = 1
    """Places on the conveyor of a continuous process."""
    mpc: StationTaskSpec | None = None
    sensors: dict[Name, SensorSpec] = {}

    @model_validator(mode="after")
    def _countable(self) -> Self:
        clocks = [failure.clock for failure in self.failures.values()]
        if clocks.count("operating") > 2 or clocks.count("calendar") > 1:
            msg = "failures: at most two in operating time and one in calendar time"
            raise ValueError(msg)
        return self


class BufferSpec(Spec):
    """Room for parts between stations; without any, parts go from hand to hand.

    With ``transit_s`` it is an accumulating conveyor: a part can be taken when it has travelled.
    """

    name: Name
    capacity: Annotated[Count, Bounds(most=10_000)]
    transit_s: NotNegative = 0.0


class SourceSpec(Spec):
    """Where blanks enter: one every ``takt_s`` while orders are open and there is room."""

    name: Name
    gives_to: Name
    takt_s: SetpointSpec
    blank_kg: SourcedNotNegative
    blank_eur_per_kg: SourcedNotNegative
    scrap_return_eur_per_kg: Sourced
    """Negative where it costs to be rid of scrap."""
    mixed_by: Name | None = None
    """A disturbance that gives the product of each blank (a mass in kg, say)."""
    wip_limit: Annotated[int, Field(ge=1)] | None = None
    """CONWIP: no blank enters while so many parts are in the line."""


Lasting = Annotated[float, Field(ge=0.01)]
"""Hours of what comes in turns: the line knows minutes."""


class DisturbanceSpec(Spec):
    """A disturbance that is measured: how it moves when nobody recorded it."""

    unit: Unit
    kind: Literal["constant", "daily", "lots", "walk", "tariff", "mix"]
    mean: Sourced
    sd: NotNegative = 0.0
    hours: Annotated[tuple[Lasting, Lasting], AfterValidator(ordered)] = (4.0, 12.0)
    """Shortest and longest stay of a lot, or the correlation time of a walk."""
    choices: tuple[float, ...] = ()
    validity: Interval
    noise_sd: NotNegative = 0.0
    recorded: RecordedSpec | None = None

    @model_validator(mode="after")
    def _choosable(self) -> Self:
        if self.kind == "mix" and not self.choices:
            msg = "a mix needs its choices, such as choices: [40, 60, 90]"
            raise ValueError(msg)
        return self


Mapped = Annotated[float, Field(ge=-1e12, le=1e12)]
"""Changes a unit, and never a number into one that is no longer finite."""


class RecordedSpec(Spec):
    """How a recorded column becomes this disturbance: mean and standard deviation are mapped."""

    column: str
    every_s: Annotated[float, Field(ge=0.01)] = 60.0
    """How far apart its rows are, in plant time."""
    scale: Mapped = 1.0
    offset: Mapped = 0.0
    standardise: bool = False
    """Map the column's own mean and spread onto this disturbance's mean and sd first."""


class ScenarioSpec(Spec):
    """A named course of events on top of the disturbances."""

    title: Title
    from_h: NotNegative = 0.0
    until_h: Positive = 1e6
    demand_factor: Positive = 1.0
    failure_rate_factor: Annotated[float, Field(gt=0, le=100)] = 1.0
    shift: dict[Name, float] = {}
    """Added to a disturbance inside the window, in its own unit."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    sensor_drift_per_h: float = 0.0
    tariff: Name | None = None
    model_mismatch: dict[str, Annotated[float, Field(gt=-1, lt=1)]] = {}
    """``station.parameter``: by this share the plant's own parameter is off."""

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.until_h <= self.from_h:
            msg = f"until_h = {self.until_h:g} must come after from_h = {self.from_h:g}"
            raise ValueError(msg)
        return self


class EnergySpec(Spec):
    """Prices and emissions."""

    tariff: Name
    tariffs_eur_per_mwh: dict[Name, tuple[float, ...]]
    """24 hourly prices a tariff, before adders."""
    adders_eur_per_mwh: SourcedNotNegative
    demand_charge_eur_per_kw_year: SourcedNotNegative
    gas_eur_per_mwh: SourcedNotNegative
    electricity_co2_kg_per_kwh: SourcedNotNegative
    gas_co2_kg_per_kwh: SourcedNotNegative
    starts_at_h: Annotated[float, Field(ge=0, lt=24)] = 6.0


class DemandSpec(Spec):
    """What the line can sustain, and the shares of it that may be demanded."""

    capacity_good_parts_per_h: SourcedPositive
    utilisation: Annotated[float, Field(gt=0, le=1.5)]
    utilisations: dict[Name, Positive]
    arrive: Literal["at_start", "evenly"] = "at_start"
    """Whether a shift's orders are known at its start or come one by one."""
    backlog_eur_per_part: SourcedNotNegative
    wip_eur_per_part: SourcedNotNegative


class ToolingSpec(Spec):
    """What cutting edges may cost. Edges are a limit, not a lever: staying under brings nothing."""

    budget_eur_per_part: SourcedNotNegative
    excess_factor: Positive = 10.0
    """How dear an edge above the budget is, against its price."""


class ControlSpec(Spec):
    """The rhythm of the loop and its patience."""

    period_s: Annotated[float, Field(ge=0.1)]
    line_period_s: Positive
    watchdog_periods: Annotated[int, Field(ge=2)] = 3
    deadline_s: Positive
    hold_s: Positive
    holds_allowed: Annotated[int, Field(ge=1)] = 20
    holds_window_periods: Annotated[int, Field(ge=1)] = 60
    """More holds than allowed in this window are no passing trouble: the loop sheds."""
    bad_reads_allowed: Annotated[int, Field(ge=0)] = 2
    stale_after_s: Positive
    on_shed: Literal["hold", "recipe"] = "recipe"


class VariantSpec(Spec):
    """A reading of the plant's parameters: how much it draws while it makes nothing."""

    title: Title
    idle_power_factor: Positive = 1.0
    parameter_factors: dict[str, Positive] = {}
    """``station.parameter``: the same for what a process model takes without making parts."""


class Plant(Document):
    """One production line."""

    schema_version: Literal[1]
    name: Name
    title: Title
    path: Annotated[tuple[str, ...], Field(min_length=4, max_length=4)]
    """ISA-95: enterprise, site, area, line."""
    shift_h: Annotated[float, Field(gt=0, le=24)]
    control: ControlSpec
    demand: DemandSpec
    energy: EnergySpec
    variants: dict[Name, VariantSpec]
    disturbances: dict[Name, DisturbanceSpec]
    scenarios: dict[Name, ScenarioSpec]
    tooling: ToolingSpec | None = None
    utilities: dict[Name, UtilitySpec] = {}
    source: SourceSpec
    supplies: tuple[SupplySpec, ...] = ()
    crews: tuple[CrewSpec, ...] = ()
    elements: tuple[ElementSpec, ...] = ()
    buffers: tuple[BufferSpec, ...]
    stations: Annotated[tuple[StationSpec, ...], Field(min_length=1, max_length=200)]
    sink: Name
    _rows: tuple[int, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _side_by_side(self) -> Self:
        """Machines of one kind become stations of their own; ``rows`` says where they stand."""
        stations, rows = [], []
        for row, station in enumerate(self.stations):
            names = [f"{station.name}_{n + 1}" for n in range(station.servers)]
            for name in names if station.servers > 1 else [station.name]:
                stations.append(station.model_copy(update={"name": name, "servers": 1}))
                rows.append(row)
        object.__setattr__(self, "stations", tuple(stations))
        self._rows = tuple(rows)
        return self

    def row(self, n: int) -> int:
        """Where the n-th station stands in the file: several machines may share one entry."""
        return self._rows[n]

    def station(self, name: str) -> StationSpec:
        """The station of that name."""
        return next(s for s in self.stations if s.name == name)

    @property
    def config_hash(self) -> str:
        """Sixteen hex digits that change with any value of the file; comments do not count."""
        said = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        canonical = json.dumps(said, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def check(self) -> None:
        """Whether the keys agree with each other. Raises ``PlantError``; see ``agreement``."""
        check_agreement(self)


DisturbanceSpec.model_rebuild()
