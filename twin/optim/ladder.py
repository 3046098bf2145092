"""From the best answer down to the safest: what a station MPC does when a solve does not succeed.

    1  Gauss-Newton steps by HPIPM, from the last plan moved on by one step
    2  the same by PIQP
    3  IPOPT, from that plan, or cold for the first solve and after several failures
    4  the last plan, moved on
    5  hold the setpoints in force, moved to their limits where they are beyond
    6  hold, and say that the station should shed to its own control

Each answer names its rung, how it was reached, which limits bind and what a unit of them is worth.
Setpoints that leave here are finite, within their rates and, as far as these allow, inside their
limits, whatever the solvers did. Solvers are limited by iterations; where time counts, a clock comes in and no rung is
begun, and no iteration, after the deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from twin.optim.result import Floats, Solution
from twin.optim.shooting import Here, Plan, Shooting
from twin.solves import Binding, Solve, added_up

__all__ = ["Answer", "Ladder", "Memory", "Rung"]


class Rung(StrEnum):
    """Where an answer comes from, best first."""

    HPIPM = "sqp/hpipm"
    PIQP = "sqp/piqp"
    IPOPT = "ipopt"
    SHIFTED = "shifted_plan"
    HOLD = "hold"
    SHED = "shed"


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What one solve leaves for the next: its plan, its damping, and how often none was found.

    ``age`` counts the steps since the plan was optimised, ``failures`` those in which solvers were
    asked in vain, ``held`` those in which there was no plan left.
    """

    point: Floats | None = None
    damping: float = 0.0
    age: int = 0
    failures: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Setpoints (all MVs, declared order), the rung they come from, and how good they are.

    ``reasons`` say how each rung ended that was tried. ``kkt_residual`` is NaN below the solvers. `plan`
    and `binding` are worked out when they are asked for.
    """

    u: Floats
    rung: Rung
    reasons: tuple[str, ...]
    iterations: int
    kkt_residual: float
    shooting: Shooting = field(repr=False)
    here: Here = field(repr=False)
    point: Floats | None = field(repr=False, default=None)
    multipliers: tuple[Floats | None, Floats | None] = field(repr=False, default=(None, None))

    @property
    def optimised(self) -> bool:
        """Whether a solver found these setpoints for this very step."""
        return self.rung in {Rung.HPIPM, Rung.PIQP, Rung.IPOPT}

    @property
    def plan(self) -> Plan | None:
        """The course that the setpoints begin; None where there is none left."""
        if self.point is None or _unknown(self.here):
            return None
        return self.shooting.plan(self.point, self.here)

    @property
    def binding(self) -> tuple[Binding, ...]:
        """Limits with a multiplier, added up over the horizon, dearest first."""
        prices: list[tuple[str, float]] = []
        labels = (self.shooting.labels, self.shooting.decided())
        for lam, named in zip(self.multipliers, labels, strict=True):
            if lam is None:
                continue
            for at, name, unit in named:
                if abs(lam[at]) > BINDS:
                    prices.append((name, float(lam[at]) * self.shooting.money / unit))
        return added_up(prices)

    @property
    def solve(self) -> Solve:
        """The same as it goes on record."""
        how = self.reasons[-1] if self.reasons else ""
        status = how if self.optimised else f"fallback: {how}"
        return Solve(self.rung.value, status, self.iterations, self.kkt_residual, self.binding)


COLD_AFTER = 3
"""Failures after which the last plan is no longer a good start: a bad one can spoil every solve."""
COLD_ITERATIONS = 10
"""Gauss-Newton steps from a cold start."""
WORSE = 0.01
"""A solver's plan that costs so much more than the start, as a share, is not believed."""
BINDS = 1e-6
"""Smallest multiplier that counts, in the problem's own scaling."""


class Ladder:
    """The solvers of one shooting problem, tried in order.

    ``iterations`` are the Gauss-Newton steps of a solve, ``ipopt_iterations`` those of IPOPT;
    ``hold_steps`` is how long setpoints are held before the station should shed.
    """

    def __init__(
        self,
        shooting: Shooting,
        *,
        iterations: int = 3,
        ipopt_iterations: int = 100,
        hold_steps: int = 5,
    ) -> None:
        self.shooting, self.iterations, self._hold_steps = shooting, iterations, hold_steps
        # One step leaves the dynamics open by the square of its length.
        open_by = 1e-3 if iterations > 1 else 1e-2
        self._sqp = shooting.sqp(feasibility_tolerance=open_by)
        self._nlp = shooting.nlp(
            iteration_limit=ipopt_iterations, feasibility_tolerance=open_by, interruptible=True
        )

    def solve(
        self,
        here: Here,
        memory: Memory,
        *,
        time_s: Callable[[], float] | None = None,
        deadline_s: float = np.inf,
    ) -> tuple[Answer, Memory]:
        """The answer for this step and what the next solve should know. Never raises for bad numbers."""
        late = (lambda: time_s() >= deadline_s) if time_s is not None else None
        if memory.point is not None and len(memory.point) != self.shooting.n:
            memory = Memory()  # that of another task
        unknown = _unknown(here)
        reasons: list[str] = []
        if unknown:
            reasons.append(f"not solved: {', '.join(unknown)} unknown")
        else:
            found, damping = self._solved(here, memory, late, reasons)
            if found is not None:
                after = Memory(self.shooting.shifted(found.x), damping)
                return self._answer(here, found, tuple(reasons)), after
        asked = not unknown and not (late is not None and late())
        memory = replace(memory, failures=memory.failures + asked)
        return self._fallen(here, memory, tuple(reasons))

    def _solved(
        self, here: Here, memory: Memory, late: Callable[[], bool] | None, reasons: list[str]
    ) -> tuple[Solution | None, float]:
        """What a solver found, or None; the reasons grow by one for each that was tried."""
        shooting, damping = self.shooting, memory.damping
        p = shooting.parameters(here)
        point, known = memory.point, memory.point is not None and memory.failures < COLD_AFTER
        start = point if point is not None and known else shooting.guess(here)
        # The very first plan is IPOPT's. Later a cold start must not cost more time than there is.
        solvers = self._sqp.solvers if known or memory.failures or memory.held else ()
        iterations = self.iterations if known else max(self.iterations, COLD_ITERATIONS)
        for name in solvers:
            if late is not None and late():
                break
            found = self._sqp.solve(
                start, p, iterations=iterations, damping=damping, solver=name, stop=late
            )
            doubt = self._doubt(found, start, p)
            reasons.append(found.reason + doubt)
            if not doubt:
                return found, found.damping
        if late is not None and late():
            reasons.append("out of time")
            return None, damping
        found = self._nlp.solve(start, p, stop=late)
        doubt = "" if found.usable and np.isfinite(found.x).all() else "; not usable"
        reasons.append(found.reason + doubt)
        return (None if doubt else found), damping

    def _doubt(self, found: Solution, start: Floats, p: Floats) -> str:
        """Why a plan is not believed; empty if it is."""
        stood_still = found.iterations == 0 and found.kkt_residual > self._sqp.tolerance
        if not found.usable or stood_still:
            return "; not usable"
        if not (np.isfinite(found.x).all() and np.isfinite(found.kkt_residual)):
            return "; not finite"
        problem, lam = self._sqp.problem, found.multipliers
        sigma = 1.1 * float(np.abs(lam).max(initial=0.0)) if lam is not None else 0.0

        def merit(f: float, g: Floats) -> float:
            beyond = np.maximum(np.maximum(problem.g_lo - g, g - problem.g_hi), 0.0)
            return f + sigma * float(beyond.sum())

        before = merit(*problem.values(problem.start(start), p))
        f, g = problem.values(found.x, p)
        # Measured here, whatever the solver says of itself.
        if not problem.violation(found.x, g) <= problem.feasibility_tolerance:
            return "; not feasible"
        after = merit(f, g)
        if after > before + WORSE * (1.0 + abs(before)):
            return f"; merit {after:.3g} after {before:.3g}"
        return ""

    def _answer(self, here: Here, found: Solution, reasons: tuple[str, ...]) -> Answer:
        u = self._allowed(self.shooting.first(found.x, here.u), here.u)
        return Answer(
            u, Rung(found.solver), reasons, found.iterations, found.kkt_residual,
            self.shooting, here, found.x, (found.multipliers, found.bound_multipliers),
        )  # fmt: skip

    def _fallen(
        self, here: Here, memory: Memory, reasons: tuple[str, ...]
    ) -> tuple[Answer, Memory]:
        """No solver helped: the old plan for as long as it reaches, then hold, then shed."""
        shooting, point = self.shooting, memory.point
        u = self._known(here.u)
        if point is not None and memory.age < shooting.task.horizon - 1:
            rung = Rung.SHIFTED
            u = self._allowed(shooting.first(point, u), u)
            after = replace(memory, point=shooting.shifted(point), age=memory.age + 1)
        else:
            rung = Rung.HOLD if memory.held < self._hold_steps else Rung.SHED
            point, u = None, self._allowed(u, u)
            after = replace(memory, point=None, damping=0.0, held=memory.held + 1)
        return Answer(u, rung, reasons, 0, np.nan, shooting, here, point), after

    def _known(self, u: Floats) -> Floats:
        """Setpoints in force; what is not known of them is taken at the model's reference."""
        model = self.shooting.task.model
        return np.where(np.isfinite(u), u, model.point().u)

    def _allowed(self, u: Floats, before: Floats) -> Floats:
        """Within the rates, and inside the limits as far as these allow; not finite stays in force."""
        found = np.where(np.isfinite(u), u, before)
        for at, move in zip(self.shooting.moved, self.shooting.task.moves, strict=True):
            most = move.rate_per_s * self.shooting.task.step_s
            inside = min(max(float(found[at]), move.lo), move.hi)
            found[at] = min(max(inside, float(before[at]) - most), float(before[at]) + most)
        return found


def _unknown(here: Here) -> list[str]:
    """What of the start is not a finite number."""
    vectors = {
        "state": here.x, "setpoints": here.u, "references": here.references, "targets": here.targets,
        "disturbances": here.d, "learned disturbances": here.w,
    }  # fmt: skip
    return [name for name, v in vectors.items() if v is not None and not np.isfinite(v).all()]
