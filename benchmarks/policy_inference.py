"""How long a trained policy takes to answer, and how close the exported graph is to the trained network.

One observation at a time through ONNX Runtime on one thread, as a loop asks (``inference_us``): the network
alone, and the whole decision of the controller, packing and range check included. Parity over 1e4
observations, half of a shift and half anywhere in the declared limits, as a share of an action's range
(``onnx_parity``). The policy is of the usual size, 64 and 64 neurons, and has not learned anything: neither
figure depends on that. Wall time by percentiles, since a percentile of CPU time is as coarse as its clock;
run it on a quiet machine. Nothing here is a timed test.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controllers.env.schema import schema_of
from controllers.policy.bundle import Bundle
from controllers.policy.controller import Policy
from controllers.policy.export import export
from controllers.policy.manifest import RoleSpec, TrainingSpec
from controllers.policy.network import Network
from controllers.policy.observing import Observing
from controllers.policy.source import ActorSpec, Source, spaces_of
from twin.cli.shift import Shift
from twin.config import PolicyFile, untuned
from twin.cycle import Action, Situation
from twin.equipment.simulated import SimulatedEquipment
from twin.kernels import draws
from twin.store.run_folder import package_versions

PLANT, SEED, HOURS = "machining_line", 4001, 8.0
WIDTHS = (64, 64)
CALLS, WARM_UP = 20_000, 500
BARS = {"inference_us": {"p50": 15.0, "p99": 100.0}, "onnx_parity": 1e-5}


def inference(calls: int = CALLS) -> dict[str, object]:
    """Both figures, with their bars."""
    situations = shift_of()
    made = source(situations)
    bundle = export(made)
    network = Network(bundle.model, bundle.manifest, "the benchmark")
    rows = made.observations
    return {
        "onnx_parity": bundle.manifest.parity,
        "inference_us": spread(lambda n: network.act(rows[n % len(rows)][None, :]), calls),
        "decision_us": decisions_us(bundle, situations, calls // 10),
        "observation": rows.shape[1],
        "action": len(bundle.manifest.spaces.action),
        "model_bytes": len(bundle.model),
        "bars": BARS,
        "versions": package_versions(("numpy", "onnxruntime", "torch")),
    }


def spread(call: Callable[[int], object], calls: int) -> dict[str, float]:
    """Percentiles of the wall time of a call, microseconds."""
    taken = np.empty(calls)
    for n in range(WARM_UP + calls):
        begun_ns = time.perf_counter_ns()
        call(n)
        if n >= WARM_UP:
            taken[n - WARM_UP] = time.perf_counter_ns() - begun_ns
    p50, p99 = np.percentile(taken, [50.0, 99.0]) / 1e3
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def decisions_us(bundle: Bundle, situations: list[Situation], calls: int) -> dict[str, float]:
    """The whole decision: every call comes when one is due."""
    line = Shift(PLANT).nominal_line
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "it.policy"
        bundle.write(path)
        file = PolicyFile(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        point = untuned(line.plant).model_copy(update={"policies": {"rl": file}})
        policy = Policy(line, point)
    policy.decide(situations[0])

    def decide(n: int) -> None:
        situation = situations[n % len(situations)]
        policy.memory.decided_s = situation.time_s - 60.0
        policy.decide(situation)

    return spread(decide, calls)


class Watching:
    """Moves the setpoints about and keeps every situation of a shift."""

    def __init__(self, shift: Shift) -> None:
        self.fields = schema_of(shift.nominal_line).action
        self.seen: list[Situation] = []

    def decide(self, situation: Situation) -> Action:
        """Anything inside the operator's limits; a station sleeps now and then."""
        n = len(self.seen)
        self.seen.append(situation)
        asked = {}
        for k, field in enumerate(self.fields):
            luck = draws.uniform(SEED, draws.WHAT_IF, k, 0, n // 5)
            share = float(luck < 0.1) if field.name.endswith(".standby") else luck
            asked[field.name] = field.lo + share * (field.hi - field.lo)
        return Action(asked)


def shift_of() -> list[Situation]:
    """The situations of one closed shift."""
    import asyncio

    from twin.runtime import EquipmentClock, Runtime

    shift = Shift(PLANT, SEED, HOURS, engine="auto")
    watching = Watching(shift)
    loop = shift.loop(lambda _line, _tuned: watching, untuned(shift.plant))
    line = SimulatedEquipment(shift.plc())
    runtime = Runtime(loop, line, EquipmentClock(line))
    runtime.command("close", "benchmark")
    asyncio.run(runtime.run(0, round(HOURS * 3.6e9)))
    return watching.seen


def source(situations: list[Situation]) -> Source:
    """An actor of the usual size with random weights, and what it would have seen of the shift."""
    line = Shift(PLANT).nominal_line
    schema = schema_of(line)
    facts = ActorSpec(
        plant=line.plant.name,
        plant_hash=line.plant.config_hash,
        spaces=spaces_of(schema),
        role=RoleSpec(decision_period_s=60.0),
        training=TrainingSpec(
            environment="none",
            algorithm="untrained",
            hyperparameters={},
            seeds=(SEED,),
            steps=0,
            threads=1,
            versions={},
            git_commit="",
        ),
        activation="tanh",
        squash="clip",
    )
    widths = (len(schema.observation), *WIDTHS, len(schema.action))
    layers = tuple((weights(n, outs, ins), weights(n, outs, 1)[:, 0]) for n, (ins, outs) in enumerate(pairwise(widths)))  # fmt: skip
    observing, rows = (
        Observing(line, facts.spaces, facts.role.decision_period_s),
        list[NDArray[np.float64]](),
    )
    for situation in situations:
        observing.listen(situation.observation)
        rows.append(observing.seen(situation.observation, situation.active).shown)
    return Source(facts, layers, np.array(rows))


def weights(layer: int, outs: int, ins: int) -> NDArray[np.float32]:
    """Random weights that keep the scale of what comes in."""
    luck = [draws.normal(SEED, draws.WHAT_IF, layer, ins, n) for n in range(outs * ins)]
    return (np.array(luck, dtype=np.float32) / np.sqrt(max(ins, 8))).reshape(outs, ins)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = inference(options.calls)
    json.dump(result, sys.stdout, indent=None if options.json else 2, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
