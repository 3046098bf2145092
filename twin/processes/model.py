"""What a process model declares: its quantities, with unit, limits and source, and its equations.

A process model is the physics of one kind of station, as pure functions. A *per-part* model says
what one cycle costs and yields; a *continuous* model says how its states move. Nothing that changes
lives here: states, setpoints, disturbances and parameters come in as vectors, in the declared order.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from twin.processes.bind import compiled, compiled_step, compiled_write, symbolic

__all__ = [
    "Kind",
    "Point",
    "ProcessModel",
    "ProcessModelError",
    "Quantity",
    "Scalar",
    "Variant",
    "Vector",
    "output",
    "per_part_outputs",
    "positions",
]

# In equations a scalar is a float or a CasADi expression, a vector an array or a CasADi column.
Scalar: TypeAlias = Any
Vector: TypeAlias = Any
Floats: TypeAlias = npt.NDArray[np.float64]


class ProcessModelError(ValueError):
    """A process model, or a value given to one, that cannot be used; the message says where."""


class Kind(StrEnum):
    """How a model runs: once per part, or continuously in time."""

    PER_PART = "per_part"
    CONTINUOUS = "continuous"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a process model: a state, setpoint, disturbance, parameter or output.

    ``unit`` is a UCUM code (``1`` for a plain number), ``lo`` and ``hi`` are the limits within
    which the model holds, ``default`` is the reference value (none for an output), ``source`` names
    where the value and its range come from, or says *assumption* or *derived* and how.
    """

    name: str
    unit: str
    lo: float
    hi: float
    default: float | None
    source: str

    def __post_init__(self) -> None:
        """Refuse a declaration without unit, source or sensible limits."""
        where = f"quantity {self.name!r}"
        if not self.name.isidentifier():
            raise ProcessModelError(f"{where}: give it a name that is a Python identifier")
        if not self.unit or not self.source:
            raise ProcessModelError(f"{where}: declare its unit ('1' if none) and its source")
        if not (math.isfinite(self.lo) and math.isfinite(self.hi) and self.lo <= self.hi):
            raise ProcessModelError(f"{where}: limits {self.lo} to {self.hi} are not a range")
        if self.default is not None and not self.lo <= self.default <= self.hi:
            raise ProcessModelError(
                f"{where}: default {self.default} lies outside {self.lo} to {self.hi} {self.unit}"
            )


def output(name: str, unit: str, lo: float, hi: float, source: str) -> Quantity:
    """Declare an output: the limits are those of a plausible value, and there is no default."""
    return Quantity(name, unit, lo, hi, None, source)


def per_part_outputs(wear_unit: str = "1") -> tuple[Quantity, ...]:
    """Return the five outputs with which every per-part model begins."""
    accounting = "defined by the accounting of a cycle"
    return (
        output("cycle_time_s", "s", 0.0, 86400.0, accounting),
        output("energy_kwh", "kW.h", 0.0, 1000.0, accounting + ": electricity, base load included"),
        output("material_kg", "kg", 0.0, 1000.0, accounting + ": material taken in here"),
        output("defect_probability", "1", 0.0, 1.0, accounting),
        output("wear_increment", wear_unit, 0.0, 1000.0, accounting),
    )


def positions(quantities: tuple[Quantity, ...]) -> Any:
    """Where each quantity stands in its vector, as attributes: ``x[positions(STATES).wear_mm]``.

    A named tuple of integers, because numba freezes it into the compiled code.
    """
    names = [quantity.name for quantity in quantities]
    return namedtuple("positions", names)(*range(len(names)))  # noqa: PYI024


@dataclass(frozen=True, slots=True)
class Variant:
    """The same equations with other quantities: drilling instead of turning, say."""

    name: str
    quantities: tuple[Quantity, ...]


@dataclass(frozen=True, slots=True)
class HeatStore:
    """Heat that stands in a station and has a price when it is gone: an oven's zone, say.

    ``signal`` is the measured temperature, ``setpoint`` the MV that it follows, ``capacity`` the
    parameter in kJ/K, ``efficiency`` that of the burner which fills it.
    """

    signal: str
    setpoint: str
    capacity: str
    efficiency: str


class Point(NamedTuple):
    """The four vectors at which a model is evaluated, float64, in declared order."""

    x: Floats
    u: Floats
    d: Floats
    p: Floats


@dataclass(frozen=True, slots=True)
class ProcessModel:
    """The physics of one kind of station.

    ``module`` holds the equations. Per part: ``cycle(x, u, d, p)`` returns the outputs. Continuous:
    ``rates(x, u, d, p, dx)`` writes the derivatives per second into ``dx`` and
    ``outputs(x, u, d, p)`` returns the outputs; ``step_s`` is then the largest step that the model
    was checked with. A model with parts so fast that they would force tiny steps says ``stiff``; an
    optimiser then takes an implicit step, while simulators keep to ``step_s``.

    >>> from twin.processes import load
    >>> turning = load("cutting")
    >>> at = turning.point(cutting_speed_m_per_min=242.0)
    >>> cycle_time_s, energy_kwh, *_ = turning.plain()(*at)
    >>> float(round(cycle_time_s, 2))
    49.54
    """

    name: str
    kind: Kind
    states: tuple[Quantity, ...]
    mvs: tuple[Quantity, ...]
    dvs: tuple[Quantity, ...]
    parameters: tuple[Quantity, ...]
    outputs: tuple[Quantity, ...]
    module: ModuleType
    variants: tuple[Variant, ...] = ()
    step_s: float | None = None
    stores: tuple[HeatStore, ...] = ()
    stiff: bool = False

    def __post_init__(self) -> None:
        """Refuse a model whose declarations do not fit together."""
        inputs = (*self.states, *self.mvs, *self.dvs, *self.parameters)
        names = [quantity.name for quantity in inputs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ProcessModelError(f"process model {self.name!r} declares {twice} twice")
        for quantity in inputs:
            if quantity.default is None:
                raise ProcessModelError(
                    f"process model {self.name!r}: {quantity.name!r} needs a default"
                )
        first = tuple(quantity.name for quantity in per_part_outputs())
        if self.kind is Kind.PER_PART and self.output_names[: len(first)] != first:
            raise ProcessModelError(
                f"process model {self.name!r}: the outputs of a per-part model begin with {first}"
            )
        if self.kind is Kind.CONTINUOUS and not (self.step_s and 0.0 < self.step_s < math.inf):
            raise ProcessModelError(f"process model {self.name!r}: declare step_s, in seconds")

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in the order in which the equations return them."""
        return tuple(quantity.name for quantity in self.outputs)

    def variant(self, name: str) -> ProcessModel:
        """Return this model with the quantities of one of its variants."""
        for variant in self.variants:
            if variant.name == name:
                new = {quantity.name: quantity for quantity in variant.quantities}
                groups = ("states", "mvs", "dvs", "parameters", "outputs")
                changed: dict[str, Any] = {
                    group: tuple(new.get(old.name, old) for old in getattr(self, group))
                    for group in groups
                }
                return replace(self, name=f"{self.name}.{name}", variants=(), **changed)
        known = ", ".join(variant.name for variant in self.variants) or "none"
        raise ProcessModelError(
            f"process model {self.name!r} has no variant {name!r}; it has: {known}"
        )

    def point(self, **values: float) -> Point:
        """Return the reference point, with the named quantities at other values.

        Raises `ProcessModelError` for an unknown name, a NaN or a value outside the limits.
        """
        groups = (self.states, self.mvs, self.dvs, self.parameters)
        unknown = values.keys() - {quantity.name for group in groups for quantity in group}
        if unknown:
            raise ProcessModelError(
                f"process model {self.name!r} has no quantity {sorted(unknown)}"
            )
        vectors = [
            np.array([values.get(q.name, q.default) for q in group], dtype=np.float64)
            for group in groups
        ]
        point = Point(*vectors)
        self.refuse_bad(point)
        return point

    def refuse_bad(self, point: Point) -> None:
        """Raise `ProcessModelError` if a vector has the wrong length, a NaN or a value off limits."""
        for group, vector in zip(
            (self.states, self.mvs, self.dvs, self.parameters), point, strict=True
        ):
            if vector.shape != (len(group),):
                names = [quantity.name for quantity in group]
                raise ProcessModelError(
                    f"process model {self.name!r} takes {len(names)} values {names},"
                    f" not a vector of shape {vector.shape}"
                )
            for quantity, value in zip(group, vector, strict=True):
                if not quantity.lo <= value <= quantity.hi:  # also refuses NaN
                    raise ProcessModelError(
                        f"process model {self.name!r}: {quantity.name} = {value} {quantity.unit} is"
                        f" outside {quantity.lo} to {quantity.hi}; correct the value, or the limits"
                    )

    def plain(self, function: str | None = None) -> Callable[..., Any]:
        """Return the equations as they stand, in Python: slow, but they can be stepped through."""
        equations: Callable[..., Any] = getattr(self.module, function or self._equations)
        return equations

    def numbers(self, function: str | None = None) -> Callable[..., tuple[float, ...]]:
        """Return the equations as machine code, cached on disk: (x, u, d, p) to the outputs.

        With ``function="rates"`` a continuous model gives (x, u, d, p, dx), which fills ``dx``.
        Nothing is checked in there: see `refuse_bad`.
        """
        name = function or self._equations
        results = 0 if name == "rates" else len(self.outputs)
        numbers: Callable[..., tuple[float, ...]]
        numbers = self._named(lambda: compiled(self.module, name, results))
        return numbers

    def writer(self) -> Callable[..., None]:
        """Return machine code (x, u, d, p, out) that writes the outputs into ``out``.

        All models share this one signature, for tables of function pointers.
        """
        writer: Callable[..., None]
        writer = self._named(lambda: compiled_write(self.module, self._equations))
        return writer

    def stepper(self) -> Callable[..., None]:
        """Return machine code (x, u, d, p, h, x_out): one step of ``h`` seconds, continuous only."""
        self._refuse_per_part("stepper")
        stepper: Callable[..., None]
        stepper = self._named(lambda: compiled_step(self.module))
        return stepper

    def symbols(self, function: str | None = None) -> Callable[..., Any]:
        """Return the equations over CasADi SX columns: (x, u, d, p) to a tuple of SX scalars.

        With ``function="rates"`` a continuous model gives one SX column of derivatives.
        """
        from twin.processes import maths_symbols  # imports casadi

        name = function or self._equations
        equations = symbolic(self.module)[name]
        if name != "rates":
            return lambda x, u, d, p: maths_symbols.scalars(equations(x, u, d, p))

        def rates(x: Vector, u: Vector, d: Vector, p: Vector) -> Vector:
            dx = maths_symbols.zeros(len(self.states))
            equations(x, u, d, p, dx)
            return dx

        return rates

    def symbolic_stepper(self) -> Callable[..., Any]:
        """Return the same step over SX columns: (x, u, d, p, h) to the SX column of new states."""
        self._refuse_per_part("symbolic_stepper")
        from twin.processes import maths_symbols  # imports casadi

        step = symbolic(self.module)["step"]

        def advance(x: Vector, u: Vector, d: Vector, p: Vector, h: Scalar) -> Vector:
            x_out = maths_symbols.zeros(len(self.states))
            step(x, u, d, p, h, x_out)
            return x_out

        return advance

    @property
    def _equations(self) -> str:
        return "cycle" if self.kind is Kind.PER_PART else "outputs"

    def _refuse_per_part(self, asked: str) -> None:
        if self.kind is Kind.PER_PART:
            raise ProcessModelError(f"process model {self.name!r} is per part: it has no {asked}")

    def _named(self, build: Callable[[], Any]) -> Any:
        """Compile, and name the model if numba cannot."""
        try:
            return build()
        except Exception as error:
            raise ProcessModelError(
                f"process model {self.name!r} cannot be compiled by numba, so it runs on the SimPy"
                f" engine alone: {error}"
            ) from error
