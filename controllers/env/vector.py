"""The vector environment: many shifts side by side on the compiled twin, without Python for each of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from controllers.env.picture import painted, told
from controllers.env.schema import Schema
from controllers.env.side_by_side import SideBySide
from controllers.env.worlds import Kind, Randomisation, Worlds, setting_of
from twin.config import Plant
from twin.line import batch as records

WORLDS = 256
"""So many randomised worlds come round again; the luck of their failures never does."""
CORRECTION_EUR = 0.02
"""What a correction by the guard costs in training, for each half range that it moved: enough to tell two
asked setpoints apart that are granted as one, too little to be worth anything else; assumption."""


def spaces(schema: Schema) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    """Observation and action of one environment: float32 between -1 and 1."""
    sizes = len(schema.observation), len(schema.action)
    seen, asked = (gymnasium.spaces.Box(-1.0, 1.0, (size,), np.float32) for size in sizes)
    return seen, asked


class LineVectorEnv(VectorEnv):
    """``num_envs`` lines, each in a shift of its own; a shift that has ended is followed by the next at once.

    See docs/reference/environment.md for what is observed, asked, rewarded and told in ``info``. The luck of
    line ``n`` in its ``m``-th shift after ``reset(seed=s)`` is that of seed ``s + n + m * num_envs``.

    Raises ``PlantError`` for a plant, scenario or variant that does not exist, ``ValueError`` for a decision
    period that is no multiple of the loop's and for actions that are no numbers.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 10,
    }

    def __init__(
        self,
        num_envs: int = 1,
        plant: str | Plant = "machining_line",
        scenario: str = "nominal",
        *,
        world: Kind = "randomised",
        variant: str = "nominal",
        utilisation: float | None = None,
        decision_s: float | None = None,
        correction_eur: float = CORRECTION_EUR,
        randomisation: Randomisation | None = None,
        worlds: int | None = WORLDS,
        time_outs_s: Mapping[str, float] | None = None,
        render_mode: str | None = None,
    ) -> None:
        drawn = randomisation or Randomisation()
        self.setting = setting_of(
            plant, kind=world, scenario=scenario, variant=variant, utilisation=utilisation,
            decision_s=decision_s, randomisation=drawn,
            worlds=worlds if world == "randomised" else None, time_outs_s=time_outs_s,
        )  # fmt: skip
        self.num_envs, self.render_mode = num_envs, render_mode
        self._lines = SideBySide(num_envs, Worlds(self.setting), correction_eur)
        self.schema = self._lines.schema
        self.eur_per_reward = self._lines.layout.terms.eur_per_reward
        self.single_observation_space, self.single_action_space = spaces(self.schema)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._episodes = np.arange(num_envs) - num_envs

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """All lines begin a shift; without a seed, the shifts after those that were."""
        first = int(self._episodes.max()) + 1 if seed is None else seed
        self._episodes = first + np.arange(self.num_envs)
        self._lines.begin(np.arange(self.num_envs), self._episodes.tolist())
        return self._lines.answer.observation.copy(), {"kpi": self._kpi()}

    def step(
        self, actions: NDArray[np.floating[Any]]
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.float64],
        NDArray[np.bool_],
        NDArray[np.bool_],
        dict[str, Any],
    ]:
        """One decision of each line."""
        asked = np.ascontiguousarray(actions, dtype=np.float64)
        if asked.shape != self.action_space.shape or not np.isfinite(asked).all():
            raise ValueError(
                f"actions are {self.action_space.shape} finite numbers, one row a line"
            )
        self._lines.step(asked)
        answer = self._lines.answer
        rewards, tripped = answer.reward.copy(), answer.tripped.copy()
        ended = answer.ended & ~tripped
        info: dict[str, Any] = {
            "raw_action": asked,
            "applied_action": answer.applied.copy(),
            "filter_active": answer.filtered.copy(),
            "constraint_cost": answer.correction.copy(),
            "kpi": self._kpi(),
        }
        over = tripped | ended
        if over.any():
            info["final_obs"], info["_final_obs"] = answer.observation.copy(), over
            info["final_info"], info["_final_info"] = dict(info), over
            self._episodes[over] += self.num_envs
            self._lines.begin(np.flatnonzero(over), self._episodes[over].tolist())
        return answer.observation.copy(), rewards, tripped, ended, info

    def shown(self) -> NDArray[np.float32]:
        """The observations of this moment, not stopped at -1 and 1: for who notes where a policy has been."""
        return self._lines.shown()

    def beside(self) -> LineVectorEnv:
        """As many lines more, in the same worlds, which are then made once only."""
        lines = self._lines
        more = SideBySide(self.num_envs, lines.worlds, lines.layout.terms.correction_eur)
        found = copy.copy(self)
        found.__dict__.update(_lines=more, _episodes=self._episodes.copy())
        return found

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """All that changes, as arrays: with `restore` every line goes on as if nothing had been."""
        lines = self._lines
        held = {f"batch.{name}": value.copy() for name, value in lines.batch._asdict().items()}
        held |= {f"answer.{name}": value.copy() for name, value in lines.answer._asdict().items()}
        return held | {"episodes": self._episodes.copy()}

    def restore(self, held: Mapping[str, NDArray[Any]]) -> None:
        """Be as `snapshot` found it, in an environment of the same arguments. Raises ``ValueError`` in another."""
        lines = self._lines
        for kind, record in (("batch", lines.batch), ("answer", lines.answer)):
            for name, value in record._asdict().items():
                if held[f"{kind}.{name}"].shape != value.shape:
                    raise ValueError(f"a snapshot of other lines: {kind}.{name} has another shape")
                value[...] = held[f"{kind}.{name}"]
        self._episodes = held["episodes"].copy()

    def render(self) -> str | NDArray[np.uint8] | None:
        """The first line, in words or as a picture."""
        batch = self._lines.batch
        line, now_s = self._lines.worlds.nominal, batch.now_us[0] / 1e6
        if self.render_mode == "ansi":
            return told(line, now_s, batch.f[0], batch.i[0])
        return painted(line, batch.i[0]) if self.render_mode == "rgb_array" else None

    def _kpi(self) -> dict[str, NDArray[np.float64]]:
        """What each shift has come to so far."""
        return dict(zip(records.FIGURES, self._lines.answer.figures.T.copy(), strict=True))
