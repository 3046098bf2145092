"""do-mpc on the same problems, set up as its documentation does: the rival of ``benchmarks.mpc``."""

from __future__ import annotations

from typing import Any

import casadi
import numpy as np
from numpy.typing import NDArray

from twin.optim.shooting import ROOM
from twin.optim.task import TrackingTask

Floats = NDArray[np.float64]


class DoMpc:
    """One task by do-mpc: orthogonal collocation, IPOPT, its own warm start.

    Model, weights, limits, soft limits and scaling are those of the task; its moves are weighed in
    scaled setpoints.
    """

    def __init__(self, task: TrackingTask) -> None:
        import do_mpc

        declared = task.model
        self._references = np.full(len(task.aims), 0.5)
        model = do_mpc.model.Model("continuous")
        x = casadi.vertcat(*[model.set_variable("_x", q.name) for q in declared.states])
        u = casadi.vertcat(*[model.set_variable("_u", q.name) for q in declared.mvs])
        wanted = [model.set_variable("_tvp", f"wanted_{n}") for n in range(len(task.aims))]
        at = declared.point()
        rates = declared.symbols("rates")(x, u, casadi.DM(at.d), casadi.DM(at.p))
        for n, q in enumerate(declared.states):
            model.set_rhs(q.name, rates[n])
        model.setup()
        # After setup the model has symbols of its own.
        x = casadi.vertcat(*[model.x[q.name] for q in declared.states])
        u = casadi.vertcat(*[model.u[q.name] for q in declared.mvs])
        wanted = [model.tvp[f"wanted_{n}"] for n in range(len(task.aims))]
        y = dict(
            zip(
                declared.output_names,
                declared.symbols()(x, u, casadi.DM(at.d), casadi.DM(at.p)),
                strict=True,
            )
        )
        mpc = do_mpc.controller.MPC(model)
        mpc.settings.n_horizon, mpc.settings.t_step = task.horizon, task.step_s
        mpc.settings.n_robust, mpc.settings.store_full_solution = 0, False
        mpc.settings.collocation_deg, mpc.settings.collocation_ni = 2, 1
        mpc.settings.supress_ipopt_output()
        cost = sum(price * y[name] for name, price in task.prices.items())
        for aim, reference in zip(task.aims, wanted, strict=True):
            cost = cost + aim.weight * (y[aim.output] - reference) ** 2
        mpc.set_objective(lterm=cost, mterm=cost)
        mpc.set_rterm(**{m.mv: m.weight * (m.hi - m.lo) ** 2 for m in task.moves})
        for q in declared.states:
            room = ROOM * (q.hi - q.lo)
            mpc.scaling["_x", q.name] = q.hi - q.lo
            mpc.bounds["lower", "_x", q.name] = q.lo - room
            mpc.bounds["upper", "_x", q.name] = q.hi + room
        for move in task.moves:
            mpc.scaling["_u", move.mv] = move.hi - move.lo
            mpc.bounds["lower", "_u", move.mv] = move.lo
            mpc.bounds["upper", "_u", move.mv] = move.hi
        for band in task.bands:
            soft = {"soft_constraint": True, "penalty_term_cons": band.weight}
            if np.isfinite(band.hi):
                mpc.set_nl_cons(f"{band.output}_hi", y[band.output], ub=band.hi, **soft)
            if np.isfinite(band.lo):
                mpc.set_nl_cons(f"{band.output}_lo", -y[band.output], ub=-band.lo, **soft)
        if wanted:
            self._follow(mpc)
        mpc.setup()
        self._mpc, self._begun = mpc, False

    def _follow(self, mpc: Any) -> None:
        template = mpc.get_tvp_template()

        def ahead(_now: float) -> Any:
            for n, reference in enumerate(self._references):
                template["_tvp", :, f"wanted_{n}"] = reference
            return template

        mpc.set_tvp_fun(ahead)

    def begin(self) -> None:
        """Forget the course before."""
        self._begun = False

    def __call__(self, x: Floats, u: Floats, references: Floats) -> Floats:
        """The next setpoints."""
        self._references = references
        if not self._begun:
            self._mpc.reset_history()
            self._mpc.x0, self._mpc.u0 = x.reshape(-1, 1), u.reshape(-1, 1)
            self._mpc.set_initial_guess()
            self._begun = True
        found: Floats = np.asarray(self._mpc.make_step(x.reshape(-1, 1))).ravel()
        return found

    @property
    def succeeded(self) -> bool:
        """Whether IPOPT said so."""
        return bool(self._mpc.solver_stats["success"])
