"""One step of a continuous process model in time, written once for numbers and for symbols.

The classical Runge-Kutta method of fourth order (Hairer, Norsett & Wanner, Solving Ordinary
Differential Equations I, section II.1). Letters: x states, u manipulated variables, d disturbances,
p parameters, h step in seconds, k slopes. Inputs are held over the step.
"""

from __future__ import annotations

from typing import Any

from twin.processes import maths_numbers as xp

__all__ = ["step", "write"]

# Bound per model by `twin.processes.bind`: the model's own equations. They are globals and not
# arguments because numba cannot cache a function that is handed another compiled function.
rates: Any = None
equations: Any = None


def step(x: Any, u: Any, d: Any, p: Any, h: Any, x_out: Any) -> None:
    """Write the states after one step of length ``h`` into ``x_out``; ``x_out`` may be ``x``.

    ``rates(x, u, d, p, dx)`` writes the time derivatives, per second, into ``dx``.
    """
    n = x.shape[0]
    k1, k2, k3, k4 = xp.zeros(n), xp.zeros(n), xp.zeros(n), xp.zeros(n)
    y = xp.zeros(n)
    rates(x, u, d, p, k1)
    for i in range(n):
        y[i] = x[i] + 0.5 * h * k1[i]
    rates(y, u, d, p, k2)
    for i in range(n):
        y[i] = x[i] + 0.5 * h * k2[i]
    rates(y, u, d, p, k3)
    for i in range(n):
        y[i] = x[i] + h * k3[i]
    rates(y, u, d, p, k4)
    for i in range(n):
        x_out[i] = x[i] + h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i])


def write(x: Any, u: Any, d: Any, p: Any, out: Any) -> None:
    """Write the outputs of the model that this copy is bound to into ``out``.

    Every model gets the same signature this way, whatever its number of outputs, so that a
    compiled simulator can hold the models of all stations in one table of function pointers.
    """
    values = equations(x, u, d, p)
    for i in range(len(values)):
        out[i] = values[i]
