"""Gives the equations of a model file another maths library, and compiles them.

A model file is plain functions over the global name ``xp``. `bind` copies the functions of such a
file with another ``xp`` in their globals; the copies see each other, never the originals. Equations
therefore stay ordinary functions that exist once, and yet run as Python, as machine code and as
CasADi expressions.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from twin.processes import integrate, maths_numbers

__all__ = [
    "OPTIONS",
    "bind",
    "compiled",
    "compiled_function",
    "compiled_step",
    "compiled_write",
    "named_by_sources",
    "symbolic",
]


def bind(
    module: ModuleType,
    names: Mapping[str, Any],
    compile_function: Callable[[Any], Any] | None = None,
) -> dict[str, Any]:
    """Copy every function defined in ``module`` so that its globals hold ``names``.

    ``names`` usually gives ``xp``. Each copy passes through ``compile_function`` if there is one.
    Returns the new globals. Functions that the module imported are left as they are.
    """
    bound = {**vars(module), **names}
    for name, function in vars(module).items():
        if isinstance(function, FunctionType) and function.__module__ == module.__name__:
            copy = FunctionType(
                function.__code__, bound, name, function.__defaults__, function.__closure__
            )
            copy.__kwdefaults__ = function.__kwdefaults__
            bound[name] = compile_function(copy) if compile_function else copy
    return bound


@cache
def symbolic(module: ModuleType) -> dict[str, Any]:
    """Return the functions of a model file over CasADi expressions, `integrate.step` with them."""
    from twin.processes import maths_symbols  # imports casadi

    equations = bind(module, {"xp": maths_symbols})
    if "rates" not in equations:
        return equations
    names = {"xp": maths_symbols, "rates": equations["rates"]}
    return {**equations, "step": bind(integrate, names)["step"]}


@cache
def compiled(module: ModuleType, name: str, results: int) -> Any:
    """One function of a model file as machine code, cached on disk.

    ``name`` takes (x, u, d, p), contiguous float64 vectors, and returns ``results`` floats; with
    ``results`` zero it takes (x, u, d, p, out) and fills ``out``. The compiled function has one
    signature, so it may also be handed to other compiled code as a function pointer.
    """
    types = _numba().types
    vector = types.Array(types.float64, 1, "C")
    signature = (
        types.UniTuple(types.float64, results)(vector, vector, vector, vector)
        if results
        else types.void(vector, vector, vector, vector, vector)
    )
    return _compile(_compiled_globals(module)[name].py_func, signature, (module,))


@cache
def compiled_write(module: ModuleType, name: str) -> Any:
    """`integrate.write` over the equations ``name`` of a model file, as machine code."""
    types, njit = _numba().types, _numba().njit
    vector = types.Array(types.float64, 1, "C")
    names = {"xp": _compiled_maths(), "equations": _compiled_globals(module)[name]}
    write = bind(integrate, names, njit(**OPTIONS))["write"]
    signature = types.void(vector, vector, vector, vector, vector)
    return _compile(write.py_func, signature, (module, integrate))


@cache
def compiled_step(module: ModuleType) -> Any:
    """`integrate.step` over the rates of a model file: f(x, u, d, p, h, x_out)."""
    types, njit = _numba().types, _numba().njit
    vector = types.Array(types.float64, 1, "C")
    names = {"xp": _compiled_maths(), "rates": _compiled_globals(module)["rates"]}
    step = bind(integrate, names, njit(**OPTIONS))["step"]
    signature = types.void(vector, vector, vector, vector, types.float64, vector)
    return _compile(step.py_func, signature, (module, integrate))


def _numba() -> Any:
    """Numba, imported only when something is to be compiled; it carries no types."""
    return importlib.import_module("numba")


# Division by zero gives infinity, as in CasADi and IEEE 754, not an exception.
OPTIONS: dict[str, Any] = {"error_model": "numpy"}


@cache
def _compiled_maths() -> ModuleType:
    """`maths_numbers` with every function compiled, as a module that numba can look into."""
    njit = _numba().njit
    maths = ModuleType("twin.processes.maths_numbers_compiled")
    vars(maths).update(bind(maths_numbers, {}, njit(**OPTIONS)))
    return maths


@cache
def _compiled_globals(module: ModuleType) -> dict[str, Any]:
    njit = _numba().njit
    return bind(module, {"xp": _compiled_maths()}, njit(**OPTIONS))


def compiled_function(module: ModuleType, name: str) -> Any:
    """A function of a model file for other compiled code to call; it has no cache of its own."""
    return _compiled_globals(module)[name]


def named_by_sources(
    function: FunctionType, modules: tuple[ModuleType, ...], more: str = ""
) -> bool:
    """Let the cache of ``function`` hold for these sources only; False if it cannot be cached.

    Numba names its cache file after the function and checks the age of that function's own file
    only. Two models that share `integrate.step`, or an edit to the maths, would be served a
    stale entry; so the name carries a digest of every source file that goes into the code, and of
    whatever ``more`` tells about it.
    """
    sources = [module.__file__ for module in modules]
    if None in sources:
        return False
    digest = hashlib.sha256(more.encode())
    for source in sources:
        digest.update(Path(str(source)).read_bytes())
    digest.update(repr([module.__name__ for module in modules]).encode())
    function.__qualname__ = f"{function.__name__}_{digest.hexdigest()[:16]}"
    return True


def _compile(function: FunctionType, signature: Any, modules: tuple[ModuleType, ...]) -> Any:
    """Compile ``function`` for one signature, cached on disk."""
    cache_it = named_by_sources(function, (*modules, maths_numbers))
    return _numba().njit(signature, cache=cache_it, **OPTIONS)(function)
