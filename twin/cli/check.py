"""``twin check``: whether a plant file can be used, and whether a live line matches it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import NEGATIVE
from twin.cli.shift import Shift
from twin.cli.trust import Trust, client_security

if TYPE_CHECKING:
    from rich.table import Table

    from twin.config import Plant
    from twin.equipment.foreign.live_check import Row

NAME = "check"
BUILT = "mpc"
"""The controller that is built too: what it has to refuse is told here, and not at the line."""
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin check machining_line
  twin check demo --against opc.tcp://127.0.0.1:4840
  twin check demo --against opc.tcp://plc7:4840 --mapping demo/plant.mapping.yaml
  twin check --schema > plant.schema.json"""


def command(
    plant: options.Plant = None,
    against: Annotated[
        str | None,
        typer.Option(
            parser=options.endpoint,
            metavar="URL",
            show_default=False,
            help="A live line to compare with.",
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of plant files.")
    ] = False,
    mapping: options.Mapping = None,
    pki: options.Pki = None,
    server_certificate: options.ServerCertificate = None,
    insecure: options.Insecure = False,
    as_json: options.Json = False,
) -> None:
    """Validate a plant file with its truth, and build the line and its MPC."""
    import asyncio
    import json

    if schema:
        from twin.config import plant_schema

        typer.echo(json.dumps(plant_schema(), indent=2))
        return
    shift = Shift(options.chosen_plant(plant))
    found = _described(shift)
    if mapping is not None and against is None:
        found["mapping"] = _mapped(shift, mapping)
    if against is not None:
        trust = Trust(pki, server_certificate, insecure)
        found["against"] = against
        rows, problems = asyncio.run(_compared(shift, against, mapping, trust))
        found["rows"] = [row_record(row) for row in rows]
        found["problems"] = problems
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _show(shift, found)
    for problem in found.get("problems", ()):
        typer.echo(f"problem: {problem}", err=True)
    if found.get("problems"):
        raise typer.Exit(NEGATIVE)


def _described(shift: Shift) -> dict[str, Any]:
    """Validate everything there is, and say what it is."""
    from twin.cli.tuned import baseline
    from twin.config import find_plant, load_truth
    from twin.line.model import build_line
    from twin.line.tags import line_signals
    from twin.plugins import find_controller
    from twin.signals import Role

    plant, path = shift.plant, find_plant(shift.place)
    signals = line_signals(shift.nominal_line)
    has_truth = path.with_name(f"{path.stem}.truth.yaml").is_file()
    if has_truth:
        truth = load_truth(shift.place, plant)
        for variant in plant.variants:
            build_line(plant, truth, variant)
        for scenario in plant.scenarios.values():
            build_line(plant, truth, mismatch=scenario.model_mismatch)
    tuned = baseline(shift.place, plant, shift.demanded, shift.variant)
    find_controller(BUILT)(shift.nominal_line, tuned.point)
    return {
        "plant": plant.name,
        "title": plant.title,
        "file": str(path),
        "plant_hash": plant.config_hash,
        "stations": len(plant.stations),
        "buffers": len(plant.buffers),
        "signals": {role.value: sum(s.role is role for s in signals) for role in Role},
        "scenarios": list(plant.scenarios),
        "variants": list(plant.variants),
        "truth": has_truth,
        "tuned": not tuned.doubt,
        "notes": [*_doubts(plant), *([tuned.doubt] if tuned.doubt else [])],
    }


def _doubts(plant: Plant) -> list[str]:
    """What can be so, and seldom is."""
    return [
        f"{station.name}: standby takes {power.standby_kw.value:g} kW, and idling {power.idle_kw.value:g} kW: "
        "to sleep would cost energy"
        for station in plant.stations
        if (power := station.power).standby_kw.value > power.idle_kw.value
    ]


def _mapped(shift: Shift, path: Path) -> dict[str, Any]:
    """What a mapping file says, and leaves open, without a server."""
    from twin.config import load_mapping
    from twin.equipment.foreign import translation
    from twin.line.tags import line_signals

    signals = line_signals(shift.nominal_line)
    mapping = load_mapping(path, shift.plant, signals)
    translation.check(mapping, signals)
    undecided, guesses = mapping.undecided(signals), mapping.guesses()
    return {"file": str(path), "undecided": list(undecided), "guesses": guesses}


async def _compared(
    shift: Shift, url: str, mapping: Path | None, trust: Trust
) -> tuple[tuple[Row, ...], list[str]]:
    """The live line, row by row, and what is wrong with it."""
    from twin.config import load_mapping
    from twin.equipment.foreign.discovery import checked
    from twin.equipment.opcua_link import WrongServer
    from twin.line.tags import line_signals

    plant, line = shift.plant, shift.nominal_line
    signals = line_signals(line)
    bound = None if mapping is None else load_mapping(mapping, plant, signals)
    try:
        rows = await checked(url, plant, line, signals, bound, client_security(trust))
    except WrongServer as error:
        return (), [str(error)]
    worst = sorted((row for row in rows if row.is_problem), key=lambda row: row.rank)
    return rows, [f"{row.name}: {row.todo}" for row in worst]


def row_record(row: Row) -> dict[str, Any]:
    """A row as JSON has it: a value that is not known is null."""
    import math
    from dataclasses import asdict

    record = asdict(row)
    record["value"] = row.value if math.isfinite(row.value) else None
    return record


def _table(rows: list[dict[str, Any]]) -> Table:
    """The live line: what somebody has to do first, then the rest in the plant's order."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for name in ("", "signal", "node", "type", "unit", "access", "value", "to do"):
        table.add_column(name)
    fine = ("ok", "absent")
    for row in sorted(rows, key=lambda row: row["verdict"] in fine):
        value = "" if row["value"] is None else f"{row['value']:.6g}"
        cells = (row["verdict"], row["name"], row["node"], row["type"], row["unit"])
        table.add_row(*(Text(cell) for cell in (*cells, row["access"], value, row["todo"])))
    return table


def _show(shift: Shift, found: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    console = options.console()
    signals = ", ".join(f"{count} {role}" for role, count in found["signals"].items())
    console.print(f"{found['title']} ({found['plant']}, {found['plant_hash']})", markup=False)
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("station", "model", "from", "to", "setpoints"):
        table.add_column(name)
    for station in shift.plant.stations:
        setpoints = ", ".join(station.setpoints) or "–"
        row = (station.name, station.model, station.takes_from, station.gives_to, setpoints)
        table.add_row(*row)
    console.print(table)
    console.print(f"signals: {signals}", markup=False)
    console.print(f"scenarios: {', '.join(found['scenarios'])}", markup=False)
    console.print(f"truth: {'valid' if found['truth'] else 'none beside it'}", markup=False)
    for note in found["notes"]:
        console.print(f"note: {note}", markup=False)
    if mapped := found.get("mapping"):
        open_, guesses = len(mapped["undecided"]), len(mapped["guesses"])
        console.print(f"mapping: {open_} undecided, {guesses} guesses", markup=False)
    if found.get("rows"):
        console.print(_table(found["rows"]))
    if "problems" in found and not found["problems"]:
        console.print(f"{found['against']}: every signal is there and readable", markup=False)
