"""``twin policy``: trained policies as files: look at them, sign and approve them, put them in force."""

from __future__ import annotations

import importlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import CONFLICT, Problem

if TYPE_CHECKING:
    from twin.cli.shift import Shift

DESK = "controllers.policy.desk"
"""By name, as controllers are: the twin does not import them."""
EXAMPLES = """\b
Examples:
  twin policy verify --plant demo
  twin policy approve new.policy --plant demo --to shadow --reason "beats fixed on 100 shifts"
  twin policy rollback --plant demo --reason "scrap went up" """


class State(StrEnum):
    """How far a policy may act."""

    draft = "draft"
    shadow = "shadow"
    advisory = "advisory"
    closed = "closed"


Bundle = Annotated[
    Path | None,
    typer.Argument(
        metavar="[BUNDLE]", exists=True, dir_okay=False, show_default=False,
        help="A bundle; else the one in force for the plant.",
    ),
]  # fmt: skip
Controller = Annotated[
    str, typer.Option(metavar="NAME", help="Whose bundle is meant: rl, bc, residual.")
]
Key = Annotated[Path | None, options.existing_file("--key", help="Private key to sign with.")]
Reason = Annotated[str, typer.Option(help="Why; it goes on record.")]

verbs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=EXAMPLES,
    help="Trained policies as files: export, inspect, verify, sign, approve, install, rollback, keys, trust.",
)


@verbs.command(epilog="\b\nExample:\n  twin policy export runs/ppo-1 --plant demo --to demo.policy")
def export(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="A training run.")
    ],
    to: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the bundle.")],
    plant: options.PlantOption = None,
    as_json: options.Json = False,
) -> None:
    """Make a bundle of what a training run has learned; a draft."""
    options.refuse_unwritable(to)
    place = _Place(plant)
    with place.noted(f"export of {folder}"):
        _say(place.desk().export(folder, to), as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin policy inspect demo.policy --json")
def inspect(
    bundle: Bundle = None,
    plant: options.PlantOption = None,
    controller: Controller = "rl",
    as_json: options.Json = False,
) -> None:
    """Say what a bundle says of itself."""
    path = bundle or _Place(plant).bundle(controller)
    _say(importlib.import_module(DESK).inspect(path), as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin policy verify demo.policy --plant demo")
def verify(
    bundle: Bundle = None,
    plant: options.PlantOption = None,
    controller: Controller = "rl",
    require_signed: Annotated[
        bool, typer.Option("--require-signed", help="Refuse it without a trusted signature.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Load a bundle as a run would, replay its check vector, and say whether it may be used."""
    place = _Place(plant)
    path = bundle or place.bundle(controller)
    with place.noted(f"verify of {path}"):
        desk = place.desk()
        found = desk.load(path, must_be_signed=require_signed or bool(desk.keys))
    _say(importlib.import_module(DESK).summary(found.bundle), as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin policy sign demo.policy --plant demo --key ada.key")
def sign(
    key: Annotated[
        Path, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Private key.")
    ],
    bundle: Bundle = None,
    plant: options.PlantOption = None,
    controller: Controller = "rl",
    as_json: options.Json = False,
) -> None:
    """Answer for a bundle with a private key. It is verified first, and changed in its place."""
    place = _Place(plant)
    path = bundle or place.bundle(controller)
    with place.noted(f"sign of {path}"):
        place.note("sign", str(path))
        _say(place.desk().sign(path, key, place.shelf(controller)), as_json=as_json)


@verbs.command(
    epilog='\b\nExample:\n  twin policy approve demo.policy --plant demo --to shadow --reason "…"'
)
def approve(
    to: Annotated[State, typer.Option(help="How far it may act from now on.")],
    reason: Reason,
    bundle: Bundle = None,
    plant: options.PlantOption = None,
    controller: Controller = "rl",
    key: Key = None,
    as_json: options.Json = False,
) -> None:
    """Let a policy act one step further, or any number of steps less."""
    import getpass

    from twin.clock import utc_now

    place = _Place(plant)
    path = bundle or place.bundle(controller)
    with place.noted(f"approve of {path} as {to}"):
        place.note("approve", f"{path} as {to}: {reason}")
        step = {"state": str(to), "who": getpass.getuser(), "reason": reason, "utc": utc_now()}
        changed = place.desk().approve(path, step, key, place.shelf(controller))
        _say(changed, as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin policy install demo.policy --plant demo --reason '…'")
def install(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", exists=True, dir_okay=False, help="An approved one.")
    ],
    reason: Reason,
    plant: options.PlantOption = None,
    controller: Controller = "rl",
    as_json: options.Json = False,
) -> None:
    """Put an approved policy in force for a plant. Loops that run keep the one that they have."""
    place = _Place(plant)
    with place.noted(f"install of {bundle}"):
        place.note("install", f"{bundle} for {controller}: {reason}")
        _say(place.desk().install(bundle, place.shelf(controller)), as_json=as_json)


@verbs.command(epilog='\b\nExample:\n  twin policy rollback --plant demo --reason "scrap went up"')
def rollback(
    reason: Reason,
    plant: options.PlantOption = None,
    controller: Controller = "rl",
    as_json: options.Json = False,
) -> None:
    """Put the policy in force again that was so before. Loops that run keep the one that they have."""
    place = _Place(plant)
    with place.noted(f"rollback of {controller}"):
        place.note("rollback", f"{controller}: {reason}")
        _say(place.desk().rollback(place.shelf(controller)), as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin policy keys ada --to secrets")
def keys(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose keys.")],
    to: Annotated[Path, typer.Option(metavar="DIR", file_okay=False, help="Where to put them.")],
    as_json: options.Json = False,
) -> None:
    """Make a pair of keys: NAME.key is its owner's alone, NAME.pub is for those who trust it."""
    if not name.isidentifier():
        raise Problem("usage", f"{name!r} cannot be the name of a key", "letters, digits and _")
    try:
        found = importlib.import_module(DESK).new_keys(to, name)
    except FileExistsError as error:
        raise Problem(
            "conflict", f"{error.filename} is there already", "another name", code=CONFLICT
        ) from error
    _say(found, as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin policy trust ada.pub --plant demo")
def trust(
    key: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A public key.")
    ],
    plant: options.PlantOption = None,
    as_json: options.Json = False,
) -> None:
    """Trust who holds a key; from then on a run takes signed policies only."""
    from twin.cli.policy_files import TRUSTED, policies_folder

    place = _Place(plant)
    text = key.read_text("utf-8", "replace")
    with place.noted(f"trust of {key}"):
        known = importlib.import_module(DESK).checked_key(text)
        place.note("trust", f"{key.name} {known}")
        folder = policies_folder(place.plant_file) / TRUSTED
        folder.mkdir(exist_ok=True)
        (folder / f"{known}.pub").write_text(text, "utf-8")
    _say({"trusted": known}, as_json=as_json)


class _Place:
    """A plant with its file, from which all other paths follow."""

    def __init__(self, given: str | None) -> None:
        from twin.cli.shift import Shift
        from twin.config import find_plant

        self.shift: Shift = Shift(options.chosen_plant(given))
        self.plant_file = find_plant(self.shift.place)

    def desk(self) -> Any:
        from twin.cli.policy_files import trusted_keys

        return importlib.import_module(DESK).Desk(
            self.shift.nominal_line, trusted_keys(self.plant_file)
        )

    def bundle(self, controller: str) -> Path:
        """The bundle in force. ``Problem`` if there is none."""
        from twin.cli.policy_files import bundle_path

        path = bundle_path(self.plant_file, controller)
        if not path.is_file():
            msg = f"no policy is in force for {controller!r}: there is no {path}"
            raise Problem("usage", msg, "name a bundle, or: twin policy install BUNDLE")
        return path

    def shelf(self, controller: str) -> tuple[Path, Path]:
        """The file in force, and the folder of those before."""
        from twin.cli.policy_files import bundle_path, policies_folder

        history = policies_folder(self.plant_file) / controller
        return bundle_path(self.plant_file, controller), history

    def note(self, verb: str, reason: str) -> None:
        """Put it on record before it is done."""
        from twin.cli.policy_files import note

        note(self.plant_file, verb, reason)

    def noted(self, what: str) -> Any:
        """A block whose refusals go on record."""
        from twin.cli.policy_files import refusals_noted

        return refusals_noted(self.plant_file, what)


def _say(found: dict[str, Any], *, as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(found, sort_keys=True))
        return
    for name, value in found.items():
        if not isinstance(value, dict):
            typer.echo(f"{name}: {'–' if value is None else value}")
    for name, value in found.items():
        if isinstance(value, dict):
            typer.echo(f"{name}: {json.dumps(value, indent=2, sort_keys=True)}")
