"""PPO or SAC on lines of a plant: rounds of trying and learning, until the steps are done or somebody asks to stop.

Both are stable-baselines3's; what is added is that a run can be stopped between any two rounds and go on
later to the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy

from controllers.training import checkpoint
from controllers.training.diary import diary
from controllers.training.lines import TrainingLines, engineering
from controllers.training.loop_lines import LoopLines
from controllers.training.result import Actor
from controllers.training.settings import PpoSpec, SacSpec
from controllers.training.spent import counted
from controllers.training.task import THREADS, Task

SHIFTS = 1_000_000
"""Seeds of failures and repairs that each training seed has to itself, all beyond those of tuning and of tests.
What comes from outside is that of the world, which has seeds of its own, see ``controllers.env.worlds``."""

SEED_BITS = 20
"""Room for the training seed in the key of what a round tries."""

Lines: TypeAlias = TrainingLines | LoopLines
First: TypeAlias = NDArray[np.float32] | torch.nn.Sequential
"""What an actor begins as: the same answer to everything, or a network that was learned before."""


class Stopped(Exception):  # noqa: N818 - nobody's fault
    """The run was asked to stop; its checkpoint is kept."""


def learned(task: Task, lines: Lines, first: First | None) -> BaseAlgorithm:
    """The model after all steps of the task; ``first`` is what the actor asks for before it has learned.

    None is for a run that goes on from a checkpoint.

    Goes on from the checkpoint in the task's folder if there is one. Raises `Stopped` where somebody asked to
    stop before the end, and ``StoreError`` for a checkpoint that is another run's.
    """
    torch.set_num_threads(THREADS)
    model = new_model(task.chosen, lines, task.seed, first)
    path = task.folder / checkpoint.NAME
    lines.seed(task.seed * SHIFTS)
    held = checkpoint.read(path, task.facts) if path.is_file() else None
    with diary(task.folder, held.steps if held else 0) as log:
        model.set_logger(log)
        if held:
            checkpoint.restore(held, model, lines)
        keeper, left = Keeper(task, lines), task.steps - model.num_timesteps
        if left > 0:
            every = 1 if isinstance(task.chosen, PpoSpec) else lines.num_envs
            with counted(task.folder):
                model.learn(left, keeper, log_interval=every, reset_num_timesteps=False)
                keeper.save()
    return model


def actor_of(model: BaseAlgorithm, lines: Lines) -> Actor:
    """The trained actor, and what it saw."""
    seen = engineering(lines.schema, lines.seen.sample())
    if isinstance(model, PPO):
        return Actor(model.policy, "tanh", "clip", seen, model.num_timesteps)
    return Actor(model.policy, "relu", "tanh", seen, model.num_timesteps)


def new_model(
    chosen: PpoSpec | SacSpec, lines: Lines, seed: int, first: First | None
) -> BaseAlgorithm:
    """A model that has learned nothing here, and asks for what ``first`` says, or for anything."""
    common: dict[str, Any] = {"device": "cpu", "seed": seed, "learning_rate": chosen.learning_rate}
    common |= {"gamma": chosen.gamma}
    if isinstance(chosen, PpoSpec):
        rollout = chosen.rollout or lines.decisions
        model = PPO(
            "MlpPolicy",
            lines,
            n_steps=rollout,
            batch_size=rollout * (lines.num_envs // min(chosen.batches, lines.num_envs)),
            n_epochs=chosen.epochs,
            gae_lambda=chosen.gae_lambda,
            clip_range=chosen.clip,
            ent_coef=chosen.entropy,
            vf_coef=chosen.value_weight,
            max_grad_norm=chosen.largest_gradient,
            use_sde=chosen.hold is not None,
            sde_sample_freq=chosen.hold or -1,
            policy_kwargs={
                "net_arch": list(chosen.network),
                "log_std_init": math.log(chosen.spread),
            },
            **common,
        )
        if isinstance(first, torch.nn.Sequential):
            _as(model.policy, first)
        elif first is not None:
            _always(model.policy.action_net, first)
    else:
        assert not isinstance(first, torch.nn.Sequential)
        model = SAC(
            "MlpPolicy",
            lines,
            buffer_size=chosen.kept,
            learning_starts=chosen.begin_after,
            batch_size=chosen.batch,
            gradient_steps=chosen.gradient_steps,
            tau=chosen.tau,
            policy_kwargs={"net_arch": list(chosen.network)},
            **common,
        )
        if first is not None:
            _always(model.actor.mu, np.arctanh(np.clip(first, -0.99, 0.99)))
    return model


def _as(policy: ActorCriticPolicy, first: torch.nn.Sequential) -> None:
    """Let an actor be a network of the same shape."""
    own = [*policy.mlp_extractor.policy_net, policy.action_net]
    to = [layer for layer in own if isinstance(layer, torch.nn.Linear)]
    of = [layer for layer in first if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for mine, given in zip(to, of, strict=True):
            mine.weight.copy_(given.weight)
            mine.bias.copy_(given.bias)


def _always(layer: torch.nn.Linear, value: NDArray[np.float32]) -> None:
    """Let a last layer say the same to everything."""
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.from_numpy(np.asarray(value, dtype=np.float32)))


class Keeper(BaseCallback):
    """Keeps checkpoints between rounds, writes down what shifts have come to, and hears when to stop."""

    def __init__(self, task: Task, lines: Lines) -> None:
        super().__init__()
        self._task, self._lines = task, lines
        self._saved = -1

    def save(self) -> None:
        """Keep a checkpoint of this moment."""
        path = self._task.folder / checkpoint.NAME
        checkpoint.save(path, self.model, self._lines, self._task.facts)
        self._saved = self.num_timesteps

    def _on_training_start(self) -> None:
        self._saved = self.num_timesteps

    def _on_rollout_start(self) -> None:
        """Between two rounds: nothing is under way."""
        self.num_timesteps = self.model.num_timesteps
        if self._task.stop.number:
            self.save()
            raise Stopped
        if self.num_timesteps - self._saved >= self._task.keep_every:
            self.save()
        if self.model.use_sde:
            self._draw_anew()

    def _draw_anew(self) -> None:
        """Draw what is tried first once more, from the run's seed and how far it has come.

        The library draws it before this moment, so that a run that goes on would draw it twice.
        """
        # No two seeds of a run meet, however many steps they take.
        torch.manual_seed((self.num_timesteps << SEED_BITS) + self._task.seed)
        policy = self.model.policy
        assert isinstance(policy, ActorCriticPolicy)
        policy.reset_noise(self._lines.num_envs)

    def _on_step(self) -> bool:
        ended = [info for info in self.locals["infos"] if info]
        if ended:
            for name, values in _figures(ended).items():
                self.logger.record(f"shift/{name}", values)
        return True


def _figures(ended: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means over the shifts that have just ended."""
    found = {name: float(np.mean([one["kpi"][name] for one in ended])) for name in ended[0]["kpi"]}
    if "saved_eur" in ended[0]:
        saved = np.array([one["saved_eur"] for one in ended])
        found |= {"saved_eur": float(saved.mean()), "saved_eur_median": float(np.median(saved))}
    return found
