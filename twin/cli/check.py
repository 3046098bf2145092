"""``twin check``: whether a plant file can be used, and whether a live line matches it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import NEGATIVE
from twin.cli.shift import Shift
from twin.cli.trust import Trust, client_security

NAME = "check"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin check machining_line
  twin check demo --against opc.tcp://127.0.0.1:4840
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
    pki: options.Pki = None,
    server_certificate: options.ServerCertificate = None,
    insecure: options.Insecure = False,
    as_json: options.Json = False,
) -> None:
    """Validate a plant file with its truth, and build the line."""
    import asyncio
    import json

    if schema:
        from twin.config import plant_schema

        typer.echo(json.dumps(plant_schema(), indent=2))
        return
    shift = Shift(options.chosen_plant(plant))
    found = _described(shift)
    if against is not None:
        trust = Trust(pki, server_certificate, insecure)
        found["against"] = against
        found["problems"] = asyncio.run(_compared(shift, against, trust))
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
        "notes": [tuned.doubt] if tuned.doubt else [],
    }


async def _compared(shift: Shift, url: str, trust: Trust) -> list[str]:
    """What is wrong with the live line: another plant file, missing or unreadable nodes."""
    from twin.equipment.opcua import OpcUaEquipment, WrongServer
    from twin.line.tags import line_signals
    from twin.signals import Quality

    signals = line_signals(shift.nominal_line)
    security = client_security(trust)
    plant_hash, problems = shift.plant.config_hash, []
    try:
        async with OpcUaEquipment.connect(
            url, signals, plant_hash=plant_hash, security=security
        ) as line:
            missing = line.missing
            problems += [f"{name}: there is no such node" for name in missing]
            reading = await line.read()
            for signal, status in zip(signals, reading.status.tolist(), strict=True):
                if status & int(Quality.BAD | Quality.MISSING) and signal.name not in missing:
                    problems.append(f"{signal.name}: has no good value")
    except WrongServer as error:
        problems.append(str(error))
    return problems


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
    if "problems" in found and not found["problems"]:
        console.print(f"{found['against']}: every signal is there and readable", markup=False)
