"""What a solver said of one decision: how it ended, how exactly, what binds and what that costs.

Part of what a controller asks for: on record with it, and shown where the decision is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Binding", "Solve", "added_up", "read_solve", "solve_record"]

BINDS_EUR = 1e-9
"""A limit of which a unit is worth less than that does not bind."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A limit that binds: ``price`` is what a unit more room, all along the horizon, would save, EUR.

    ``side`` is ``"lo"`` or ``"hi"``. The unit is that of what ``name`` names.
    """

    name: str
    side: str
    price: float

    def __str__(self) -> str:
        """In words, as people read it."""
        return f"{self.name} {self.side} {self.price:.3g} EUR a unit"


@dataclass(frozen=True, slots=True)
class Solve:
    """One solve: ``status`` is the solver's word or begins with ``fallback:``, ``solver`` is who found it.

    ``kkt_residual`` is the largest violation of the optimality conditions in the problem's own scaling, NaN
    where there are none (integer programs, rungs below the solvers).
    """

    solver: str
    status: str
    iterations: int
    kkt_residual: float
    binding: tuple[Binding, ...] = ()

    def __str__(self) -> str:
        """In one line, as people read it."""
        exact = "" if math.isnan(self.kkt_residual) else f", KKT {self.kkt_residual:.1e}"
        binds = "; ".join(map(str, self.binding)) or "no limit"
        return f"{self.solver}: {self.status}, {self.iterations} iterations{exact}; binds: {binds}"


def added_up(prices: Iterable[tuple[str, float]]) -> tuple[Binding, ...]:
    """Bindings of (name, price) along a horizon, dearest first; a negative price is one of a lower limit."""
    found: dict[tuple[str, str], float] = {}
    for name, price in prices:
        if abs(price) > BINDS_EUR:
            key = (name, "hi" if price > 0.0 else "lo")
            found[key] = found.get(key, 0.0) + abs(float(price))
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return tuple(Binding(name, side, price) for (name, side), price in ordered)


def solve_record(solve: Solve) -> dict[str, Any]:
    """A solve as plain data, for the audit and for whoever asks the loop; not a number becomes null."""
    residual = solve.kkt_residual
    return {
        "solver": solve.solver,
        "status": solve.status,
        "iterations": solve.iterations,
        "kkt_residual": residual if math.isfinite(residual) else None,
        "binding": [[b.name, b.side, b.price] for b in solve.binding],
    }


def read_solve(record: Mapping[str, Any]) -> Solve:
    """The solve behind such a record."""
    residual = record["kkt_residual"]
    return Solve(
        record["solver"],
        record["status"],
        record["iterations"],
        math.nan if residual is None else residual,
        tuple(Binding(*one) for one in record["binding"]),
    )
