"""Machine code of the kernel and of other packages' elements: made once, cached on disk."""

from __future__ import annotations

from functools import cache
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from numba import njit, types

from twin.kernels import cost, draws, limits, normal, observation
from twin.line import batch, hooks, meters, schema
from twin.line import kernel as own
from twin.line import turns as own_turns
from twin.line.custom import ElementKind
from twin.line.rules import MODULES
from twin.line.simulator import own_functions
from twin.processes import pointers
from twin.processes.bind import OPTIONS, bind, named_by_sources
from twin.processes.model import ProcessModelError


@cache
def bound() -> dict[str, Any]:
    """All transitions for the compiler, with what this engine owes them; nothing is compiled yet."""
    calls = ("call_write", "call_step", "call_shift", "call_ready", "call_element")
    names: dict[str, Any] = {
        name: getattr(pointers, name) for name in (*calls, "first_of", "ahead")
    }
    # One function in the end: calls would cost as much as what is done in them (measured: 1.6 times).
    compile_function = njit(forceinline=True, **OPTIONS)
    names |= own_functions(own, bind(own, names, compile_function))
    for module in MODULES:
        names |= own_functions(module, bind(module, names, compile_function))
    return names


@cache
def kernel() -> Any:
    """`advance`, compiled; or loaded, if it was compiled before: it is cached beside this file."""
    function = bind(own, bound(), njit(forceinline=True, **OPTIONS))["advance"].py_func
    f, i = types.Array(types.float64, 1, "C"), types.Array(types.int64, 1, "C")
    many_f, many_i = types.Array(types.float64, 2, "C"), types.Array(types.int64, 2, "C")
    signature = types.int64(f, f, i, i, i, i, many_f, many_f, many_i, many_f, i, many_f, f, i)
    cached = named_by_sources(function, sources())
    return njit(signature, cache=cached, **OPTIONS)(function)


@cache
def turns() -> dict[str, Any]:
    """The functions of ``twin.line.turns`` that are called from Python, as machine code cached like the kernel."""
    costs = (cost.running_cost_eur, cost.stock_cost_eur, cost.tool_charge_eur)
    names = {function.__name__: njit(**OPTIONS)(function) for function in costs}
    # Records of arrays are costly to hand on: each array in them is counted at each call.
    inline = njit(forceinline=True, **OPTIONS)
    names |= own_functions(meters, bind(meters, names, inline))
    inner = bind(own_turns, names, inline)
    found = {}
    for name in own_turns.CALLED:
        function = FunctionType(inner[name].py_func.__code__, inner, name)
        files = (own_turns, meters, batch, schema, cost, draws, limits, observation)
        found[name] = njit(cache=named_by_sources(function, files), **OPTIONS)(function)
    return found


def sources() -> tuple[ModuleType, ...]:
    """All files whose code goes into the kernel."""
    return (own, *MODULES, hooks, schema, draws, normal, pointers)


class ElementAddresses(NamedTuple):
    """Where the functions of another package's element lie."""

    fire: int
    look: int


@cache
def element_addresses(element: ElementKind) -> ElementAddresses:
    """Its machine code. Raises `ProcessModelError` if numba cannot compile it."""
    try:
        functions = bind(element.module, bound(), njit(**OPTIONS))
        files = (element.module, *sources())
        found = (
            pointers.element_pointer(functions[name], name, files) for name in ("fire", "look")
        )
        return ElementAddresses(*found)
    except Exception as error:
        raise ProcessModelError(
            f"element {element.name!r} cannot be compiled by numba, so it runs on the SimPy engine"
            f" alone: {error}"
        ) from error
