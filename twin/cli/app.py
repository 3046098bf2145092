"""All verbs under one name, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from twin.cli import (
    attach,
    audit,
    cert,
    chaos,
    check,
    discover,
    emulate,
    evaluate,
    identify,
    init,
    limits,
    loop,
    policy,
    replay,
    report,
    run,
    simulate,
    stopped_by,
    store,
    sweep,
    train,
    tune,
    user,
    whatif,
)
from twin.cli.problems import Problem, problem_of, say, show

OF_THE_PARSER: type[Exception] = typer.BadParameter.__mro__[2]
"""The base of all usage errors, which the library shows by itself."""


class Verbs(TyperGroup):
    """The group of verbs: whatever a verb raises ends as one block of text and an exit code."""

    def make_context(self, *given: Any, **more: Any) -> Any:
        """Read the arguments; the parser by itself would call an interrupt a failure."""
        try:
            return super().make_context(*given, **more)
        except KeyboardInterrupt as error:
            raise typer.Exit(stopped_by(error)) from None
        except OSError as error:  # help that cannot be written
            if error.errno == errno.EPIPE:
                raise
            raise _told(error, as_json=False) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        as_json = "--json" in ctx.args  # the parser may stumble before it comes to that
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except OF_THE_PARSER as error:
            if as_json:
                say(Problem("usage", cast("Any", error).format_message()).record() + "\n")
            raise
        except KeyboardInterrupt as error:
            raise typer.Exit(stopped_by(error)) from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # who reads no more is told nothing: the library ends there
            raise _told(error, as_json=as_json or bool(ctx.meta.get("json"))) from None


def _told(error: Exception, *, as_json: bool) -> typer.Exit:
    """Say what went wrong; how the program ends then."""
    problem = problem_of(error)
    show(problem, as_json=as_json)
    return typer.Exit(problem.code)


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help is on the screen in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nStart here:\n  twin init demo\n  twin run --plant demo --emulate --lockstep",
)


def _version(value: bool) -> None:
    if value:
        from twin import __version__

        typer.echo(f"twin {__version__}")
        raise typer.Exit


@app.callback()
def twin(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Digital twin of production lines with a closed control loop over OPC UA."""


for verb in (
    init,
    check,
    discover,
    simulate,
    sweep,
    whatif,
    attach,
    identify,
    emulate,
    run,
    evaluate,
    replay,
    report,
    tune,
    train,
):
    app.command(verb.NAME, epilog=verb.EXAMPLES, no_args_is_help=verb.NEEDS_ARGUMENTS)(verb.command)
for group, verbs in (
    ("loop", loop.verbs),
    ("limits", limits.verbs),
    ("audit", audit.verbs),
    ("cert", cert.verbs),
    ("user", user.verbs),
    ("policy", policy.verbs),
    ("store", store.verbs),
    ("chaos", chaos.verbs),
):
    app.add_typer(verbs, name=group)
