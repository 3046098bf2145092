"""Controllers against each other over many paired shifts, so that luck cannot flatter anybody.

In each cell (scenario, utilisation, variant) all have met the same shifts. The *oracle* is not one
controller: it is, shift by shift, the cheapest of all of them, of a search with the luck known, and of the
MPC with the true plant and its luck known. What lies between it and ``fixed`` is the ceiling: what somebody
who knew everything has saved. The *bound* is nobody's shift: no course of the line can cost less by the
objective, so the true ceiling lies between the oracle and it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

from twin.cycle import Kpi
from twin.feedback.compare import ELECTRICITY, Comparison, compare
from twin.feedback.compared import TRUTH_KPIS
from twin.feedback.kpi import Kpis, kpis_from_record
from twin.feedback.study.holm import Corrected, corrected
from twin.feedback.study.intervals import interval

ORACLE, HINDSIGHT, MPC_TRUE, BOUND, FIXED = "oracle", "hindsight", "mpc_true", "bound", "fixed"
KNOWING = (HINDSIGHT, MPC_TRUE)
"""Who drives with the luck known; they have no row of their own, but make the oracle."""
OBJECTIVE = "objective_eur"
HEADLINE = ELECTRICITY
COSTS = ("running_cost_eur", "stock_change_eur", "demand_charge_eur")
"""Together they are the objective of a shift."""

Cell = tuple[str, float, str]
"""Scenario, utilisation, variant."""


@dataclass(frozen=True, slots=True, eq=False)
class Shifts:
    """One controller in one cell: its shifts by seed."""

    kpis: Mapping[int, Kpis]
    clipped: int | None
    fallbacks: int | None
    not_closed: int | None
    """Decisions that the guard clipped, that were the fallback's, and that were not followed; None of what
    nobody drove, as all of timing."""
    decision_ms: Mapping[str, float | None]
    """Of whole turns: median of medians, highest 99 % point, longest; None where a line does not say."""
    controller_ms: Mapping[str, float | None]
    """The same of what the controller took of them."""
    deadlines_missed: int | None = None
    cheapest: Mapping[str, int] = field(default_factory=dict)
    """Of the oracle: who was the cheapest how often."""


def family(contender: str) -> str:
    """The controller that a contender is a training seed of: ``rl`` of ``rl:3``."""
    return contender.partition(":")[0]


def objective_eur(kpis: Kpis) -> float:
    """What a shift cost by the objective. Raises ``KeyError`` where a part of it is undefined."""
    if OBJECTIVE in kpis:  # of the bound nothing else is known
        return kpis[OBJECTIVE]
    return sum(kpis[name] for name in COSTS)


def cells_of(episodes: Sequence[Mapping[str, Any]]) -> dict[Cell, dict[str, Shifts]]:
    """The episodes of an evaluation's file by cell and controller, the oracle among them."""
    found: dict[Cell, dict[str, list[Mapping[str, Any]]]] = {}
    for one in episodes:
        cell = (one["scenario"], one["utilisation"], one["variant"])
        found.setdefault(cell, {}).setdefault(one["controller"], []).append(one)
    cells = {}
    for cell, runs in found.items():
        held = {name: _shifts(of) for name, of in runs.items()}
        bound = held.pop(BOUND, None)
        if HINDSIGHT in held:
            held[ORACLE] = _cheapest(held)
        held = {name: shifts for name, shifts in held.items() if name not in KNOWING}
        if bound is not None and all(OBJECTIVE in kpis for kpis in bound.kpis.values()):
            held[BOUND] = _undriven(bound.kpis)
        cells[cell] = held
    return cells


def refuse_unreadable(episode: Mapping[str, Any]) -> None:
    """Raises ``KeyError``, ``TypeError`` or ``ValueError`` for what is no shift: something lacks, or a figure is no number."""
    (kpis,) = _shifts([episode]).kpis.values()
    told = [(name, episode[name]) for name in ("seed", "utilisation", "shift_h")]
    told += [(kpi.name, kpi.value) for kpi in kpis.values]
    told += [*episode["timing"].items(), *episode.get("violations", {}).items()]
    if episode.get("stood_in") is not None:
        told.append(("stood_in", episode["stood_in"]))
    for name, figure in told:
        if not isinstance(figure, int | float):
            raise TypeError(f"{name} is no number, but {figure!r}")
    if not isinstance(episode["doubt"], str):
        raise TypeError("doubt is no text")


def _shifts(episodes: Sequence[Mapping[str, Any]]) -> Shifts:
    return Shifts(
        {one["seed"]: _kpis(one) for one in episodes},
        sum(one["decisions"]["clipped"] for one in episodes),
        sum(one["decisions"]["fallbacks"] for one in episodes),
        sum(one["decisions"]["not_closed"] for one in episodes),
        times_ms("decision", episodes),
        times_ms("controller", episodes),
        deadlines_missed(episodes),
    )


def _kpis(episode: Mapping[str, Any]) -> Kpis:
    """What was read of a shift, and what the true line knows besides."""
    read = kpis_from_record(episode["kpi"])
    window = episode["kpi"]["from_us"], episode["kpi"]["until_us"]
    units = {definition.name: definition.unit for definition in TRUTH_KPIS}
    known = [
        Kpi(name, value, units[name], *window) for name, value in episode.get("truth", {}).items()
    ]
    return replace(read, values=(*read.values, *known))


def times_ms(what: str, episodes: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """How long turns (``decision``), or the ``controller`` in them, took over some shifts, milliseconds.

    The median of the shifts' medians, the highest of their 99 % points, the longest of all. None where a
    line was written before these were.
    """
    timing = [one["timing"] for one in episodes]
    medians, high, longest = (
        [one.get(f"{what}_{point}_s") for one in timing] for point in ("median", "p99", "longest")
    )
    return {
        "median": None if None in medians else 1e3 * sorted(medians)[len(medians) // 2],
        "p99": None if None in high else 1e3 * max(high),
        "longest": None if None in longest else 1e3 * max(longest),
    }


def deadlines_missed(episodes: Sequence[Mapping[str, Any]]) -> int | None:
    """How many turns came after their deadline; None where a line does not say."""
    missed = [one["timing"].get("deadlines_missed") for one in episodes]
    return None if None in missed else sum(missed)


def _cheapest(held: Mapping[str, Shifts]) -> Shifts:
    """Shift by shift the cheapest by the objective; only shifts that all have driven."""
    seeds = sorted(set.intersection(*(set(shifts.kpis) for shifts in held.values())))
    names = {
        seed: min(held, key=lambda name: objective_eur(held[name].kpis[seed])) for seed in seeds
    }
    best = {seed: held[name].kpis[seed] for seed, name in names.items()}
    cheapest = dict(sorted(Counter(names.values()).items()))
    return _undriven(best, cheapest)


def _undriven(kpis: Mapping[int, Kpis], cheapest: Mapping[str, int] | None = None) -> Shifts:
    """Figures that no single controller drove: of its decisions there is nothing to say."""
    times = dict.fromkeys(("median", "p99", "longest"))
    return Shifts(kpis, None, None, None, times, times, cheapest=cheapest or {})


def rows_of(episodes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each controller in each cell: means with half-widths, and how it compares.

    ``versus`` has an entry for each rival: the difference in electricity per good part with its 95 %
    interval in per cent of the rival's mean, and the verdict; ``figures`` the same of all others. Those that
    are claims have p and the interval that Holm's correction over all cells leaves, and are *better* only by that.
    ``ceiling_share`` is how much of what could be saved against ``fixed`` was saved, by the objective; of the
    bound, how much there is to be saved at most. The bound has no figure but the objective, and no rival.
    """
    rows, cells = [], dict(sorted(cells_of(episodes).items()))
    names = sorted({name for held in cells.values() for name in held} - {BOUND})
    apart = {pair: _apart(cells, *pair) for pair in permutations(names, 2)}
    for cell, held in cells.items():
        scenario, utilisation, variant = cell
        for name, shifts in held.items():
            versus = {
                rival: found[cell]
                for (own, rival), found in apart.items()
                if own == name and cell in found
            }
            rows.append(
                {
                    "controller": name,
                    "scenario": scenario,
                    "utilisation": utilisation,
                    "variant": variant,
                    "shifts": len(shifts.kpis),
                    "kpi": _means(shifts),
                    "versus": versus,
                    "ceiling_share": _ceiling_share(held, name),
                    "cheapest": dict(shifts.cheapest),
                    "decisions_clipped": shifts.clipped,
                    "fallbacks": shifts.fallbacks,
                    "not_closed": shifts.not_closed,
                    "decision_ms": dict(shifts.decision_ms),
                    "controller_ms": dict(shifts.controller_ms),
                    "deadlines_missed": shifts.deadlines_missed,
                }
            )
    return rows


def _means(shifts: Shifts) -> dict[str, dict[str, float | int | None]]:
    values: dict[str, list[float]] = {}
    for kpis in shifts.kpis.values():
        for kpi in kpis.values:
            values.setdefault(kpi.name, []).append(kpi.value)
        if OBJECTIVE not in kpis and all(cost in kpis for cost in COSTS):
            values.setdefault(OBJECTIVE, []).append(objective_eur(kpis))
    return {name: interval(of).record() for name, of in sorted(values.items())}


def _apart(
    cells: Mapping[Cell, Mapping[str, Shifts]], name: str, rival: str
) -> dict[Cell, dict[str, Any]]:
    """One controller against another in each cell where both drove; their claims are judged together."""
    pairs: dict[Cell, int] = {}
    found: dict[tuple[Cell, str], Comparison] = {}
    for cell, held in cells.items():
        ours, theirs = (held[one].kpis if one in held else {} for one in (name, rival))
        if seeds := sorted(set(ours) & set(theirs)):
            runs = {name: [ours[seed] for seed in seeds], rival: [theirs[seed] for seed in seeds]}
            pairs[cell] = len(seeds)
            found |= {(cell, one.name): one for one in compare(runs, rival)}
    surer = corrected(found, {key: one.shifts - 1 for key, one in found.items()})
    told = {}
    for cell, shifts in pairs.items():
        figures = {
            figure: _share(one, surer.get((of, figure)))
            for (of, figure), one in found.items()
            if of == cell
        }
        told[cell] = {**figures.get(HEADLINE, {}), "figures": figures, "shifts": shifts}
    return told


def _share(found: Comparison, surer: Corrected | None) -> dict[str, Any]:
    """A comparison in per cent of the rival's mean; of a claim the corrected interval and verdict too."""
    last = found if surer is None else surer.compared
    told: dict[str, Any] = {"verdict": last.verdict, "reason": last.reason}
    if found.percent is None or found.low is None or found.high is None:
        return {"diff_pct": found.percent, "lo_pct": None, "hi_pct": None, **told}
    whole = 100.0 / found.baseline_value
    if surer is not None:
        told |= {"holm_lo_pct": surer.low * whole, "holm_hi_pct": surer.high * whole, "p": surer.p}
    return {
        "diff_pct": found.percent,
        "lo_pct": found.low * whole,
        "hi_pct": found.high * whole,
        **told,
    }


def _ceiling_share(held: Mapping[str, Shifts], name: str) -> float | None:
    """Of what the oracle saves against ``fixed``, how much this controller saves; None without either."""
    if not {FIXED, ORACLE} <= held.keys():
        return None
    seeds = sorted(held[ORACLE].kpis)
    fixed, best, own = (
        sum(objective_eur(held[of].kpis[seed]) for seed in seeds) for of in (FIXED, ORACLE, name)
    )
    return (fixed - own) / (fixed - best) if fixed > best else None
