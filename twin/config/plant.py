"""The plant as its file describes it: typed, frozen, unknown keys refused, units in the names."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from twin.config.elements import (
    BatchSpec,
    CrewSpec,
    GivesSpec,
    InspectionSpec,
    NeedsSpec,
    Picks,
    ServiceSpec,
    SetupSpec,
    SupplySpec,
    TakesSpec,
)
from twin.config.errors import KeyPath, PlantError
from twin.config.values import (
    Count,
    Document,
    Interval,
    Name,
    NotNegative,
    Positive,
    Sourced,
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


class FailureSpec(Spec):
    """A way to fail: operating time between failures (exponential), and repair time.

    ``repair_cv`` is the scatter of a lognormal repair time; an exponential one has its own.
    """

    mean_between_s: Sourced
    mean_repair_s: Sourced
    repair_law: Literal["lognormal", "exponential"] = "lognormal"
    repair_cv: NotNegative = 1.0
    clock: Literal["operating", "calendar"] = "operating"
    """Calendar: it strikes whether the station works or not."""


class ToolSpec(Spec):
    """The cutting edge: end of life as flank wear, its scatter, what a change takes and costs."""

    end_of_life_mm: Sourced
    life_cv: Sourced
    change_s: Sourced
    edge_cost_eur: Sourced


class PowerSpec(Spec):
    """Electric power in the states in which the station makes no part, kW."""

    off_kw: Sourced
    standby_kw: Sourced
    idle_kw: Sourced
    warm_up_kw: Sourced


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
    warm_up_s: Sourced
    cycle_scatter: CycleSpec | None = None
    parameters: dict[Name, Sourced] = {}
    setpoints: dict[Name, SetpointSpec] = {}
    standby_after_s: SetpointSpec
    standby: bool = True
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
    restart_scrap_parts: Annotated[int, Field(ge=0)] = 0
    """Parts that are scrap after a stop longer than ``restart_after_s``."""
    restart_after_s: Positive = 300.0
    step_s: Positive | None = None
    """Grid of a continuous process."""
    places: Annotated[int, Field(ge=1, le=64)] = 1
    """Places on the conveyor of a continuous process."""
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
    capacity: Count
    transit_s: NotNegative = 0.0


class SourceSpec(Spec):
    """Where blanks enter: one every ``takt_s`` while orders are open and there is room."""

    name: Name
    gives_to: Name
    takt_s: SetpointSpec
    blank_kg: Sourced
    blank_eur_per_kg: Sourced
    scrap_return_eur_per_kg: Sourced
    mixed_by: Name | None = None
    """A disturbance that gives the product of each blank (a mass in kg, say)."""
    wip_limit: Annotated[int, Field(ge=1)] | None = None
    """CONWIP: no blank enters while so many parts are in the line."""


class DisturbanceSpec(Spec):
    """A disturbance that is measured: how it moves when nobody recorded it."""

    unit: Unit
    kind: Literal["constant", "daily", "lots", "walk", "tariff", "mix"]
    mean: Sourced
    sd: NotNegative = 0.0
    hours: Annotated[tuple[Positive, Positive], AfterValidator(ordered)] = (4.0, 12.0)
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


class RecordedSpec(Spec):
    """How a recorded column becomes this disturbance: mean and standard deviation are mapped."""

    column: str
    every_s: Positive = 60.0
    """How far apart its rows are, in plant time."""
    scale: float = 1.0
    offset: float = 0.0
    standardise: bool = False
    """Map the column's own mean and spread onto this disturbance's mean and sd first."""


class ScenarioSpec(Spec):
    """A named course of events on top of the disturbances."""

    title: Title
    from_h: NotNegative = 0.0
    until_h: Positive = 1e6
    demand_factor: Positive = 1.0
    failure_rate_factor: Positive = 1.0
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
    adders_eur_per_mwh: Sourced
    demand_charge_eur_per_kw_year: Sourced
    gas_eur_per_mwh: Sourced
    electricity_co2_kg_per_kwh: Sourced
    gas_co2_kg_per_kwh: Sourced
    starts_at_h: Annotated[float, Field(ge=0, lt=24)] = 6.0


class DemandSpec(Spec):
    """What the line can sustain, and the shares of it that may be demanded."""

    capacity_good_parts_per_h: Sourced
    utilisation: Annotated[float, Field(gt=0, le=1.5)]
    utilisations: dict[Name, Positive]
    arrive: Literal["at_start", "evenly"] = "at_start"
    """Whether a shift's orders are known at its start or come one by one."""
    backlog_eur_per_part: Sourced
    wip_eur_per_part: Sourced


class ToolingSpec(Spec):
    """What cutting edges may cost. Edges are a limit, not a lever: staying under brings nothing."""

    budget_eur_per_part: Sourced
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

    @model_validator(mode="after")
    def _in_rhythm(self) -> Self:
        turns = self.line_period_s / self.period_s
        if turns < 1.0 or abs(turns - round(turns)) > 1e-9:
            msg = (
                f"line_period_s = {self.line_period_s:g} must be a whole number of periods "
                f"(period_s = {self.period_s:g})"
            )
            raise ValueError(msg)
        return self


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
    source: SourceSpec
    supplies: tuple[SupplySpec, ...] = ()
    crews: tuple[CrewSpec, ...] = ()
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
        """What no single key can know: names that must exist, routing, tariffs. PlantError."""
        from twin.config.routing import check_names, check_routing, known

        check_names(self)
        check_routing(self)
        for name, prices in self.energy.tariffs_eur_per_mwh.items():
            if len(prices) != 24:
                raise PlantError(
                    ("energy", "tariffs_eur_per_mwh", name),
                    f"a tariff has 24 hourly prices, this one {len(prices)}",
                    "give one price for each hour of the day, from midnight on",
                )
        known(self.energy.tariff, self.energy.tariffs_eur_per_mwh, ("energy", "tariff"), "tariff")
        if "nominal" not in self.variants or "nominal" not in self.scenarios:
            section = "variants" if "nominal" not in self.variants else "scenarios"
            hint = "add nominal: {title: as described}"
            raise PlantError((section,), f"{section} must hold one named nominal", hint)
        for name, scenario in self.scenarios.items():
            for disturbance in scenario.shift:
                at: KeyPath = ("scenarios", name, "shift", disturbance)
                known(disturbance, self.disturbances, at, "disturbance")
            if scenario.tariff is not None:
                tariffs = self.energy.tariffs_eur_per_mwh
                known(scenario.tariff, tariffs, ("scenarios", name, "tariff"), "tariff")


DisturbanceSpec.model_rebuild()
