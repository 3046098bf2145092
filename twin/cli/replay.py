"""``twin replay``: every recorded turn computed again, and compared bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from twin.cli import options
from twin.cli.problems import NEGATIVE, Problem, damaged, pick

if TYPE_CHECKING:
    from twin.cli.record import RunRecord

NAME = "replay"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin replay
  twin replay runs/machining_line-1a2b3c4d-001
  twin replay machining_line-1a2b3c4d-001 --out runs --json"""


def command(
    run: options.Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Compute the decisions of a run again from what was read, and compare."""
    import json

    from twin.cli.record import recorded_controllers, run_of

    record = run_of(run, out)
    found = [replayed(record, name) for name in recorded_controllers(record)]
    if as_json:
        typer.echo(json.dumps({"run": record.folder.run_id, "controllers": found}))
    for one in found:
        place, difference = one["first_difference"], ""
        if place is not None:
            difference = (
                f"; first difference in turn {place['turn']}, {place['what']}: "
                f"recorded {place['recorded']}, computed {place['computed']}"
            )
        typer.echo(f"{one['controller']}: {one['turns']} turns{difference}", err=as_json)
    if any(one["first_difference"] is not None for one in found):
        raise typer.Exit(NEGATIVE)
    typer.echo("all decisions are the same, bit for bit", err=True)


def replayed(record: RunRecord, controller: str) -> dict[str, Any]:
    """One controller's turns again. ``Problem`` where the audit cannot be trusted."""
    import json

    from twin.cli.policy_files import as_recorded
    from twin.cli.record import recorded_cycles
    from twin.cli.shift import Shift
    from twin.config import TunedPoint
    from twin.cycle import Cycle
    from twin.plugins import controller_names, find_controller
    from twin.store.audit import Audit

    arguments = record.arguments
    plant_file = str(record.folder.folder / "plant.yaml")
    shift = Shift(plant_file, arguments["seed"], variant=arguments["variant"])
    tuned = as_recorded(TunedPoint.model_validate(arguments["tuned"]), record.folder.folder)
    pick(controller, controller_names(), "controller")
    loop = shift.loop(find_controller(controller), tuned)
    number = 0
    difference: dict[str, object] | None = None
    with Audit(record.of(controller).audit, read_only=True) as audit:
        _trust(audit, record.of(controller).audit)
        for text in recorded_cycles(audit, record, controller):
            number += 1
            try:
                inputs = Cycle.inputs_from_json(text)
                recorded = json.loads(text)
            except (ValueError, KeyError, TypeError) as error:
                raise _damaged(controller, number, repr(error)) from error
            if recorded["number"] != number:
                raise _damaged(controller, number, f"turn {recorded['number']} stands there")
            computed = json.loads(loop.step(*inputs).to_json())
            differing = first_difference(recorded["decision"], computed["decision"])
            if differing is None and "drift" in recorded:  # runs of old had none
                differing = first_difference(recorded["drift"], computed["drift"], "drift")
            if differing is not None:
                difference = {"turn": number, **differing}
                break
    return {"controller": controller, "turns": number, "first_difference": difference}


def _trust(audit: Any, path: Path) -> None:
    findings = audit.verify()
    if findings:
        first = f"{findings[0].where}: {findings[0].text}"
        msg = f"{path}: {len(findings)} things are wrong, the first: {first}"
        raise damaged(msg)
    if audit.doubt:
        typer.echo(f"note: {audit.doubt}", err=True)


def _damaged(controller: str, number: int, why: str) -> Problem:
    return damaged(f"{controller}: turn {number} is not whole: {why}")


def first_difference(recorded: Any, computed: Any, place: str = "") -> dict[str, str] | None:
    """The first value in which two decisions differ, by its exact text; order counts."""
    import json

    if isinstance(recorded, dict) and isinstance(computed, dict):
        if list(recorded) != list(computed):
            recorded, computed = list(recorded), list(computed)
        for name in recorded if isinstance(recorded, dict) else ():
            found = first_difference(recorded[name], computed[name], f"{place}.{name}".lstrip("."))
            if found is not None:
                return found
    theirs, ours = json.dumps(recorded), json.dumps(computed)
    return None if ours == theirs else {"what": place, "recorded": theirs, "computed": ours}
