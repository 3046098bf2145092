"""How good is a twin that comes to a running line in the middle of whatever it does?

``python -m benchmarks.attach --json`` starts the emulator of each shipped plant as a process of its own, on
four seeds each. Twenty times in a shift, at instants drawn at random, a twin that knows nothing of the
line attaches to it by OPC UA, listens for 15 minutes, and says what the next hour will make and
take. Reported are how often what came lay in the 90 % interval (bar: 85 to 95 %), by parts of ties where
parts are counted, and plainly; and how wide the interval is against that of a twin which is given
the true state of the line at that instant (bar: at most 1.5). That one runs in this process on the same
seed, which makes the same line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from twin.analyze.likely import likely_lines
from twin.analyze.outlook import FIGURES, SHARE, Outlook, look_ahead
from twin.analyze.whatif import present
from twin.attachment import WORLDS, Attachment
from twin.cli.emulator_child import emulator
from twin.cli.results import versions
from twin.cli.shift import Shift
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.plc import Plc
from twin.feedback.drift import Fared, coverage, drift_score
from twin.line import schema as s
from twin.line.tags import line_signals

PLANTS = ("machining_line", "molding_cell", "paint_cure_line")
SEEDS = (301, 302, 303, 304)
INSTANTS = 20
COVERAGE, WIDTH_RATIO = (0.85, 0.95), 1.5
APART = 10**9
"""Worlds of the comparison lie apart from those of the twin."""
LISTEN_S, AHEAD_S = 900.0, 3600.0
FIRST_S, LAST_S = 1800.0, 7.0 * 3600.0
"""From when to when in a shift of eight hours a twin may look ahead."""


@dataclass(slots=True)
class Visit:
    """One twin that came, what it said, and what a twin with the true state said."""

    look_s: float
    twin: Attachment
    said: Outlook | None = None
    with_true_state: Outlook | None = None


@dataclass(slots=True)
class Found:
    """All visits of one run whose hour has come."""

    fared: list[Fared] = field(default_factory=list)
    said: list[Outlook] = field(default_factory=list)
    with_true_state: list[Outlook] = field(default_factory=list)
    out_of_step: list[int] = field(default_factory=list)


def mean_width(outlooks: Sequence[Outlook], figure: str) -> float:
    """How far apart the ends of the intervals are."""
    ends = [outlook.interval(figure) for outlook in outlooks]
    return fmean(upper - lower for lower, upper in ends)


def mean_ratio(ours: Sequence[Outlook], theirs: Sequence[Outlook], figure: str) -> float:
    """How many times as wide, look by look; looks whose outcome is certain have no ratio."""
    pairs = zip(ours, theirs, strict=True)
    widths = [(mean_width([own], figure), mean_width([base], figure)) for own, base in pairs]
    return fmean(own / base for own, base in widths if base > 0.0)


def meets(found: Mapping[str, float]) -> dict[str, bool]:
    """Which bars a figure meets."""
    lo, hi = COVERAGE
    return {
        "coverage": lo <= found["coverage"] <= hi,
        "coverage_plain": lo <= found["coverage_plain"] <= hi,
        "width_ratio": found["width_ratio"] <= WIDTH_RATIO,
    }


def agenda(visits: Sequence[Visit], period_s: float) -> Iterator[tuple[float, Visit, bool]]:
    """When which twin reads, in order, and whether it is then to look ahead."""
    rows = []
    for visit in visits:
        n = round(LISTEN_S / period_s)
        rows += [(visit.look_s - k * period_s, visit, k == 0) for k in range(n, -1, -1)]
        rows.append((visit.look_s + AHEAD_S, visit, False))
    return iter(sorted(rows, key=lambda row: row[0]))


def from_true_state(visit: Visit, plc: Plc) -> Outlook:
    """The same twin, as far as it has learned, but begun with what the line really is."""
    memory, line = visit.twin.loop.memory, visit.twin.loop.line
    state, offsets = plc.state.copy(), memory.estimate.offsets
    own = visit.twin.loop.memory.twin.ints[line.k[s.K_LINE_I] + s.SEED]
    lines = likely_lines(line, offsets, own, WORLDS, first=APART)
    table = present(line, state)
    return look_ahead(lines, table, [state] * WORLDS, offsets, AHEAD_S, first=APART)


async def visited(place: str, seed: int, folder: Path) -> Found:
    """One emulated shift with all its visitors."""
    shift = Shift(place, seed)
    line, plc = shift.nominal_line, shift.plc()
    rng = np.random.default_rng(seed)
    # Plant time is counted in microseconds.
    looks_s = np.round(np.sort(rng.uniform(FIRST_S, LAST_S, INSTANTS)), 6).tolist()
    # A twin of its own luck each time: what is drawn wrongly once is not drawn wrongly always.
    visits = [
        Visit(look_s, Attachment.to(line, seed * INSTANTS + n)) for n, look_s in enumerate(looks_s)
    ]
    found = Found()
    log = folder / f"{place}-{seed}.log"
    async with (
        emulator([*shift.arguments(), "--lockstep"], log) as endpoint,
        OpcUaEquipment.connect(
            endpoint, line_signals(line), plant_hash=shift.plant.config_hash
        ) as equipment,
    ):
        for time_s, visit, looks in agenda(visits, shift.plant.control.period_s):
            time_us = round(time_s * 1e6)
            await equipment.command("Advance", time_us)
            visit.twin.follow(await equipment.read())
            if looks:
                plc.advance(time_us)
                # Beside the connection, which must not fall silent.
                visit.said = await asyncio.to_thread(visit.twin.look_ahead, AHEAD_S)
                visit.with_true_state = await asyncio.to_thread(from_true_state, visit, plc)
                found.out_of_step.append(len(visit.twin.out_of_step()))
    for visit in visits:
        found.fared += visit.twin.fared
        if visit.said is not None and visit.with_true_state is not None:
            found.said.append(visit.said)
            found.with_true_state.append(visit.with_true_state)
    return found


def figures(runs: Sequence[Found]) -> dict[str, Any]:
    """The bars' figures over several runs."""
    fared = [one for run in runs for one in run.fared]
    said = [one for run in runs for one in run.said]
    with_true_state = [one for run in runs for one in run.with_true_state]
    out: dict[str, Any] = {"runs": len(runs), "instants": len(fared)}
    for figure in FIGURES:
        plain = [
            np.quantile(one.courses[figure], (1 - SHARE) / 2)
            <= one.actual[figure]
            <= np.quantile(one.courses[figure], (1 + SHARE) / 2)
            for one in fared
        ]
        out[figure] = {
            "coverage": coverage(fared, figure, SHARE),
            "coverage_plain": float(np.mean(plain)),
            "width": mean_width(said, figure),
            "width_ratio": mean_ratio(said, with_true_state, figure),
            "drift_score": drift_score(fared, figure),
        }
    out["signals_out_of_step"] = fmean(n for run in runs for n in run.out_of_step)
    return out


async def measured(plants: Sequence[str], seeds: Sequence[int]) -> dict[str, object]:
    """All runs, by plant and together."""
    by_plant: dict[str, list[Found]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for place in plants:
            for seed in seeds:
                print(f"{place} {seed}", file=sys.stderr)
                by_plant.setdefault(place, []).append(await visited(place, seed, Path(folder)))
    together = figures([run for runs in by_plant.values() for run in runs])
    return {
        "seeds": list(seeds),
        "plants": {place: figures(runs) for place, runs in by_plant.items()},
        "together": together,
        "bars": {"coverage": COVERAGE, "width_ratio": WIDTH_RATIO},
        "met": {figure: meets(together[figure]) for figure in FIGURES},
        "versions": versions(),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plant", action="append", choices=PLANTS, help="repeatable; else all")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="runs of each plant")
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    options = parser.parse_args()
    seeds = range(SEEDS[0], SEEDS[0] + options.seeds)
    report = asyncio.run(measured(options.plant or PLANTS, list(seeds)))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
