"""What does a controller save against its rivals, over many shifts?

``python -m benchmarks.savings --plant machining_line --shifts 20 --json`` runs whole shifts of the
true line in this process, every controller on the same luck, and prints each figure's paired mean
difference with its 95 % interval and the verdict of ``twin.feedback.compare``. Seeds below 1000 are
no tuning seeds; those used here are 1, 2, 3 and so on, and all of them are reported.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from twin.cli.results import versions
from twin.cli.shift import Shift
from twin.cli.tuned import baseline
from twin.equipment.simulated import SimulatedEquipment
from twin.feedback import Kpis, compare, evaluate
from twin.plugins import find_controller
from twin.runtime import EquipmentClock, Runtime

SHOWN = (
    "energy_kwh_per_good_part",
    "gas_kwh_per_good_part",
    "energy_cost_eur_per_good_part",
    "cost_eur_per_good_part",
    "throughput_parts_per_h",
    "good_parts",
    "scrap_share",
    "tool_cost_eur_per_good_part",
    "material_kg_per_good_part",
    "peak_kw",
)
Task = tuple[str, float | None, str, int, str]
"""Plant, utilisation, variant, seed, controller."""


def one_shift(task: Task) -> Kpis:
    """One controller's figures on one shift."""
    place, utilisation, variant, seed, name = task
    shift = Shift(place, seed, variant=variant, utilisation=utilisation)
    hours = Shift(place).plant.shift_h
    shift = Shift(place, seed, hours, variant=variant, utilisation=utilisation, engine="auto")
    tuned = baseline(place, shift.plant, shift.demanded, variant).point
    loop = shift.loop(find_controller(name), tuned)
    line = SimulatedEquipment(shift.plc())
    runtime = Runtime(loop, line, EquipmentClock(line))
    runtime.command("close", "benchmark")
    asyncio.run(runtime.run(0, round(shift.plant.shift_h * 3.6e9)))
    return evaluate(loop.ledger)


def measured(options: argparse.Namespace) -> dict[str, object]:
    """All shifts of all controllers, compared with the last one named."""
    names: Sequence[str] = options.controllers.split(",")
    tasks = [
        (options.plant, options.utilisation, options.variant, seed, name)
        for seed in range(1, options.shifts + 1)
        for name in names
    ]
    with ProcessPoolExecutor(options.workers) as pool:
        found = list(_counted(pool.map(one_shift, tasks), len(tasks)))
    kpis = {name: found[n :: len(names)] for n, name in enumerate(names)}
    compared = [
        asdict(comparison)
        for rival in names[1:]
        for comparison in compare({names[0]: kpis[names[0]], rival: kpis[rival]}, rival)
        if comparison.name in SHOWN
    ]
    return {
        "plant": options.plant,
        "plant_hash": Shift(options.plant).plant.config_hash,
        "utilisation": options.utilisation or Shift(options.plant).demanded,
        "variant": options.variant,
        "seeds": list(range(1, options.shifts + 1)),
        "versions": versions(),
        "comparisons": compared,
        "shifts": {
            name: [{key: one[key] for key in SHOWN if key in one} for one in kpis[name]]
            for name in names
        },
    }


def _counted(results: Iterator[Kpis], total: int) -> Iterator[Kpis]:
    for n, result in enumerate(results, 1):
        print(f"\r{n} of {total} shifts", end="", file=sys.stderr, flush=True)
        yield result
    print(file=sys.stderr)


def main() -> None:
    """Print what was found as a table, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--plant", default="machining_line")
    parser.add_argument("--utilisation", type=float)
    parser.add_argument("--variant", default="nominal")
    parser.add_argument("--shifts", type=int, default=20)
    parser.add_argument("--controllers", default="mpc,fixed,rules,always_on")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.shifts < 2:
        parser.error("--shifts: an interval needs two shifts or more")
    result = measured(options)
    if options.json:
        print(json.dumps(result, sort_keys=True))
        return
    comparisons = result["comparisons"]
    assert isinstance(comparisons, list)
    for row in comparisons:
        share = "" if row["percent"] is None else f"{row['percent']:+.2f} %"
        print(
            f"{row['controller']} vs {row['baseline']:<10} {row['name']:<30} {row['value']:.5g} "
            f"{row['unit']:<5} {share:>9} [{row['low']:+.4g}, {row['high']:+.4g}] {row['verdict']}"
        )


if __name__ == "__main__":
    main()
