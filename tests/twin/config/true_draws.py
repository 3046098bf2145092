"""How the truth of a plant is drawn: each number that has a range, uniformly, one stream a station.

Run as a program it prints the draws for a plant and a seed, ready for the truth file:
``python tests/twin/config/true_draws.py paint_cure_line 20261``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from twin.config import Plant, StationSpec, Truth, Value, load_plant, load_truth
from twin.config.truth import TrueStation
from twin.kernels import draws

Key = tuple[str, ...]


def drawn(plant: Plant, effects: Mapping[str, Mapping[str, Value]], seed: int) -> dict[Key, float]:
    """The drawn numbers by station and key, rounded to four digits, in the order of the file."""
    found: dict[Key, float] = {}
    for e, station in enumerate(plant.stations, 1):
        ranges = [*_ranges(station), *_effects(effects.get(station.name, {}))]
        for n, (key, (lo, hi)) in enumerate(ranges):
            luck = draws.uniform(seed, draws.PLANT, e, draws.DISTURBANCE, n)
            found[(station.name, *key)] = float(f"{lo + (hi - lo) * luck:.4g}")
    return found


def _ranges(station: StationSpec) -> Iterator[tuple[Key, tuple[float, float]]]:
    """All that a truth file may replace, where the plant file gives a range."""
    given: list[tuple[Key, Value]] = [
        (("parameters", name), value) for name, value in station.parameters.items()
    ]
    given += [
        (("warm_up_s",), station.warm_up_s),
        (("idle_kw",), station.power.idle_kw),
        (("standby_kw",), station.power.standby_kw),
    ]
    if station.tool is not None:
        given.append((("tool_life_cv",), station.tool.life_cv))
    for mode, failure in station.failures.items():
        given.append((("mean_between_s", mode), failure.mean_between_s))
        given.append((("mean_repair_s", mode), failure.mean_repair_s))
    for key, value in given:
        if value.range is not None:
            yield key, value.range


def _effects(effects: Mapping[str, Value]) -> Iterator[tuple[Key, tuple[float, float]]]:
    for name, value in effects.items():
        if value.range is not None:
            yield ("effects", name), value.range


def stated(truth: Truth) -> dict[Key, float]:
    """The numbers of a truth file by the same keys; drifts are stated, not drawn."""
    found: dict[Key, float] = {}
    for name, station in truth.stations.items():
        for key, value in _stated(station):
            found[(name, *key)] = float(value)
    return found


def _stated(station: TrueStation) -> Iterator[tuple[Key, Value]]:
    for group in ("parameters", "effects", "mean_between_s", "mean_repair_s"):
        for name, value in getattr(station, group).items():
            yield (group, name), value
    for key in ("warm_up_s", "idle_kw", "standby_kw", "tool_life_cv"):
        value = getattr(station, key)
        if value is not None:
            yield (key,), value


def effects_of(truth: Truth) -> dict[str, dict[str, Value]]:
    """The effects that a truth file names, with the ranges that stand there."""
    return {name: dict(station.effects) for name, station in truth.stations.items()}


if __name__ == "__main__":
    chosen = load_plant(sys.argv[1])
    named = effects_of(load_truth(sys.argv[1], chosen))
    for key, number in drawn(chosen, named, int(sys.argv[2])).items():
        sys.stdout.write(f"{'.'.join(key)}: {number:g}\n")
