"""The vector environment as stable-baselines3 wants it: a list of infos, and the last observation in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from controllers.env.vector import LineVectorEnv


class LineVecEnv(VecEnv):
    """A `LineVectorEnv` for stable-baselines3. ``infos`` are empty but for shifts that have just ended.

    They have ``terminal_observation``, ``TimeLimit.truncated`` (the shift is over, nothing has failed) and ``kpi``.
    """

    def __init__(self, lines: LineVectorEnv) -> None:
        self.lines, self.render_mode = lines, lines.render_mode
        super().__init__(lines.num_envs, lines.single_observation_space, lines.single_action_space)
        self._seed: int | None = None

    def reset(self) -> NDArray[np.float32]:
        """All lines begin a shift."""
        observation, _ = self.lines.reset(seed=self._seed)
        self._seed = None
        self.reset_infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        return observation

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Keep what is asked."""
        self._actions = actions

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:  # fmt: skip
        """One decision of each line."""
        observation, rewards, tripped, ended, told = self.lines.step(self._actions)
        over = tripped | ended
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for n in np.flatnonzero(over).tolist():
            infos[n] = {
                "terminal_observation": told["final_obs"][n],
                "TimeLimit.truncated": bool(ended[n]),
                "kpi": {name: float(values[n]) for name, values in told["kpi"].items()},
            }
        return observation, rewards.astype(np.float32), over, infos

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Whose luck the next `reset` begins with."""
        self._seed = seed
        return [None if seed is None else seed + n for n in range(self.num_envs)]

    def close(self) -> None:
        """Nothing is held open."""
        self.lines.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the vector environment, once for each line asked for."""
        return [getattr(self.lines, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set it for all lines: they have one record."""
        setattr(self.lines, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:  # fmt: skip
        """Call a method of the vector environment once; the answer for each line asked for."""
        answer = getattr(self.lines, method_name)(*args, **kwargs)
        return [answer] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Nothing is wrapped."""
        return [False] * len(list(self._get_indices(indices)))

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """The picture of the first line."""
        picture = self.lines.render()
        return [picture if isinstance(picture, np.ndarray) else None]
