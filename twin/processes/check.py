"""The checks that a process model has to pass, shipped for whoever writes one.

`check_process_model` is run over the built-in models by the contract tests, and by authors of
plug-ins over theirs. It evaluates the model at points spread over the declared limits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from twin.processes.model import Floats, Kind, Point, ProcessModel, ProcessModelError, Quantity

__all__ = ["check_process_model", "check_reference", "spread_points"]

_AGREEMENT = 1e-12
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)


def check_process_model(model: ProcessModel, points: int = 64, first: int = 1) -> None:
    """Raise `ProcessModelError` unless ``model`` holds what it declares.

    At ``points`` points of a fixed sequence from ``first`` on, and at the reference: plain Python,
    machine code and CasADi agree to 1e-12; every result is finite; every output of the reference
    lies inside its limits; defect probabilities lie in 0 to 1, times and energies are not negative.
    """
    _check_provenance(model)
    check_reference(model)
    reference = model.point()
    _check_outputs(model, reference, at_reference=True)
    symbolic = _symbolic_outputs(model)
    for index in range(first, first + points):
        point = spread_points(model, index)
        numbers = _check_outputs(model, point, at_reference=False)
        _agree(model, "numbers() and symbols()", numbers, symbolic(point), point)
        plain = np.array(model.plain()(*point), dtype=np.float64)
        _agree(model, "numbers() and plain Python", numbers, plain, point)
        out = np.zeros(len(model.outputs))
        model.writer()(*point, out)
        _agree(model, "numbers() and writer()", numbers, out, point)
    if model.kind is Kind.CONTINUOUS:
        _check_steps(model, [reference, *(spread_points(model, i) for i in range(1, 9))])


def check_reference(model: ProcessModel) -> None:
    """Raise `ProcessModelError` for a model that makes no sense at its own reference point.

    In plain Python and so in no time: every model of another package passes here when it is loaded.
    """
    point = model.point()
    try:
        results = model.plain()(*point)
        values = [float(value) for value in results]
    except Exception as error:
        raise ProcessModelError(
            f"process model {model.name!r} fails at its own reference point: {error!r}"
        ) from error
    _refuse_nonsense(model, values, point, at_reference=True)


def spread_points(model: ProcessModel, index: int) -> Point:
    """Return point ``index`` of a sequence that fills the declared limits evenly.

    An additive recurrence on the square roots of primes and their multiples (Weyl 1916), so the
    same index is the same point everywhere and no random numbers are needed.
    """
    vectors = []
    dimension = 0
    for group in (model.states, model.mvs, model.dvs, model.parameters):
        values = []
        for quantity in group:
            prime = _PRIMES[dimension % len(_PRIMES)]
            share = (index * math.sqrt(prime) * (1 + dimension // len(_PRIMES))) % 1.0
            values.append(quantity.lo + share * (quantity.hi - quantity.lo))
            dimension += 1
        vectors.append(np.array(values, dtype=np.float64))
    return Point(*vectors)


def _check_provenance(model: ProcessModel) -> None:
    every: Sequence[Quantity] = (
        *model.states, *model.mvs, *model.dvs, *model.parameters, *model.outputs
    )  # fmt: skip
    for quantity in every:
        if not quantity.source.strip() or not quantity.unit.strip():
            raise ProcessModelError(
                f"process model {model.name!r}: {quantity.name!r} needs a unit and a source, or the"
                " word assumption"
            )


def _check_outputs(model: ProcessModel, point: Point, *, at_reference: bool) -> Floats:
    results = model.numbers()(*point)
    _refuse_nonsense(model, results, point, at_reference=at_reference)
    return np.array(results, dtype=np.float64)


def _refuse_nonsense(
    model: ProcessModel, results: Sequence[float], point: Point, *, at_reference: bool
) -> None:
    """Outputs that are not those declared, not finite, no probabilities, negative, off limits."""
    if len(results) != len(model.outputs):
        raise ProcessModelError(
            f"process model {model.name!r} returns {len(results)} outputs and declares"
            f" {len(model.outputs)}"
        )
    for quantity, value in zip(model.outputs, results, strict=True):
        where = (
            f"process model {model.name!r}: {quantity.name} = {value} {quantity.unit} at {point}"
        )
        if not math.isfinite(value):
            raise ProcessModelError(f"{where} is not finite; guard the equation, or the limits")
        if at_reference and not quantity.lo <= value <= quantity.hi:
            raise ProcessModelError(f"{where} lies outside its declared limits")
        if quantity.name == "defect_probability" and not -1e-12 <= value <= 1.0 + 1e-12:
            raise ProcessModelError(f"{where} is no probability")
        if quantity.name in {"cycle_time_s", "energy_kwh", "wear_increment"} and value < 0.0:
            raise ProcessModelError(f"{where} is negative")


def _check_steps(model: ProcessModel, points: Sequence[Point]) -> None:
    """Derivatives and one step of time agree between machine code and CasADi."""
    import casadi

    ca: Any = casadi
    n = len(model.states)
    inputs = _columns(ca, model)
    rates = ca.Function("rates", inputs, [model.symbols("rates")(*inputs)])
    h = ca.SX.sym("h")
    step = ca.Function("step", [*inputs, h], [model.symbolic_stepper()(*inputs, h)])
    for point in points:
        dx, x_out = np.zeros(n), np.zeros(n)
        model.numbers("rates")(*point, dx)
        _agree(model, "rates by numbers() and symbols()", dx, _flat(rates(*point)), point)
        # A short step: far from equilibrium a full one may overflow, in both alike.
        h_s = 0.01 * (model.step_s or 0.0)
        model.stepper()(*point, h_s, x_out)
        _agree(model, "stepper() and its symbols", x_out, _flat(step(*point, h_s)), point)
    reference, h_s = points[0], model.step_s or 0.0
    whole, halves = np.zeros(n), np.zeros(n)
    model.stepper()(*reference, h_s, whole)
    model.stepper()(*reference, 0.5 * h_s, halves)
    model.stepper()(halves, *reference[1:], 0.5 * h_s, halves)
    if not np.allclose(whole, halves, rtol=1e-3, atol=1e-3):
        raise ProcessModelError(
            f"process model {model.name!r}: one step of {h_s} s differs from two of half that;"
            " declare a smaller step_s"
        )


def _symbolic_outputs(model: ProcessModel) -> Any:
    import casadi

    ca: Any = casadi
    inputs = _columns(ca, model)
    try:
        outputs = ca.vertcat(*model.symbols()(*inputs))
    except Exception as error:
        raise ProcessModelError(
            f"process model {model.name!r} does not run over symbols: {error}; choose by xp.where, and"
            " call no functions but those of xp"
        ) from error
    function = ca.Function("outputs", inputs, [outputs])
    return lambda point: _flat(function(*point))


def _columns(ca: Any, model: ProcessModel) -> list[Any]:
    groups = (model.states, model.mvs, model.dvs, model.parameters)
    return [ca.SX.sym(name, len(group)) for name, group in zip("xudp", groups, strict=True)]


def _flat(values: Any) -> Floats:
    return np.asarray(values.full(), dtype=np.float64).reshape(-1)


def _agree(model: ProcessModel, what: str, left: Floats, right: Floats, point: Point) -> None:
    scale = np.maximum(1.0, np.abs(left))
    if left.shape != right.shape or not np.all(np.abs(left - right) <= _AGREEMENT * scale):
        raise ProcessModelError(
            f"process model {model.name!r}: {what} differ by {np.max(np.abs(left - right)):.3g} at"
            f" {point}: {left} and {right}"
        )
