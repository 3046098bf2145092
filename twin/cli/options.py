"""Options that several verbs share, and how their values are read: strictly."""

from __future__ import annotations

import math
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.problems import Problem, nearest

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_H = 24.0 * 90
"""Longer runs than this are mistakes in typing."""
FASTEST = 1000.0
"""A scan of a paced line is then 100 s of its time; beyond that nothing is left to control."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m|min|s|d)")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}


def hours(given: str | float) -> float:
    """A duration like ``8h``, ``30m``, ``90s`` or ``1h30m``, in hours."""
    text = f"{given}h" if isinstance(given, float) else given  # a default comes as a number
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        msg = f"{text!r} is no duration; write 8h, 30m, 90s or 1h30m"
        raise typer.BadParameter(msg)
    found = sum(float(number) * _SECONDS[unit] for number, unit in parts) / 3600.0
    if not 0.0 < found <= LONGEST_H:
        msg = f"{text!r} must be longer than nothing and at most {LONGEST_H:g} hours"
        raise typer.BadParameter(msg)
    return found


def bare_hours(given: str | float) -> float:
    """The same, where a bare number means hours."""
    is_bare = isinstance(given, str) and re.fullmatch(r"\d+(\.\d+)?", given)
    return hours(f"{given}h" if is_bare else given)


def positive(given: str | float) -> float:
    """A finite number above zero."""
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0.0):
        msg = f"{str(given)!r} is no number above zero"
        raise typer.BadParameter(msg)
    return number


def speed(given: str | float) -> float:
    """How many times faster than the wall clock a paced line runs."""
    factor = positive(given)
    if factor > FASTEST:
        msg = f"{str(given)!r} is too fast for a paced line, at most {FASTEST:g}; "
        msg += "as fast as it goes: --lockstep"
        raise typer.BadParameter(msg)
    return factor


def folder(given: str | Path) -> Path:
    """A folder that there is or that can be made. ``Problem`` for a file or no name."""
    if not str(given):
        raise Problem("usage", "--out names no folder", "leave it out for runs/")
    path = Path(given)
    if path.exists() and not path.is_dir():
        raise Problem("usage", f"--out {given} is a file; runs need a folder", "name a folder")
    return path


def refuse_unwritable(path: Path | None, *, is_folder: bool = False) -> None:
    """A ``Problem`` for what could not be written in the end, before any work is done: a file, or in a folder."""
    import tempfile

    if path is None:
        return
    if not path.parent.is_dir():
        msg = f"there is no folder {str(path.parent)!r} for {path.name}"
        raise Problem("file", msg, "make it first")
    if path.is_dir() and not is_folder:
        raise Problem("file", f"{path} is a folder", "name a file in it")
    try:
        with tempfile.TemporaryFile(dir=path if path.is_dir() else path.parent):
            pass
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}"
        raise Problem("file", msg, "name a file elsewhere") from error


def utilisation(given: str | float) -> float:
    """A share of what the line can sustain."""
    share = positive(given)
    if share > 1.5:
        msg = f"{str(given)!r} must be a share of the capacity, at most 1.5; 0.8 means 80 %"
        raise typer.BadParameter(msg)
    return share


def percent(given: str | float) -> float:
    """A share written as a percentage, ``1%`` or ``0.5%``: above nothing and at most half."""
    text = str(given)
    share = positive(text.removesuffix("%").strip()) / 100.0
    if not text.endswith("%") or share > 0.5:
        msg = f"{text!r} is no percentage up to 50 %; write 1% or 0.5%"
        raise typer.BadParameter(msg)
    return share


def endpoint(given: str) -> str:
    """The address of an OPC UA server."""
    from urllib.parse import urlparse

    address = urlparse(given)
    try:
        whole = address.scheme == "opc.tcp" and address.hostname and address.port != 0
    except ValueError:  # of a port that is none
        whole = False
    if not whole:
        msg = f"{given!r} is no OPC UA address; write opc.tcp://HOST:PORT"
        raise typer.BadParameter(msg)
    return given


def _json(ctx: typer.Context, value: bool) -> bool:
    ctx.meta["json"] = value
    return value


Plant = Annotated[
    str | None,
    typer.Argument(
        metavar="PLANT",
        envvar="TWIN_PLANT",
        show_default=False,
        help="Name of a shipped plant, plant file, or its folder; else the nearest plant.yaml.",
    ),
]
PlantOption = Annotated[
    str | None,
    typer.Option(
        "--plant",
        metavar="PLANT",
        envvar="TWIN_PLANT",
        show_default=False,
        help="Name of a shipped plant, plant file, or its folder; else the nearest plant.yaml.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", callback=_json, help="Results as JSON on standard output.")
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, metavar="N", help="Key of the plant's luck.")
]
Scenario = Annotated[str, typer.Option(metavar="NAME", help="Scenario of the plant file.")]
Variant = Annotated[
    str, typer.Option(metavar="NAME", help="Variant of the plant file: low, nominal, high.")
]
Engine = Annotated[
    str, typer.Option(metavar="NAME", help="auto, simpy or compiled: the same figures.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, max=256, show_default="all cores", help="Processes.")
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        show_default=False,
        help="Take a Ray cluster instead: HOST:PORT, or auto.",
    ),
]
ServerCertificate = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", show_default=False, help="The server's; else those trusted before."
    ),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="No encryption and no user: this machine only, and shown."),
]
Utilisation = Annotated[
    float | None,
    typer.Option(
        parser=utilisation,
        metavar="SHARE",
        show_default=False,
        help="Demand as a share of the capacity; else the plant file's.",
    ),
]
Saturated = Annotated[
    bool, typer.Option("--saturated", help="Orders without end, blanks at the fastest takt.")
]
Speed = Annotated[
    float, typer.Option(parser=speed, metavar="N", help="Plant seconds in a wall second.")
]
existing_file = partial(
    typer.Option, metavar="FILE", exists=True, dir_okay=False, show_default=False
)
"""The option of a file that has to be there."""
Disturbances = Annotated[
    list[Path] | None,
    existing_file(
        help="Parquet or CSV file to replay onto the plant's recorded disturbances; repeatable."
    ),
]
Mapping = Annotated[
    Path | None,
    existing_file(help="How a foreign server's nodes are the plant's signals; see twin discover."),
]
Run = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", show_default=False, help="Folder of a run, or its name; else the newest."
    ),
]
Out = Annotated[Path, typer.Option(parser=folder, metavar="DIR", help="Folder of all runs.")]
Pki = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", show_default=False, help="Folder of certificates; else this account's."
    ),
]


def chosen_plant(given: str | None) -> str:
    """The plant that was named, or the nearest ``plant.yaml`` upward. ``Problem`` if none."""
    from twin.config import plant_names

    if given is None:
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "plant.yaml").is_file():
                return str(folder / "plant.yaml")
        hint = f"name one: {', '.join(plant_names())}, or begin with `twin init demo`"
        raise Problem("usage", "no plant is named and there is no plant.yaml here or above", hint)
    if given not in plant_names() and not Path(given).exists():
        hint = f"{nearest(given, plant_names())}; or give the path of a plant file"
        raise Problem("plant", f"there is no plant {given!r}", hint)
    return given


def console(*, stderr: bool = False) -> Console:
    """A rich console that obeys NO_COLOR, wide enough where no screen limits it."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 120
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(stderr=stderr, no_color=plain, highlight=False, width=width)
