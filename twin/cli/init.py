"""``twin init``: a folder with a plant that runs at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.cli.problems import CONFLICT, Problem, pick

NAME = "init"
NEEDS_ARGUMENTS = True
SCHEMA = "plant.schema.json"
"""For editors: the first line of a plant file points to it."""
EXAMPLES = """\b
Examples:
  twin init demo
  twin init oven --template paint_cure_line"""


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Folder to make.")],
    template: Annotated[
        str, typer.Option(metavar="PLANT", help="Shipped plant to start from.")
    ] = "machining_line",
) -> None:
    """Copy a shipped plant into a folder of your own, as plant.yaml."""
    import os
    import shlex
    import shutil

    from twin.cli.policy_files import SUFFIX, found_policies
    from twin.config import plant_folder, plant_names

    pick(template, plant_names(), "template")
    if not name:
        raise Problem("usage", "no name is given", "twin init demo")
    folder = Path(name)
    if os.path.lexists(folder):
        hint = "choose another name; nothing is ever overwritten"
        raise Problem("conflict", f"{folder} exists already", hint, code=CONFLICT)
    if not folder.parent.is_dir():
        raise Problem("usage", f"{folder.parent} is no folder", "make it first")
    draft = folder.with_name(f".{folder.name}-{os.getpid()}.tmp")
    try:
        draft.mkdir()
        kinds = ["yaml", "truth.yaml", "fixed.json", "rules.json", "training.json"]
        kinds += [f"{name}{SUFFIX}" for name in found_policies(plant_folder() / f"{template}.yaml")]
        for kind in kinds:
            source = plant_folder() / f"{template}.{kind}"
            if source.is_file():
                shutil.copyfile(source, draft / f"plant.{kind}")
        shutil.copyfile(plant_folder() / SCHEMA, draft / SCHEMA)
        names = sorted(path.name for path in draft.iterdir())
        draft.rename(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        # Nobody knows the draft: what could not be made is the folder that was asked for.
        raise OSError(error.errno, error.strerror or str(error), str(folder)) from error
    typer.echo(f"{folder}: {', '.join(names)}", err=True)
    plant = shlex.quote(str(folder))
    typer.echo(f"next: twin check {plant}", err=True)
    typer.echo(f"then: twin run --plant {plant} --emulate --lockstep --shift 1h", err=True)
