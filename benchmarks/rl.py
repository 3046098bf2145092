"""How fast policies are trained: ``python -m benchmarks.rl --json``.

``env_steps_per_cpu_s``: decisions of the vector environment in a CPU second of one core, observation, reward
and autoreset included, as they are (``raw``) and through the adapter to stable-baselines3 (``adapter``), side by
side 64 and 256. The lines are

- ``machining_line``: the shipped line, five stations, in randomised worlds, a decision a minute in two turns of the
  loop; and ``machining_line_x4``, four of it one behind the other, twenty stations. A station makes about one part a
  decision. Actions are drawn anew each decision, evenly;
- ``serial``: the saturated lines of ``benchmarks.engine`` and its step, ten mean cycles: a station makes ten parts a
  decision, which is one turn. Nobody sleeps and blanks come at once. What the engine does takes most of the time,
  and ``benchmarks.engine`` says how much that is alone.

``ppo``: decisions per CPU second of PPO end to end (``ppo_steps_per_cpu_s``), one thread, and which share of the
time the environment takes (``env_share``: a whole step, with the adapter and all that training adds to the lines); on
64 and 256 lines, by themselves and with the tuned constants driving as many lines beside them (``paired``). The
setting ``shipped`` is what ``twin train`` runs on that line, and the row that is judged; ``large_batches`` shows what
the number of lines and the pairing do to it.

``policy``: how long a policy takes to answer and how close the exported graph is, by ``benchmarks.policy_inference``.

Contenders take turns; each figure is the median of its rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.anchor_lines import Machine, serial_plant
from benchmarks.engine import BETWEEN_S, BUFFER, CYCLE_S, REPAIR_S, STEP_CYCLES
from benchmarks.policy_inference import inference
from controllers.env.schema import DECISION_S
from controllers.env.stable_baselines import LineVecEnv
from controllers.env.vector import WORLDS, LineVectorEnv
from controllers.training.learning import SHIFTS, new_model
from controllers.training.lines import scaled, training_lines
from controllers.training.settings import PpoSpec, Settings, settings_of
from controllers.training.task import THREADS
from twin.clock import cpu_s
from twin.config import Plant, TunedPoint, load_plant, load_tuned
from twin.config.revise import revised_plant

SIDE_BY_SIDE = (64, 256)
DECISIONS = 60_000
"""About so many in one round of one contender."""
NEVER_DONE = 1e9
"""Parts an hour that a saturated line could make: orders never end."""
BARS = {
    "raw": {5: 200e3, 20: 75e3},
    "adapter_5": {64: 120e3, 256: 180e3},
    "ppo": {
        "judged": {"setting": "shipped", "environments": 64, "paired": True},
        "ppo_steps_per_cpu_s": 25e3,
        "env_share": 0.15,
    },
}
"""``judged`` names the row that the figures beside it are asked of."""
ROUNDS_OF_PPO = {
    64: PpoSpec(lines=64, rollout=128, batches=4, epochs=10),
    256: PpoSpec(lines=256, rollout=64, batches=4, epochs=5),
}
"""Batches of 2,048 and 4,096 decisions."""


def serial(n: int) -> Plant:
    """The saturated line of ``benchmarks.engine``."""
    machines = [Machine(CYCLE_S, "exponential", BETWEEN_S, REPAIR_S)] * n
    changes = {
        ("demand", "capacity_good_parts_per_h"): NEVER_DONE,
        ("control", "period_s"): STEP_CYCLES * CYCLE_S,
    }
    return revised_plant(serial_plant(machines, [BUFFER] * (n - 1)), changes)


def in_a_row(plant: Plant, times: int) -> Plant:
    """A line several times, one behind the other: what leaves one enters the next."""
    data = plant.model_dump(mode="json", by_alias=True)
    stations, buffers = [], []
    first = data["source"]["gives_to"]
    for m in range(times):
        end = f"{first}_{m + 1}" if m + 1 < times else data["sink"]
        names = {buffer["name"]: f"{buffer['name']}_{m}" for buffer in data["buffers"]}
        names |= {data["sink"]: end, f"{first}": f"{first}_{m}"}
        buffers += [{**buffer, "name": names[buffer["name"]]} for buffer in data["buffers"]]
        for station in data["stations"]:
            own = {
                "name": f"{station['name']}_{m}",
                "inspects": station["inspects"] and m + 1 == times,
            }
            own |= {side: names[station[side]] for side in ("takes_from", "gives_to")}
            stations.append({**station, **own})
    scenarios = {name: {**spec, "model_mismatch": {}} for name, spec in data["scenarios"].items()}
    data["source"]["gives_to"] = f"{first}_0"
    data |= {"name": f"{plant.name}_x{times}", "stations": stations, "buffers": buffers}
    row = Plant.model_validate_json(json.dumps(data | {"scenarios": scenarios}), strict=True)
    row.check()
    return row


Step = Callable[[NDArray[np.float32]], object]


class Contender:
    """One vector environment under one way of stepping; it goes on where its last round ended."""

    def __init__(self, plant: str | Plant, n: int, *, adapter: bool) -> None:
        world = "randomised" if isinstance(plant, str) else "nominal"
        saturated = not isinstance(plant, str) and plant.name == "anchor"
        decision_s = STEP_CYCLES * CYCLE_S if saturated else DECISION_S
        lines = LineVectorEnv(n, plant, world=world, decision_s=decision_s)
        self.stations = len(lines.setting.plant.stations)
        self._n, self._lines = n, lines
        self._saturated = saturated
        self._rng = np.random.default_rng(1)
        self._adapter = LineVecEnv(lines) if adapter else None
        self._step: Step = lines.step if self._adapter is None else self._adapter.step
        (lines if self._adapter is None else self._adapter).reset()
        self.rates: list[float] = []

    def round(self) -> None:
        """One round: decisions per CPU second."""
        times = max(1, DECISIONS // self._n)
        shape = (times, *self._lines.action_space.shape)
        actions = self._rng.uniform(-1.0, 1.0, shape).astype(np.float32)
        if self._saturated:
            actions[:] = -1.0  # the shortest takt, and nobody sleeps
        began_s = cpu_s()
        for asked in actions:
            self._step(asked)
        self.rates.append(times * self._n / (cpu_s() - began_s))


def env_steps(rounds: int) -> list[dict[str, Any]]:
    """A row for each line, number side by side, and way of stepping."""
    row = in_a_row(load_plant("machining_line"), 4)
    lines = {"machining_line": "machining_line", row.name: row}
    lines |= {f"serial_{n}": serial(n) for n in (5, 20)}
    found = []
    for name, plant in lines.items():
        contenders = {
            (n, way): Contender(plant, n, adapter=way == "adapter")
            for n in SIDE_BY_SIDE
            for way in ("raw", "adapter")
        }
        for number in range(rounds + 1):  # the first one makes worlds, and fills the caches
            print(f"{name}: round {number} of {rounds}", file=sys.stderr)
            for contender in contenders.values():
                contender.round()
        for (n, way), contender in contenders.items():
            rate = median(contender.rates[1:])
            known = {"line": name, "stations": contender.stations, "environments": n, "way": way}
            found.append({**known, "env_steps_per_cpu_s": rate})
    return found


def ppo(rounds: int) -> list[dict[str, Any]]:
    """A row for the settings as they ship, and for each number of lines with and without the constants beside them."""
    fixed = load_tuned("machining_line", load_plant("machining_line")).at(0.8)
    shipped = settings_of("machining_line")
    chosen = {("shipped", shipped.ppo.lines, shipped.paired): shipped}
    for n in SIDE_BY_SIDE:
        for paired in (False, True):
            settings = Settings(ppo=ROUNDS_OF_PPO[n], paired=paired)
            chosen["large_batches", n, paired] = settings
    contenders = {key: Trainer(settings, fixed) for key, settings in chosen.items()}
    for number in range(rounds + 1):  # the first one fills the caches
        print(f"ppo: round {number} of {rounds}", file=sys.stderr)
        for contender in contenders.values():
            contender.round()
    return [
        {
            "line": "machining_line",
            "setting": setting,
            "environments": n,
            "paired": paired,
            "ppo_steps_per_cpu_s": median(trainer.rates[1:]),
            "env_share": median(trainer.shares[1:]),
        }
        for (setting, n, paired), trainer in contenders.items()
    ]


class Trainer:
    """PPO by these settings; a round is two of its own, of trying and learning."""

    def __init__(self, settings: Settings, fixed: TunedPoint) -> None:
        chosen, n = settings.ppo, settings.ppo.lines
        self._lines = training_lines("machining_line", n, settings, fixed)
        for begun in range(0, WORLDS, n):  # worlds are made once, whatever comes after
            self._lines.lines.reset(seed=begun)
        self._lines.seed(SHIFTS)
        first = scaled(self._lines.schema, fixed.setpoints)
        torch.set_num_threads(THREADS)
        self._model = new_model(chosen, self._lines, 1, first)
        self._steps, self._env_s = 2 * n * (chosen.rollout or self._lines.decisions), 0.0
        self._step, self._lines.step = self._lines.step, self._timed
        self.rates: list[float] = []
        self.shares: list[float] = []

    def _timed(self, actions: NDArray[np.float32]) -> Any:
        began_s = cpu_s()
        answer = self._step(actions)
        self._env_s += cpu_s() - began_s
        return answer

    def round(self) -> None:
        """Steps per CPU second of all, and the environment's share of it."""
        self._env_s, began_s = 0.0, cpu_s()
        self._model.learn(self._steps, reset_num_timesteps=False)
        took_s = cpu_s() - began_s
        self.rates.append(self._steps / took_s)
        self.shares.append(self._env_s / took_s)


PARTS: dict[str, Callable[[int], Any]] = {
    "env_steps_per_cpu_s": env_steps,
    "ppo": ppo,
    "policy": lambda _rounds: [inference()],
}
"""What is measured, by its key in the JSON."""


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    found = {name: PARTS[name](asked.rounds) for name in asked.parts}
    if asked.json:
        print(json.dumps({"bars": BARS, "rounds": asked.rounds, **found}, indent=1))
        return 0
    for name, rows in found.items():
        print(name)
        for row in rows:
            print("  ".join(f"{x:.4g}" if isinstance(x, float) else f"{x}" for x in row.values()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
