"""``twin discover``: a mapping file drafted from what a server shows."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.cli import options
from twin.cli.shift import Shift

NAME = "discover"
NEEDS_ARGUMENTS = True
EXAMPLES = """\b
Examples:
  twin discover opc.tcp://127.0.0.1:4850 --plant demo > demo/plant.mapping.yaml
  twin discover opc.tcp://plc7:4840 --plant demo --pki pki --server-certificate plc7.der"""


def command(
    endpoint: Annotated[
        str, typer.Argument(parser=options.endpoint, metavar="URL", help="opc.tcp://HOST:PORT")
    ],
    plant: options.PlantOption = None,
    pki: options.Pki = None,
    server_certificate: options.ServerCertificate = None,
    insecure: options.Insecure = False,
    as_json: options.Json = False,
) -> None:
    """Draft a mapping of a server's nodes to the signals of a plant; nothing is written to it.

    Each guess carries its score, what could not be told is left open. A person has to look at it.
    """
    import asyncio
    import json

    from twin.cli.trust import Trust, client_security
    from twin.equipment.foreign.discovery import discovered
    from twin.line.tags import line_signals

    shift = Shift(options.chosen_plant(plant))
    signals = line_signals(shift.nominal_line)
    security = client_security(Trust(pki, server_certificate, insecure))
    made = asyncio.run(discovered(endpoint, shift.plant.name, signals, security))
    if as_json:
        told = {"signals": made.signals, "handshake": made.handshake, "open": made.open}
        typer.echo(json.dumps({**told, "unused": made.unused, "namespaces": dict(made.namespaces)}))
    else:
        typer.echo(made.text(), nl=False)
    count = len(made.signals) + len(made.handshake)
    typer.echo(f"{count} guesses, {len(made.open)} open, {len(made.unused)} nodes left", err=True)
    typer.echo(f"next: look at each, then twin check … --against {endpoint} --mapping …", err=True)
