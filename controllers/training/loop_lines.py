"""One line with its whole loop, to learn on top of a controller that needs one, such as the MPC.

A shift takes as long as that controller does, some CPU seconds; so this is for tens of shifts, not thousands.
The state of a loop is not kept but found again: it follows from the seed of the shift and what was added in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from controllers.env.schema import Schema
from controllers.env.single import LineEnv
from controllers.policy.base import wanted
from controllers.training.lines import scaled, under
from controllers.training.seen import Seen
from twin.cycle import Action, Situation
from twin.line.model import Line
from twin.protocols import Controller


class OnTop:
    """The loop's controller: what the base asks for at each turn, and on top of it what the agent adds.

    ``controllers.policy.controller`` does the same at run time.
    """

    def __init__(self, base: Controller, agent: Controller, schema: Schema) -> None:
        self._base, self._agent, self._schema = base, agent, schema
        self._asked: NDArray[np.float32] | None = None
        self._added: Sequence[float] = ()
        self._below: dict[str, float] = {}

    def add(self, added: Sequence[float]) -> None:
        """From now on so much is added, in engineering units and the schema's order."""
        self._added, self._asked = added, None

    def asked(self) -> NDArray[np.float32] | None:
        """What was asked for, scaled, when that was first added; None if the line could not be seen."""
        return self._asked

    def decide(self, situation: Situation) -> Action:
        """Both together, inside the limits."""
        self._agent.decide(situation)  # it has to watch the line
        below, fields = self._base.decide(situation), self._schema.action
        names = [f.name for f in fields]
        self._below = wanted(below.setpoints, self._below, situation.active, names)
        total = {
            f.name: min(max(self._below[f.name] + more, f.lo), f.hi)
            for f, more in zip(fields, self._added, strict=True)
        }
        if self._asked is None:
            self._asked = scaled(self._schema, total)
        return replace(below, setpoints={**below.setpoints, **total})


class LoopLines(VecEnv):
    """A `LineEnv` for stable-baselines3, whose actions of -1 to 1 add up to ``reach`` half ranges to a base.

    What the guard corrects of both together has the price that it has in the environment.
    """

    def __init__(self, env: LineEnv, make_base: Callable[[Line], Controller], reach: float) -> None:
        self._env, self._make_base = env, make_base
        super().__init__(1, env.observation_space, env.action_space)
        self.schema: Schema = env.schema
        self._reach = np.array([0.5 * reach * (f.hi - f.lo) for f in env.schema.action])
        self._unused = np.zeros(len(env.schema.action))
        self.decisions = env.setting.decisions
        self.seen = Seen(1, len(self.schema.observation))
        self._luck, self._so_far = 0, list[NDArray[np.float32]]()

    def reset(self) -> NDArray[np.float32]:
        """A shift begins."""
        observation = self._begun()
        self.seen.add(self._env.shown()[None, :])
        self.reset_infos: list[dict[str, Any]] = [{}]
        return observation

    def _begun(self) -> NDArray[np.float32]:
        observation, _ = self._env.reset(seed=self._luck)
        loop = self._env.loop
        self._on_top = OnTop(self._make_base(loop.line), loop.controller, self.schema)
        loop.controller = self._on_top
        self._so_far = []
        return observation[None, :]

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Keep what is added."""
        self._so_far.append(actions[0].copy())
        self._on_top.add((self._reach * actions[0]).tolist())

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:  # fmt: skip
        """One decision."""
        after, reward, tripped, ended, told = self._env.step(self._unused)
        asked, info = self._on_top.asked(), dict[str, Any]()
        if asked is not None:
            after[-asked.size :] = asked  # the schema's last fields: what was asked for last
        observation, is_over = after[None, :], tripped or ended
        if is_over:
            info = {"terminal_observation": after, "TimeLimit.truncated": False, "kpi": told["kpi"]}
            self._luck += 1
            observation, asked = self._begun(), None
        shown = self._env.shown()  # not stopped at the limits: it becomes the training range
        if asked is not None:
            shown[-asked.size :] = asked
        self.seen.add(shown[None, :])
        return observation, np.array([reward], np.float32), np.array([is_over]), [info]

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Whose luck the next shift has."""
        self._luck = seed or 0
        return [seed]

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """What the shift follows from, as arrays: its seed, and what was added in it (one row a decision)."""
        held = {f"seen.{name}": value for name, value in self.seen.snapshot().items()}
        added = np.array(self._so_far, dtype=np.float32).reshape(-1, self._reach.size)
        return held | {"luck": np.array(self._luck), "added": added}

    def restore(self, held: Mapping[str, NDArray[Any]]) -> None:
        """Play the shift again that `snapshot` found under way, as far as it had come."""
        self._luck = int(held["luck"])
        self._begun()
        for added in held["added"]:
            self.step(added[None, :])
        self.seen.restore(under("seen.", held))

    def close(self) -> None:
        """Close the line's environment."""
        self._env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the line's environment."""
        return [getattr(self._env, attr_name)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set it."""
        setattr(self._env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:  # fmt: skip
        """Call a method of it."""
        return [getattr(self._env, method_name)(*args, **kwargs)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Nothing is wrapped."""
        return [False]
