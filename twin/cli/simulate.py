"""``twin simulate``: shifts of a line without any loop, and their figures with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import Problem
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from twin.feedback import Kpis
    from twin.line.model import Line
    from twin.state import LineState

NAME = "simulate"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin simulate machining_line --reps 10
  twin simulate machining_line --saturated --hours 8 --reps 20
  twin simulate demo --true --json"""
READ_S = 60.0
"""How often the books are kept: prices change with the hour, peaks are metered by the quarter."""

OF_ORDERS = ("ordered_parts", "backlog_end", "cost_eur_per_good_part")
"""Figures that mean nothing where orders are without end."""


def command(
    plant: options.Plant = None,
    hours: Annotated[
        float,
        typer.Option(
            parser=options.bare_hours, metavar="HOURS", show_default="8", help="Plant time a shift."
        ),
    ] = 8.0,
    reps: Annotated[int, typer.Option(min=1, max=10_000, help="Shifts, each of its own luck.")] = 1,
    seed: options.Seed = 1,
    scenario: options.Scenario = "nominal",
    utilisation: options.Utilisation = None,
    variant: options.Variant = "nominal",
    saturated: Annotated[
        bool, typer.Option("--saturated", help="Orders without end, blanks at the fastest takt.")
    ] = False,
    truth: Annotated[
        bool, typer.Option("--true", help="The line as it really is, by its truth file.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Simulate a line at its recipe, offline; 95 % intervals over the replications."""
    import json

    from twin.cli.results import orders_note

    shift = Shift(options.chosen_plant(plant), seed, hours, scenario, variant, utilisation)
    shift.check()
    if truth:
        shift.has_truth()
    runs = _runs(shift, reps, saturated=saturated, truth=truth)
    found = intervals(runs)
    if as_json:
        facts = {**shift.facts(), "hours": hours, "reps": reps, "saturated": saturated}
        typer.echo(json.dumps({**facts, "truth": truth, "kpis": found}, sort_keys=True))
    else:
        hidden = OF_ORDERS if saturated else ()
        _show({name: kpi for name, kpi in found.items() if name not in hidden}, reps)
        note = "" if saturated else orders_note(shift.plant, hours)
        if note:
            options.console().print(f"note: {note}", markup=False)


def _runs(shift: Shift, reps: int, *, saturated: bool, truth: bool) -> list[Kpis]:
    import sys
    from dataclasses import replace

    found = []
    for n in range(reps):
        one = replace(shift, seed=shift.seed + n)
        found.append(simulated(one, saturated=saturated, truth=truth))
        if reps > 1 and sys.stderr.isatty():
            typer.echo(f"\r{n + 1} of {reps} shifts", err=True, nl=n + 1 == reps)
    return found


def simulated(shift: Shift, *, saturated: bool, truth: bool) -> Kpis:
    """One shift from an empty line, no controller, read without any noise."""
    import numpy as np

    from twin.config import load_truth
    from twin.cycle import Reading
    from twin.feedback import Ledger, evaluate
    from twin.kernels import draws
    from twin.line.initial import initial_state
    from twin.line.model import build_line
    from twin.line.scenario import build_table, scenario_of
    from twin.line.simulator import Simulator
    from twin.line.tags import NO_CONTROL, TagReader

    plant = shift.plant
    true = load_truth(shift.place, plant) if truth else None
    mismatch = scenario_of(plant, shift.scenario).model_mismatch if truth else None
    line = build_line(plant, true, shift.variant, mismatch)
    orders = 100.0 if saturated else shift.utilisation
    world = draws.PLANT
    table = build_table(plant, shift.seed, world, shift.hours, shift.scenario, orders)
    simulator, state = Simulator(line, table), initial_state(line, shift.seed, world)
    reader = TagReader(line)
    ledger = Ledger(plant, reader.signals)
    simulator.prime(state)
    if saturated:
        simulator.advance(state, {"line.takt_s": plant.source.takt_s.validity[0]}, 0.0)
    status = np.zeros(len(reader.signals), dtype=np.int64)
    for now_s in np.append(np.arange(0.0, shift.hours * 3600.0, READ_S), shift.hours * 3600.0):
        simulator.advance(state, {}, float(now_s))
        time_us = round(now_s * 1e6)
        values = reader.read(state, NO_CONTROL)
        ledger.book(Reading(time_us, 0, values, np.full(status.size, time_us), status))
    refuse_deadlock(line, state)
    return evaluate(ledger)


def refuse_deadlock(line: Line, state: LineState) -> None:
    """A line that has locked itself has no figures."""
    from twin.line.deadlock import deadlock

    circle = deadlock(line, state)
    if circle:
        message = f"the line has locked itself: {' waits for '.join((*circle, circle[0]))}"
        hint = "give one of these buffers more room, or the source another wip_limit"
        raise Problem("plant", message, hint)


def intervals(runs: list[Kpis]) -> dict[str, dict[str, Any]]:
    """Mean and half-width of Student's 95 % interval of each figure that every shift has."""
    import math

    from twin.feedback.compare import student_t

    found: dict[str, dict[str, Any]] = {}
    for kpi in runs[0].values:
        if not all(kpi.name in run for run in runs):
            continue
        values = [run[kpi.name] for run in runs]
        mean, half = math.fsum(values) / len(values), None
        if len(values) > 1:
            spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
            half = student_t(len(values) - 1) * spread / math.sqrt(len(values))
        found[kpi.name] = {"mean": mean, "half_width": half, "unit": kpi.unit}
    return found


def _show(found: dict[str, dict[str, Any]], reps: int) -> None:
    from rich import box
    from rich.table import Table

    from twin.cli.results import SHOWN
    from twin.feedback.report.labels import number, unit_text

    caption = f"{reps} shifts, 95 % interval of the mean" if reps > 1 else "one shift: no interval"
    table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    for name in ("figure", "unit", "mean", "±"):
        table.add_column(name, justify="right" if name in ("mean", "±") else "left")
    for name in SHOWN:
        if name in found and not (name.startswith("gas_") and not found[name]["mean"]):
            kpi = found[name]
            unit, half = unit_text(kpi["unit"]), number(kpi["half_width"])
            table.add_row(name.replace("_", " "), unit, number(kpi["mean"]), half)
    options.console().print(table)
