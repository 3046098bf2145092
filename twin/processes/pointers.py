"""Process models as addresses of machine code: how a compiled engine calls a model it was not built with.

A kernel that names its models would have to be compiled again for every line. One that calls whatever
stands at an address is compiled once: the addresses of a line's models lie in its integer columns. All
functions take pointers to float64; `called` and its sisters are the other side of that, to be used
inside numba code.

==========  =======================================  ==========================================
function    arguments                                what it does
==========  =======================================  ==========================================
``write``   x, u, d, p, out                          the outputs of a cycle, or of this moment
``step``    x, u, d, p, h, x_out                     the states after ``h`` seconds
``shift``   x, entering_c                            all carriers move on by one place
``ready``   x, u, p                                  whether a carrier may enter (0 or 1)
==========  =======================================  ==========================================
"""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from llvmlite import ir
from numba import carray, cfunc, types
from numba.extending import intrinsic

from twin.processes import integrate, maths_numbers
from twin.processes.bind import (
    OPTIONS,
    bind,
    compiled_function,
    compiled_step,
    compiled_write,
    named_by_sources,
)

if TYPE_CHECKING:
    from twin.processes.model import ProcessModel

__all__ = [
    "Addresses",
    "addresses",
    "call_element",
    "call_ready",
    "call_shift",
    "call_step",
    "call_write",
    "first_of",
]

_pointer_to: Any = types.CPointer
_VECTOR = _pointer_to(types.float64)

# Bound per model: its compiled functions and the lengths of its vectors.
model_write: Any = None
model_step: Any = None
model_shift: Any = None
model_ready: Any = None
N_X = N_U = N_D = N_P = N_Y = 0


def write(x: Any, u: Any, d: Any, p: Any, out: Any) -> None:
    model_write(
        carray(x, (N_X,)), carray(u, (N_U,)), carray(d, (N_D,)), carray(p, (N_P,)),
        carray(out, (N_Y,)),
    )  # fmt: skip


def step(x: Any, u: Any, d: Any, p: Any, h: float, x_out: Any) -> None:
    model_step(
        carray(x, (N_X,)), carray(u, (N_U,)), carray(d, (N_D,)), carray(p, (N_P,)),
        h, carray(x_out, (N_X,)),
    )  # fmt: skip


def shift(x: Any, entering_c: float) -> None:
    model_shift(carray(x, (N_X,)), entering_c)


def ready(x: Any, u: Any, p: Any) -> int:
    return 1 if model_ready(carray(x, (N_X,)), carray(u, (N_U,)), carray(p, (N_P,))) else 0


class Addresses(NamedTuple):
    """Where the functions of a model lie; 0 where it has none."""

    write: int
    step: int = 0
    shift: int = 0
    ready: int = 0


@cache
def addresses(model: ProcessModel) -> Addresses:
    """The machine code of a model. Raises `ProcessModelError` if numba cannot compile it.

    It stays in memory, and the addresses good, as long as the process lives.
    """
    from twin.processes.model import Kind, ProcessModelError

    module = model.module
    equations = "cycle" if model.kind is Kind.PER_PART else "outputs"
    bound: dict[str, Any] = {
        "N_X": len(model.states),
        "N_U": len(model.mvs),
        "N_D": len(model.dvs),
        "N_P": len(model.parameters),
        "N_Y": len(model.outputs),
    }
    sizes = repr(bound)
    try:
        bound["model_write"] = compiled_write(module, equations)
        found = [_pointer("write", types.void(*[_VECTOR] * 5), bound, module, sizes)]
        if model.kind is Kind.CONTINUOUS:
            bound["model_step"] = compiled_step(module)
            bound["model_shift"] = compiled_function(module, "shift_carriers")
            bound["model_ready"] = compiled_function(module, "entry_open")
            h = types.float64
            for name, signature in (
                ("step", types.void(*[_VECTOR] * 4, h, _VECTOR)),
                ("shift", types.void(_VECTOR, types.float64)),
                ("ready", types.int64(*[_VECTOR] * 3)),
            ):
                found.append(_pointer(name, signature, bound, module, sizes))
    except Exception as error:
        raise ProcessModelError(
            f"process model {model.name!r} cannot be compiled by numba, so it runs on the SimPy"
            f" engine alone: {error}"
        ) from error
    return Addresses(*found)


_kept: list[Any] = []
"""Code that somebody has an address of must not be collected."""


def _pointer(
    name: str, signature: Any, bound: dict[str, Any], module: ModuleType, sizes: str
) -> int:
    function = bind(sys.modules[__name__], bound)[name]
    sources = (module, sys.modules[__name__], integrate, maths_numbers)
    cache_it = named_by_sources(function, sources, sizes)
    code = cfunc(signature, cache=cache_it, **OPTIONS)(function)
    _kept.append(code)
    return int(code.address or 0)


def element_pointer(function: Any, name: str, files: tuple[ModuleType, ...]) -> int:
    """The address of a line element's ``fire`` or ``look``, see ``twin.line.custom``."""
    whole, floats, ints = types.int64, _VECTOR, _pointer_to(types.int64)
    state = (floats, ints, floats, ints, floats, ints)
    own = bind(sys.modules[__name__], {"element_function": function})[f"{name}_element"]
    cache_it = named_by_sources(own, files)
    signature = types.void(whole, whole, types.float64, *state)
    code = cfunc(signature, cache=cache_it, **OPTIONS)(own)
    _kept.append(code)
    return int(code.address or 0)


# Bound per element.
element_function: Any = None


def fire_element(
    e: int, pending: int, now: float, f: Any, i: Any, c: Any, k: Any, floats: Any, ints: Any
) -> None:
    element_function(e, pending, now, f, i, c, k, (floats, ints))


def look_element(
    e: int, _pending: int, now: float, f: Any, i: Any, c: Any, k: Any, floats: Any, ints: Any
) -> None:
    element_function(e, now, f, i, c, k, (floats, ints))


# --- the calling side: each vector is a pointer and how far behind it the vector begins ------------


@intrinsic
def first_of(typing, array):  # type: ignore[no-untyped-def]
    """The address of an array's first element, as a pointer that can be indexed.

    Compiled code that hands arrays on from function to function counts references at every turn and
    passes seven words for each; a pointer is one word and nothing to count (measured on the event
    loop of ``twin.line``: about ten times as fast). Whoever holds the array must outlive the pointer.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, values[0]).data

    return _pointer_to(array.dtype)(array), generate


@intrinsic
def ahead(typing, pointer, n):  # type: ignore[no-untyped-def]
    """The pointer ``n`` elements on."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.gep(values[0], [values[1]])

    return pointer(pointer, n), generate


@intrinsic
def call_write(typing, address, x, x_at, u, u_at, d, d_at, p, p_at, out, out_at):  # type: ignore[no-untyped-def]
    """Call ``write`` at an address."""
    return _call(types.void, (address, x, x_at, u, u_at, d, d_at, p, p_at, out, out_at), vectors=5)


@intrinsic
def call_step(typing, address, x, x_at, u, u_at, d, d_at, p, p_at, out, out_at, h):  # type: ignore[no-untyped-def]
    """Call ``step`` at an address; ``h`` comes last here."""
    return _call(
        types.void, (address, x, x_at, u, u_at, d, d_at, p, p_at, out, out_at, h), vectors=5, h_at=4
    )


@intrinsic
def call_shift(typing, address, x, x_at, entering_c):  # type: ignore[no-untyped-def]
    """Call ``shift`` at an address."""
    return _call(types.void, (address, x, x_at, entering_c), vectors=1, h_at=1)


@intrinsic
def call_ready(typing, address, x, x_at, u, u_at, p, p_at):  # type: ignore[no-untyped-def]
    """Call ``ready`` at an address."""
    return _call(types.int64, (address, x, x_at, u, u_at, p, p_at), vectors=3)


@intrinsic
def call_element(typing, address, e, pending, now, f, i, c, k, floats, ints):  # type: ignore[no-untyped-def]
    """Call ``fire`` or ``look`` of a line element at an address."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in values[1:]])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(address, e, pending, now, f, i, c, k, floats, ints), generate


def _call(result: Any, arguments: tuple[Any, ...], vectors: int, h_at: int = -1) -> Any:
    """Signature and code of a call; the number, if any, becomes argument ``h_at`` of the function."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        at = range(1, 2 * vectors, 2)
        passed = [builder.gep(values[n], [values[n + 1]]) for n in at]
        if h_at >= 0:
            passed.insert(h_at, values[-1])
        returned = context.get_value_type(result) if result != types.void else ir.VoidType()
        kind = ir.FunctionType(returned, [value.type for value in passed])
        code = builder.inttoptr(values[0], kind.as_pointer())
        answer = builder.call(code, passed)
        return answer if result != types.void else context.get_dummy_value()

    return result(*arguments), generate
