"""The emulator as a process of its own: ``python -m twin.equipment.emulator_process PLANT``.

It prints one line of JSON with endpoint and process id when it serves, and stops on SIGTERM, on
SIGINT and, with ``--with-parent``, when its standard input ends: then a parent that dies in any way
leaves no orphan.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from twin.config import PlantError, load_plant, load_truth
from twin.equipment.plc import Plc
from twin.kernels import draws
from twin.line.model import build_line
from twin.line.scenario import build_table, scenario_of


def load_plc(
    name_or_path: str,
    seed: int,
    *,
    hours: float,
    scenario: str = "nominal",
    variant: str = "nominal",
    utilisation: float | None = None,
) -> Plc:
    """The true line of a plant file with its PLC, at plant time 0; see ``build_table``.

    ``hours`` is how far ahead disturbances and orders are drawn. Raises ``PlantError``.
    """
    plant = load_plant(name_or_path)
    truth = load_truth(name_or_path, plant)
    course = scenario_of(plant, scenario)
    line = build_line(plant, truth, variant, course.model_mismatch)
    table = build_table(plant, seed, draws.PLANT, hours, scenario, utilisation)
    return Plc(line, table, seed, course)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a plant until told to stop; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        plc = load_plc(
            arguments.plant,
            arguments.seed,
            hours=arguments.hours,
            scenario=arguments.scenario,
            variant=arguments.variant,
            utilisation=arguments.utilisation,
        )
        asyncio.run(_run(plc, arguments))
    except (PlantError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _run(plc: Plc, arguments: argparse.Namespace) -> None:
    from twin.equipment.emulator import serve
    from twin.equipment.opcua_security import ServerSecurity, read_users, users_from_environment

    # The standard address space is a hundred thousand objects that stay: searching them for garbage
    # would take a third of the start, and a pause in each later full collection.
    gc.disable()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.with_parent:
        threading.Thread(target=_await_end_of_input, args=(loop, stop), daemon=True).start()
    security = None
    if arguments.pki is not None:
        users = read_users(arguments.users) if arguments.users else users_from_environment()
        security = ServerSecurity(arguments.pki, users)
    elif arguments.insecure:
        sys.stderr.write("WARNING: no encryption and no users; for tests on this machine only\n")

    def ready(endpoint: str) -> None:
        gc.freeze()
        gc.enable()
        told = {"endpoint": endpoint, "pid": os.getpid(), "plant": plc.line.plant.name}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()

    serving = asyncio.create_task(
        serve(
            plc,
            arguments.host,
            arguments.port,
            lockstep=arguments.lockstep,
            speed=arguments.speed,
            insecure=arguments.insecure,
            security=security,
            write_log=arguments.write_log,
            ready=ready,
        )
    )
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _await_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop has ended before us
        loop.call_soon_threadsafe(stop.set)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="twin.equipment.emulator_process")
    parser.add_argument("plant", help="name of a shipped plant, or a plant file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--scenario", default="nominal")
    parser.add_argument("--variant", default="nominal")
    parser.add_argument("--utilisation", type=float)
    parser.add_argument("--lockstep", action="store_true", help="time moves by Advance only")
    parser.add_argument("--speed", type=float, default=1.0, help="plant seconds a wall second")
    parser.add_argument("--insecure", action="store_true", help="no encryption, this machine only")
    parser.add_argument("--pki", type=Path, help="folder of certificates")
    parser.add_argument("--users", type=Path, help="file of user:password, mode 600")
    parser.add_argument("--write-log", type=Path, help="JSON lines of all that the PLC receives")
    parser.add_argument("--with-parent", action="store_true", help="stop when stdin ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
