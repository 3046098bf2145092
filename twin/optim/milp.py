"""Linear problems with whole-number variables, by HiGHS: which machines run, and when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import highspy
import numpy as np

from twin.optim.result import FEASIBILITY_TOLERANCE, Floats, ProblemError, Solution, Status, vector

__all__ = ["MilpProblem"]

_hs: Any = highspy
_SEED = 1


class _SilentHighs(highspy.Highs):
    """HiGHS that is told to be silent before its constructor can print a banner."""

    def enableCallbacks(self) -> None:  # noqa: N802 - the name is HiGHS's
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()  # type: ignore[no-untyped-call]


class MilpProblem:
    """Minimise c'x subject to row and variable bounds, some variables whole numbers.

    Variables and constraints are added one after the other and named by their positions. Solving
    is deterministic: one thread, a fixed seed, limited by nodes, not by time unless asked.

    >>> knapsack = MilpProblem()
    >>> take = knapsack.add_variables(3, hi=1.0, cost=[-6.0, -5.0, -4.0], integer=True)
    >>> row = knapsack.add_constraint(dict(zip(take, [3.0, 2.0, 2.0])), hi=4.0)
    >>> knapsack.solve().x.tolist()
    [0.0, 1.0, 1.0]
    """

    def __init__(self) -> None:
        self._cost: list[float] = []
        self._lo: list[float] = []
        self._hi: list[float] = []
        self._integer: list[bool] = []
        self._row_lo: list[float] = []
        self._row_hi: list[float] = []
        self._starts: list[int] = [0]
        self._columns: list[int] = []
        self._coefficients: list[float] = []

    def add_variable(
        self, lo: float = 0.0, hi: float = math.inf, cost: float = 0.0, *, integer: bool = False
    ) -> int:
        """Add one variable and return its position."""
        n = len(self._cost)
        if math.isnan(lo) or math.isnan(hi) or not math.isfinite(cost) or lo > hi:
            raise ProblemError(f"variable {n}: bounds {lo} to {hi} and cost {cost} are unusable")
        self._cost.append(float(cost))
        self._lo.append(float(lo))
        self._hi.append(float(hi))
        self._integer.append(integer)
        return n

    def add_variables(
        self,
        count: int,
        lo: float | list[float] | Floats = 0.0,
        hi: float | list[float] | Floats = math.inf,
        cost: float | list[float] | Floats = 0.0,
        *,
        integer: bool = False,
    ) -> range:
        """Add ``count`` variables and return their positions; numbers are repeated."""
        first = len(self._cost)
        columns = (vector(v, count, n) for v, n in ((lo, "lo"), (hi, "hi"), (cost, "cost")))
        for low, high, price in zip(*columns, strict=True):
            self.add_variable(float(low), float(high), float(price), integer=integer)
        return range(first, first + count)

    def set_costs(self, cost: Mapping[int, float]) -> None:
        """Set the cost of some variables, which may be new prices between two solves."""
        for column, price in cost.items():
            if not 0 <= column < len(self._cost) or not math.isfinite(price):
                raise ProblemError(f"cost {price} of variable {column} is unusable")
            self._cost[column] = float(price)

    def add_constraint(
        self, terms: Mapping[int, float], lo: float = -math.inf, hi: float = math.inf
    ) -> int:
        """Add lo <= sum of coefficient * variable <= hi and return its position."""
        m = len(self._row_lo)
        if math.isnan(lo) or math.isnan(hi) or lo > hi:
            raise ProblemError(f"constraint {m}: bounds {lo} to {hi} are unusable")
        for column, coefficient in terms.items():
            if not 0 <= column < len(self._cost):
                raise ProblemError(f"constraint {m}: there is no variable {column}")
            if not math.isfinite(coefficient):
                raise ProblemError(
                    f"constraint {m}: coefficient {coefficient} of variable {column}"
                )
        self._columns.extend(int(column) for column in terms)
        self._coefficients.extend(float(coefficient) for coefficient in terms.values())
        self._starts.append(len(self._columns))
        self._row_lo.append(float(lo))
        self._row_hi.append(float(hi))
        return m

    def solve(
        self,
        node_limit: int = 10_000,
        gap: float = 0.01,
        start: Floats | None = None,
        against: float | None = None,
    ) -> Solution:
        """Return the best solution found within ``node_limit`` nodes, or to a relative ``gap``.

        The gap is a share of the objective, or of the sum ``against`` (in the objective's unit) where that is
        given: of costs less worths there may be next to nothing left to take a share of.
        ``start`` is a known solution, the shifted plan for instance, to begin with. There is no limit in
        wall time, so the result never depends on the machine.
        """
        highs = self._loaded(node_limit, gap, against)
        if start is not None:
            known = _hs.HighsSolution()
            known.col_value = vector(start, len(self._cost), "start").tolist()
            highs.setSolution(known)
        highs.run()
        if highs.getModelStatus() == _hs.HighsModelStatus.kUnboundedOrInfeasible:
            # Presolve saw that there is no optimum; without it the solver also sees why.
            highs.setOptionValue("presolve", "off")
            highs.run()
        return self._judged(highs, against)

    def _loaded(self, node_limit: int, gap: float, against: float | None) -> Any:
        lp = _hs.HighsLp()
        lp.num_col_, lp.num_row_ = len(self._cost), len(self._row_lo)
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self._cost, self._lo, self._hi
        lp.row_lower_, lp.row_upper_ = self._row_lo, self._row_hi
        lp.a_matrix_.format_ = _hs.MatrixFormat.kRowwise
        lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = lp.num_col_, lp.num_row_
        lp.a_matrix_.start_ = self._starts
        lp.a_matrix_.index_, lp.a_matrix_.value_ = self._columns, self._coefficients
        if any(self._integer):
            kinds = (_hs.HighsVarType.kContinuous, _hs.HighsVarType.kInteger)
            lp.integrality_ = [kinds[integer] for integer in self._integer]
        highs = _SilentHighs()  # type: ignore[no-untyped-call]
        options: dict[str, bool | float | str] = {
            "threads": 1,
            "parallel": "off",
            "random_seed": _SEED,
            "presolve": "on",
            "mip_rel_gap": gap if against is None else 0.0,
            "mip_max_nodes": node_limit,
        }
        if against is not None:
            options["mip_abs_gap"] = gap * against
        for name, value in options.items():
            if highs.setOptionValue(name, value) != _hs.HighsStatus.kOk:
                raise ProblemError(f"HiGHS does not take {name} = {value!r}")
        if highs.passModel(lp) == _hs.HighsStatus.kError:
            raise ProblemError(
                "HiGHS does not take the problem; look for huge or tiny coefficients"
            )
        return highs

    def _judged(self, highs: Any, against: float | None) -> Solution:
        """Return the solution after its feasibility was measured on ``x`` itself."""
        said, info = highs.getModelStatus(), highs.getInfo()
        name = highs.modelStatusToString(said)
        ends = {
            _hs.HighsModelStatus.kOptimal: Status.SOLVED,
            _hs.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
            _hs.HighsModelStatus.kIterationLimit: Status.ITERATION_LIMIT,
            _hs.HighsModelStatus.kSolutionLimit: Status.ITERATION_LIMIT,
            _hs.HighsModelStatus.kTimeLimit: Status.ITERATION_LIMIT,
        }
        status, reason = ends.get(said, Status.FAILED), f"HiGHS: {name}"
        n = len(self._cost)
        x = np.array(highs.getSolution().col_value, dtype=np.float64) + 0.0  # no -0.0
        has_point = info.primal_solution_status == _hs.SolutionStatus.kSolutionStatusFeasible
        if x.shape != (n,) or not has_point or status is Status.FAILED:
            x = np.full(n, np.nan)
        violation = self._violation(x)
        feasible = violation <= FEASIBILITY_TOLERANCE
        if not feasible:
            reason += "; no solution" if math.isinf(violation) else f"; violated by {violation:.3g}"
            if status is Status.SOLVED:
                status = Status.FAILED
        whole = any(self._integer)
        objective = float(np.dot(self._cost, x))
        bound, gap = (info.mip_dual_bound, info.mip_gap) if whole else (objective, 0.0)
        if against is not None:
            gap = max(objective - bound, 0.0) / against
        return Solution(
            x, objective, status, int(info.simplex_iteration_count), math.nan, feasible, reason,
            "highs", bound=float(bound), gap=float(gap) if feasible else math.inf,
        )  # fmt: skip

    def _violation(self, x: Floats) -> float:
        """Return the largest breach of a bound, a row or of wholeness; infinite without a point."""
        if not np.all(np.isfinite(x)):
            return math.inf
        rows = np.repeat(np.arange(len(self._row_lo)), np.diff(self._starts))
        products = np.array(self._coefficients) * x[np.array(self._columns, dtype=np.intp)]
        activity = np.bincount(rows, weights=products, minlength=len(self._row_lo))
        fraction = np.abs(x - np.round(x))[np.array(self._integer, dtype=bool)]
        breaches = (
            self._lo - x, x - self._hi, self._row_lo - activity, activity - self._row_hi, fraction,
        )  # fmt: skip
        return float(max((np.max(breach, initial=0.0) for breach in breaches), default=0.0))
