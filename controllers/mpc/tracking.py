"""The MPC of a station whose process model is all that is known of it.

Each step: the estimator goes on with what was applied and measured; the target calculation finds
where the station should rest; multiple shooting plans the way there; the ladder says what is asked
for if a solver fails. Learned disturbances enter model, target and plan alike, so that no offset
stays. Any declared model will do, continuous (an oven: a step is seconds) or per part (a press: a
step is a part). Letters as in `twin.optim.shooting`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twin.analyze.back_off import BackOff
from twin.analyze.kalman import Belief, Kalman, Noise
from twin.analyze.moving_horizon import MovingHorizon, WindowBelief
from twin.optim.ladder import Answer, Ladder, Memory
from twin.optim.linearised import Linearised
from twin.optim.result import Floats, ProblemError
from twin.optim.shooting import Here, Shooting
from twin.optim.target import Target, TargetProblem
from twin.optim.task import TrackingTask

__all__ = ["StationAnswer", "StationMemory", "StationMpc"]

IDLE = 1e-9
"""An MV that moves no output by so much of its range, over the whole horizon, does nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class StationMemory:
    """What one step leaves for the next: ``u`` was asked for last, ``d`` is the last that was known."""

    belief: Belief | WindowBelief
    ladder: Memory
    u: Floats
    d: Floats
    target: Target | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StationAnswer:
    """Setpoints by MV, and why: the ladder's answer, the belief and the target that it rests on."""

    setpoints: dict[str, float]
    answer: Answer
    belief: Belief | WindowBelief
    target: Target | None


class StationMpc:
    """The controller of one station; it holds no state, a memory goes in and comes out.

    ``measured`` are the outputs with sensors, those with noise by default. ``window`` above zero
    estimates over so many steps (`MovingHorizon`) instead of by a Kalman filter alone. Raises
    `ProblemError`, with names, for a task that cannot be: an MV that moves nothing that counts, a
    disturbance that cannot be seen, contradictory limits, a horizon shorter than the dead time.
    """

    def __init__(
        self,
        task: TrackingTask,
        noise: Noise,
        *,
        measured: Sequence[str] = (),
        p: Floats | None = None,
        window: int = 0,
        iterations: int = 3,
        hold_steps: int = 5,
    ) -> None:
        self.task = task
        self.p = task.model.point().p if p is None else p
        self.shooting = Shooting(task, p)
        model = Linearised(self.shooting.transition, tuple(measured or noise.measured))
        self._model, self._measured = model, model.measurements
        _refuse_idle(task, self.shooting)
        self.offset_free = self.shooting.transition.n_w >= model.n_y
        self._estimator: Kalman | MovingHorizon = (
            MovingHorizon(model, noise, window) if window else Kalman(model, noise)
        )
        self._back_off = (
            BackOff(self.shooting.transition, task.bands, task.back_off_sd, self._estimator.walk)
            if task.back_off_sd and task.bands
            else None
        )
        self.ladder = Ladder(self.shooting, iterations=iterations, hold_steps=hold_steps)
        aimed = any(move.target_weight for move in task.moves)
        self._target = TargetProblem(task, p) if aimed else None
        self._names = [q.name for q in task.model.mvs]

    def begin(self, x: Floats | None = None, u: Floats | None = None) -> StationMemory:
        """The memory one step before the first measurement: ``x`` and ``u``, or the model's reference."""
        at = self.task.model.point()
        known = at.u if u is None else np.asarray(u, dtype=np.float64)
        return StationMemory(self._estimator.begin(x), Memory(), known, at.d)

    def known(self, memory: StationMemory, **x: float) -> StationMemory:
        """The memory after an event that set states: ``known(memory, wear_mm=0.0)``, an edge changed."""
        belief = self._estimator.known(memory.belief, x)  # type: ignore[arg-type]
        return replace(memory, belief=belief)

    def decide(
        self,
        memory: StationMemory,
        y: Floats,
        u: Floats,
        references: Floats,
        d: Floats | None = None,
        *,
        applied: Floats | None = None,
        time_s: Callable[[], float] | None = None,
        deadline_s: float = np.inf,
    ) -> tuple[StationAnswer, StationMemory]:
        """The setpoints from now on.

        ``y`` was measured just now (NaN where nothing was), ``u`` was applied until now, ``d`` are
        the model's DVs. Where ``u`` moved within the step, ``applied`` is its mean. An unknown ``u`` is taken as it was asked for last, an unknown ``d`` as it
        was before. With a clock, no solver begins another iteration after ``deadline_s``; without,
        iterations alone count.

        Raises `ProblemError` for a vector of the wrong length, never for what stands in it.
        """
        t, n_y = self.shooting.transition, len(self._measured)
        lengths = {"measured": (y, n_y), "setpoints": (u, t.n_u), "disturbances": (d, t.n_d)}
        lengths |= {"references": (references, len(self.task.aims)), "applied": (applied, t.n_u)}
        wrong = [n for n, (v, size) in lengths.items() if v is not None and len(v) != size]
        if wrong:
            raise ProblemError(f"station MPC of {t.model.name!r}: wrong length of {wrong}")
        in_force = np.where(np.isfinite(u), u, memory.u)
        applied = in_force if applied is None else np.where(np.isfinite(applied), applied, in_force)
        d = memory.d if d is None else np.where(np.isfinite(d), d, memory.d)
        belief = self._estimator.update(memory.belief, applied, d, y)  # type: ignore[arg-type]
        clear = None
        if self._back_off is not None:
            z = np.concatenate((belief.x, belief.w))
            clear = self._back_off.clear(z, belief.covariance, in_force, d, self.task.horizon)
        wanted = np.asarray(references, dtype=np.float64)
        here = Here(belief.x, in_force, wanted, d, belief.w, None, clear)
        late = (lambda: time_s() >= deadline_s) if time_s is not None else None
        target = self._rest(here, memory.target, late)
        if target is not None and target.usable:
            here = replace(here, targets=target.u)
        answer, ladder = self.ladder.solve(
            here, memory.ladder, time_s=time_s, deadline_s=deadline_s
        )
        setpoints = {name: float(value) for name, value in zip(self._names, answer.u, strict=True)}
        after = StationMemory(belief, ladder, answer.u, d, target or memory.target)
        return StationAnswer(setpoints, answer, belief, target), after

    def deviations(self, found: StationAnswer) -> Floats:
        """How well each measured output is known: standard deviations of what it really is."""
        here, P = found.answer.here, found.belief.covariance
        z = np.concatenate((found.belief.x, found.belief.w))
        _, C, _ = self._model.measured(z, here.u, here.d)
        deviations: Floats = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", C, P, C), 0.0))
        return deviations

    def _rest(
        self, here: Here, last: Target | None, late: Callable[[], bool] | None
    ) -> Target | None:
        """Where to come to rest; None if the task has no targets or the start is not known."""
        if self._target is None or not np.isfinite(here.references).all():
            return None
        good = last if last is not None and last.usable else None
        return self._target.solve(here, good, late)


def _refuse_idle(task: TrackingTask, shooting: Shooting) -> None:
    """Raise `ProblemError` for MVs that move no output that the task follows, keeps or pays for."""
    model, t = task.model, shooting.transition
    counts = {a.output for a in task.aims} | {b.output for b in task.bands} | set(task.prices)
    watched = [name for name in t.names if name in counts]
    effect = {move.mv: float(move.mv in task.prices) for move in task.moves}
    if watched:
        linear = Linearised(t, watched)
        spans = {q.name: q.hi - q.lo for q in t.visible}
        y_span = np.array([spans[name] or 1.0 for name in watched])
        at = model.point()
        z, mvs = np.concatenate((at.x, np.zeros(t.n_w))), [q.name for q in model.mvs]
        by_u = np.zeros((linear.n_z, t.n_u))
        for _ in range(task.horizon):
            after, A, B = linear.ahead(z, at.u, at.d)
            by_u = A @ by_u + B
            z = after
            _, C, D = linear.measured(z, at.u, at.d)
            moved = np.abs((C @ by_u + D) / y_span[:, None]).max(axis=0)
            for move in task.moves:
                size = float(moved[mvs.index(move.mv)]) * (move.hi - move.lo)
                effect[move.mv] = max(effect[move.mv], size)
    idle = [name for name, size in effect.items() if not size > IDLE]
    fixed = {move.mv for move in task.moves if move.hi == move.lo}
    idle = [name for name in idle if name not in fixed]
    if idle:
        raise ProblemError(
            f"process model {model.name!r}: within {task.horizon} steps {', '.join(idle)} moves none"
            f" of {sorted(counts)}; leave it out, or look further ahead"
        )
