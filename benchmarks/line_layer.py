"""How long the line layer takes: ``python -m benchmarks.line_layer --json``.

Lines of five and of ten machines, the machining line's stations in a row once and twice, planned on 24
blocks through a shift, in lockstep, with failures: CPU time of the mixed-integer program alone
(``milp_ms``) and with the plans driven on forks (``line_layer_ms``). Beside it the whole decisions of the
``mpc`` on the shipped plants through one shift each (``solve_ms``): every turn, and those that plan.
Only CPU time counts, and nothing here is a timed test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from controllers.mpc.controller import Mpc
from controllers.mpc.line_layer import LineLayer
from controllers.mpc.trial import Trial
from twin.cli.results import versions
from twin.cli.shift import Shift
from twin.cli.tuned import baseline
from twin.clock import cpu_s
from twin.config import Plant, load_plant, untuned
from twin.cycle import Action, Situation
from twin.equipment.plc import Plc
from twin.equipment.simulated import SimulatedEquipment
from twin.kernels import draws
from twin.line.engine import EngineChoice
from twin.line.model import build_line
from twin.line.scenario import build_table, scenario_of
from twin.loop import ControlLoop
from twin.plugins import find_controller
from twin.protocols import Controller
from twin.runtime import EquipmentClock, Runtime

PLANTS = ("machining_line", "molding_cell", "paint_cure_line")
BLOCKS, SEED = 24, 4001
BAR_MS, LIMIT_MS = 500.0, 2000.0
"""Median and most of the line layer with its forks, ten machines and 24 blocks."""


def long_line(times: int) -> Plant:
    """The machining line with its stations so many times in a row; only the last inspects."""
    data = load_plant("machining_line").model_dump(by_alias=True)
    buffers, stations = [dict(b) for b in data["buffers"]], []
    row = [dict(st) for st in data["stations"]]
    ends = [st["takes_from"] for st in row]
    for n in range(times):
        for m, station in enumerate(row):
            last, at_end = n == times - 1, m == len(row) - 1
            behind = f"{ends[(m + 1) % len(row)]}_{n + (m + 1) // len(row)}"
            stations.append(
                station
                | {
                    "name": f"{station['name']}_{n}",
                    "takes_from": f"{station['takes_from']}_{n}",
                    "gives_to": station["gives_to"] if last and at_end else behind,
                    "inspects": station["inspects"] and last and at_end,
                }
            )
    data["buffers"] = [b | {"name": f"{b['name']}_{n}"} for n in range(times) for b in buffers]
    data["stations"], data["scenarios"] = stations, {"nominal": {"title": "as planned"}}
    data["source"] = data["source"] | {"gives_to": f"{data['source']['gives_to']}_0"}
    plant = Plant.model_validate(data)
    plant.check()
    return plant


@contextmanager
def timed(owner: type, name: str, found_ms: list[float]) -> Iterator[None]:
    """Note the CPU time of each call of a method."""
    method: Callable[..., Any] = getattr(owner, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        begun_s = cpu_s()
        try:
            return method(*args, **kwargs)
        finally:
            found_ms.append(1e3 * (cpu_s() - begun_s))

    setattr(owner, name, noted)
    try:
        yield
    finally:
        setattr(owner, name, method)


class Timed:
    """A controller whose decisions are timed."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.found_ms: list[float] = []

    def decide(self, situation: Situation) -> Action:
        """What the controller asks for."""
        begun_s = cpu_s()
        action = self._controller.decide(situation)
        self.found_ms.append(1e3 * (cpu_s() - begun_s))
        return action


def drive(loop: ControlLoop, plc: Plc, hours: float) -> None:
    """One shift in lockstep."""
    line = SimulatedEquipment(plc)
    runtime = Runtime(loop, line, EquipmentClock(line))
    runtime.command("close", "benchmark")
    asyncio.run(runtime.run(0, round(hours * 3.6e9)))


def line_layer(machines: int, hours: float) -> dict[str, object]:
    """The line layer alone, on a line without process mismatch."""
    plant = long_line(machines // 5)
    line = build_line(plant)
    table = build_table(plant, SEED, draws.PLANT, hours, utilisation=0.8)
    plc = Plc(line, table, SEED, scenario_of(plant, "nominal"))
    loop = ControlLoop(line, Mpc(line, untuned(plant), BLOCKS), SEED, EngineChoice.COMPILED)
    milp_ms: list[float] = []
    trial_ms: list[float] = []
    with timed(LineLayer, "solve", milp_ms), timed(Trial, "best", trial_ms):
        drive(loop, plc, hours)
    # The first is left out: it may compile.
    both_ms = np.array(milp_ms[1:]) + np.array(trial_ms[1:])
    return {
        "machines": machines,
        "blocks": BLOCKS,
        "plans": len(both_ms),
        "milp_ms": spread(np.array(milp_ms[1:])),
        "line_layer_ms": spread(both_ms),
    }


def decisions(name: str, hours: float) -> dict[str, object]:
    """The whole decisions of the ``mpc`` on a shipped plant."""
    shift = Shift(name, SEED, hours, engine="auto")
    tuned = baseline(name, shift.plant, shift.demanded, "nominal").point
    loop = shift.loop(find_controller("mpc"), tuned)
    loop.controller = watched = Timed(loop.controller)
    planned_ms: list[float] = []
    with timed(Mpc, "_plan", planned_ms):
        drive(loop, shift.plc(), hours)
    return {
        "decisions": len(watched.found_ms),
        "solve_ms": spread(np.array(watched.found_ms[1:])),
        "planned_ms": spread(np.array(planned_ms[1:])),
    }


def spread(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    p50, p95 = np.percentile(values, [50.0, 95.0])
    return {"p50": round(p50, 2), "p95": round(p95, 2), "max": round(float(values.max()), 2)}


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--plants", default=",".join(PLANTS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    layers = [line_layer(machines, options.hours) for machines in (5, 10)]
    result = {
        "line_layer": layers,
        "bar_ms": {"p50": BAR_MS, "max": LIMIT_MS},
        "decisions": {n: decisions(n, options.hours) for n in options.plants.split(",") if n},
        "versions": versions(),
    }
    if options.json:
        print(json.dumps(result, sort_keys=True))
        return
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
