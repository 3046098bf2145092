"""What does the same luck buy? How much less paired differences scatter than those of independent shifts.

``python -m benchmarks.pairing --json`` runs shifts of the true line at two settings under the same seeds, in every
scenario of each shipped plant, and prints of each figure the variance ratio: the variance that the difference would
have if each setting had luck of its own (the sum of the two variances), over that of the paired difference. So
many times fewer shifts show the same difference. The pair that has to reach ``BAR`` is two takts 5 % apart, in
electricity per good part; the others are reported. Two identical controllers have to differ by exactly 0.

Without ``--loop`` the line runs at constant setpoints and nobody reads its sensors, so the scenario of faulty
sensors is as the nominal one. With it a closed loop asks for them, through sensors, guard and PLC. The seeds are
1, 2, 3 and so on: none that anything was tuned on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import mean, variance
from typing import Any

from twin.cli.offline import Offline
from twin.cli.results import versions
from twin.cli.shift import Shift
from twin.cli.tuned import baseline
from twin.config import TunedPoint, plant_names, untuned
from twin.equipment.simulated import SimulatedEquipment
from twin.feedback import Kpis, evaluate
from twin.feedback.compare import difference_of
from twin.plugins import find_controller
from twin.runtime import EquipmentClock, Runtime
from twin.spread import spread

BAR, APART = 10.0, 1.05
FIGURES = ("energy_kwh_per_good_part", "cost_eur_per_good_part", "throughput_parts_per_h")
TAKT, TIME_OUT = "line.takt_s", ".standby_after_s"
LONGER, IDENTICAL = "recipe: takt 5 % longer", "identical"


@dataclass(frozen=True, slots=True)
class Task:
    """One shift at constant setpoints, with or without a loop that asks for them."""

    shift: Shift
    point: TunedPoint
    in_loop: bool


def driven(task: Task) -> Kpis:
    """What came of it."""
    shift = task.shift
    if not task.in_loop:
        line = _line_of(replace(shift, seed=0))
        return line.course(shift.seed, shift.hours, setpoints=task.point.setpoints).kpis()
    loop = shift.loop(find_controller("fixed"), task.point)
    equipment = SimulatedEquipment(shift.plc())
    runtime = Runtime(loop, equipment, EquipmentClock(equipment))
    runtime.command("close", "benchmark")
    asyncio.run(runtime.run(0, round(shift.hours * 3.6e9)))
    return evaluate(loop.ledger)


@cache
def _line_of(shift: Shift) -> Offline:
    """The true line of a scenario, for all its seeds."""
    return Offline(shift, saturated=False, truth=True, choice="auto")


def settings_of(shift: Shift) -> dict[str, TunedPoint]:
    """Setpoints that are compared. At the recipe the takt paces the line.

    Tuned constants release blanks as fast as the operator may, so that the first station paces it: there a longer
    takt changes next to nothing.
    """
    recipe = untuned(shift.plant)
    tuned = baseline(shift.place, shift.plant, shift.demanded, shift.variant).point
    never_s = {
        name: shift.plant.station(name.removesuffix(TIME_OUT)).standby_after_s.validity[1]
        for name in tuned.setpoints
        if name.endswith(TIME_OUT)
    }
    process = next(n for n in recipe.setpoints if n != TAKT and not n.endswith(TIME_OUT))
    return {
        "recipe": recipe,
        "recipe, takt 5 % longer": _changed(recipe, {TAKT: APART * recipe.setpoints[TAKT]}),
        "recipe, process 5 % lower": _changed(recipe, {process: recipe.setpoints[process] / APART}),
        "tuned": tuned,
        "tuned again": tuned,
        "tuned, takt 5 % longer": _changed(tuned, {TAKT: APART * tuned.setpoints[TAKT]}),
        "tuned, never asleep": _changed(tuned, never_s),
    }


PAIRS = {
    LONGER: ("recipe", "recipe, takt 5 % longer"),
    "tuned: takt 5 % longer": ("tuned", "tuned, takt 5 % longer"),
    "recipe: a process setpoint 5 % lower": ("recipe", "recipe, process 5 % lower"),
    "tuned: never asleep": ("tuned", "tuned, never asleep"),
    "recipe against tuned": ("recipe", "tuned"),
    IDENTICAL: ("tuned", "tuned again"),
}


def _changed(point: TunedPoint, change: Mapping[str, float]) -> TunedPoint:
    return point.model_copy(update={"setpoints": {**point.setpoints, **change}})


def paired(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float | None]:
    """The variance ratio of two series of the same shifts; None where the difference never moves."""
    apart = [difference_of(one, other) for one, other in zip(ours, theirs, strict=True)]
    scatter = variance(apart)
    return {
        "difference_pct": 100.0 * mean(apart) / mean(theirs),
        "ratio": None if scatter == 0.0 else (variance(ours) + variance(theirs)) / scatter,
    }


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """All shifts of all scenarios, compared pair by pair."""
    rows = []
    for place in options.plants:
        plain = Shift(place)
        hours = options.hours or plain.plant.shift_h
        for scenario in plain.plant.scenarios:
            shift = Shift(place, hours=hours, scenario=scenario, engine="auto")
            rows += scenario_rows(
                shift, options.shifts, in_loop=options.loop, workers=options.workers
            )
            print(f"{place} {scenario}", file=sys.stderr)
    bars = [row["figures"][FIGURES[0]]["ratio"] for row in rows if row["pair"] == LONGER]
    known = [ratio for ratio in bars if ratio is not None]
    return {
        "bar": BAR,
        "in_loop": options.loop,
        "least_ratio": min(known, default=None),
        "reaches_bar": len(known) == len(bars) and min(known, default=0.0) >= BAR,
        "identical_differ_by": max(
            row["largest_difference"] for row in rows if row["pair"] == IDENTICAL
        ),
        "rows": rows,
        "shifts": options.shifts,
        "versions": versions(),
    }


def scenario_rows(
    shift: Shift, shifts: int, *, in_loop: bool, workers: int, names: Sequence[str] = tuple(PAIRS)
) -> list[dict[str, Any]]:
    """One scenario of one plant: a row for each pair that is named."""
    needed = {setting for name in names for setting in PAIRS[name]}
    settings = {name: of for name, of in settings_of(shift).items() if name in needed}
    luck = [replace(shift, seed=seed) for seed in range(1, shifts + 1)]
    tasks = [Task(one, point, in_loop) for point in settings.values() for one in luck]
    found = spread(driven, tasks, workers=workers)
    series = {name: found[n * shifts : (n + 1) * shifts] for n, name in enumerate(settings)}
    rows = []
    for name in names:
        first, second = (series[setting] for setting in PAIRS[name])
        figures = {
            figure: paired([kpis[figure] for kpis in second], [kpis[figure] for kpis in first])
            for figure in FIGURES
        }
        apart = max(_apart(one, other) for one, other in zip(first, second, strict=True))
        rows.append(
            {
                "plant": shift.plant.name,
                "scenario": shift.scenario,
                "pair": name,
                "figures": figures,
                "largest_difference": apart,
            }
        )
    return rows


def _apart(one: Kpis, other: Kpis) -> float:
    """The largest difference between two shifts in any figure."""
    return max(abs(kpi.value - other[kpi.name]) for kpi in one.values)


def main() -> None:
    """Print what was found as a table, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--plants", type=lambda text: text.split(","), default=plant_names())
    parser.add_argument("--shifts", type=int, default=30)
    parser.add_argument("--hours", type=float, help="plant time a shift; else the plant file's")
    parser.add_argument("--loop", action="store_true", help="drive the line by a closed loop")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.shifts < 2:
        parser.error("--shifts: a variance needs two shifts or more")
    result = measured(options)
    if options.json:
        print(json.dumps(result, sort_keys=True))
        return
    for row in result["rows"]:
        ratios = ", ".join(
            f"{name} {'never moves' if found['ratio'] is None else format(found['ratio'], '.1f')}"
            for name, found in row["figures"].items()
        )
        print(f"{row['plant']:<16} {row['scenario']:<14} {row['pair']:<40} {ratios}")
    print(f"two takts 5 % apart: least ratio {result['least_ratio']}, bar {BAR:g}")
    print(f"identical controllers differ by {result['identical_differ_by']}")


if __name__ == "__main__":
    main()
