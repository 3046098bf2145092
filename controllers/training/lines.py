"""The lines that a policy is trained on, as stable-baselines3 takes them, with what training alone needs.

Five things are added to the environment. An action may count from the setpoints of `fixed`, and reach so far
from them only. What `fixed` costs with the same luck can be taken
off the reward (``paired``): a breakdown that no controller could help then costs nothing. The end of a shift
ends what is learned: what it leaves is priced in the objective, and the time left is among the observations,
so there is nothing beyond to hope for (Pardo et al., Time limits in reinforcement learning, ICML 2018). To be
away from `fixed` has a small price. And what is shown is kept for the training range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controllers.env.schema import Schema
from controllers.env.stable_baselines import LineVecEnv
from controllers.env.vector import LineVectorEnv
from controllers.env.worlds import Part, Randomisation
from controllers.training.seen import Seen
from controllers.training.settings import Settings
from twin.config import TunedPoint

TIME_OUT = ".standby_after_s"


class TrainingLines(LineVecEnv):
    """``n`` lines of a plant. An action of -1 to 1 asks for ``centre`` plus or minus ``reach`` (both scaled).

    What is asked beyond the limits is not counted as being away from ``base``, of which ``effort`` is the price.
    ``rival``, lines with the same luck, is driven by ``base`` beside them; its rewards are taken off. ``infos``
    of shifts that have ended then have ``saved_eur``, by the objective.
    """

    def __init__(
        self,
        lines: LineVectorEnv,
        *,
        centre: NDArray[np.float32],
        reach: float,
        base: NDArray[np.float32],
        rival: LineVectorEnv | None,
        effort: float,
    ) -> None:
        super().__init__(lines)
        self.schema: Schema = lines.schema
        self._centre, self._reach, self._rival = centre, np.float32(reach), rival
        self._effort, self._away = effort, np.zeros(lines.num_envs, dtype=np.float32)
        self._base = np.tile(base, (lines.num_envs, 1))
        self.seen = Seen(lines.num_envs, len(self.schema.observation))

    @property
    def decisions(self) -> int:
        """How many there are in a shift."""
        return self.lines.setting.decisions

    def reset(self) -> NDArray[np.float32]:
        """All lines begin a shift, and the rival's with the same luck."""
        if self._rival is not None:
            self._rival.reset(seed=self._seed)
        observation = super().reset()
        self.seen.add(
            self.lines.shown()
        )  # not stopped at the limits: it becomes the training range
        return observation

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Keep what is asked: so far from the centre."""
        asked = np.clip(self._centre + self._reach * actions, -1.0, 1.0)
        self._away = (((asked - self._base) / self._reach) ** 2).sum(axis=1)
        super().step_async(asked)

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:  # fmt: skip
        """One decision of each line, and of its rival."""
        observation, rewards, over, infos = super().step_wait()
        rewards = rewards - np.float32(self._effort) * self._away
        if self._rival is not None:
            _, base_rewards, _, _, told = self._rival.step(self._base)
            rewards = rewards - base_rewards.astype(np.float32)
            base_eur = told["kpi"]["objective_eur"]
            for n in np.flatnonzero(over).tolist():
                infos[n]["saved_eur"] = float(base_eur[n]) - infos[n]["kpi"]["objective_eur"]
        for n in np.flatnonzero(over).tolist():
            infos[n]["TimeLimit.truncated"] = False
        self.seen.add(
            self.lines.shown()
        )  # not stopped at the limits: it becomes the training range
        return observation, rewards, over, infos

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """All that changes, as arrays."""
        held = {f"lines.{name}": value for name, value in self.lines.snapshot().items()}
        held |= {f"seen.{name}": value for name, value in self.seen.snapshot().items()}
        if self._rival is not None:
            held |= {f"rival.{name}": value for name, value in self._rival.snapshot().items()}
        return held

    def restore(self, held: Mapping[str, NDArray[Any]]) -> None:
        """Be as `snapshot` found it."""
        self.lines.restore(under("lines.", held))
        self.seen.restore(under("seen.", held))
        if self._rival is not None:
            self._rival.restore(under("rival.", held))


def training_lines(
    plant: str, n: int, settings: Settings, fixed: TunedPoint, *, authority: float | None = None
) -> TrainingLines:
    """Lines of a plant in randomised worlds, which need no truth; the time-outs of ``fixed`` hold on them."""
    drawn, held_s = drawn_in(settings), time_outs_s(fixed)
    lines = LineVectorEnv(n, plant, randomisation=drawn, time_outs_s=held_s)
    return beside_fixed(lines, settings, fixed, authority)


def drawn_in(settings: Settings, part: Part = "training") -> Randomisation:
    """From what the worlds of these settings are drawn."""
    worlds = settings.worlds
    return Randomisation(part, worlds.scenarios, worlds.utilisation)


def beside_fixed(
    lines: LineVectorEnv, settings: Settings, fixed: TunedPoint, authority: float | None
) -> TrainingLines:
    """Lines with what training adds to them.

    With an ``authority``, a share of each range, actions count from the setpoints of ``fixed``; without one they
    stand for themselves.
    """
    base = scaled(lines.schema, fixed.setpoints)
    return TrainingLines(
        lines,
        centre=np.zeros_like(base) if authority is None else base,
        reach=1.0 if authority is None else 2.0 * authority,
        base=base,
        rival=lines.beside() if settings.paired else None,
        effort=settings.effort,
    )


def time_outs_s(fixed: TunedPoint) -> dict[str, float]:
    """The standby time-outs by station."""
    return {
        name.removesuffix(TIME_OUT): value
        for name, value in fixed.setpoints.items()
        if name.endswith(TIME_OUT)
    }


def scaled(schema: Schema, setpoints: Mapping[str, float]) -> NDArray[np.float32]:
    """Setpoints as an action; what is not among them (standby) is at the low end of its range: off."""
    found = [
        2.0 * (setpoints.get(field.name, field.lo) - field.lo) / (field.hi - field.lo) - 1.0
        for field in schema.action
    ]
    return np.clip(np.array(found, dtype=np.float32), -1.0, 1.0)


def engineering(schema: Schema, observations: NDArray[np.float32]) -> NDArray[np.float64]:
    """Observations (rows) in engineering units; what lay beyond its limits is at them."""
    fields = schema.observation
    lo, hi = (np.array([getattr(field, end) for field in fields]) for end in ("lo", "hi"))
    found: NDArray[np.float64] = 0.5 * (lo + hi) + 0.5 * (hi - lo) * observations
    return found


def under(prefix: str, held: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays whose names begin so, without that."""
    return {
        name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)
    }
