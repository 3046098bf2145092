"""What can go wrong at the command line, how it is shown, and with which exit code it ends.

Codes: 0 done; 1 done, and the answer is no; 2 usage or plant file; 3 plant or service out of reach;
4 refused by a guard; 5 conflict with what is; 6 data damaged; 7 a policy is not let near the line;
70 internal; 130 and 143 stopped.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import sys
import traceback
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import typer

NEGATIVE, USAGE, UNREACHABLE, REFUSED, CONFLICT, DAMAGED, UNFIT, INTERNAL = 1, 2, 3, 4, 5, 6, 7, 70
STOPPED = 128
"""Plus the number of the signal."""


_KNOWN = (
    ("twin.store.quarantine", "StoreError", "store", DAMAGED),
    ("twin.equipment.pki", "CertificateError", "certificate", USAGE),
    ("twin.equipment.users", "UsersError", "users", USAGE),
    ("twin.plugins", "RefusedError", "policy", UNFIT),
)
"""Errors that say themselves what to do. Only a module that is loaded already can have raised one."""


OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Of a file that is open already: such an error does not name it."""


class Problem(Exception):  # noqa: N818  (most are the user's business and no fault of the program)
    """One thing that stops a command: its kind, what it is, what to do next, where it is.

    ``place`` is ``file:line`` and ``text`` the line itself, as far as there are such.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        hint: str = "",
        *,
        code: int = USAGE,
        place: str = "",
        text: str = "",
    ) -> None:
        super().__init__(message)
        self.kind, self.message, self.hint, self.code = kind, message, hint, code
        self.place, self.text = place, text

    def __reduce__(self) -> tuple[Any, ...]:
        """How a worker process hands it over."""
        again = partial(Problem, code=self.code, place=self.place, text=self.text)
        return again, (self.kind, self.message, self.hint)

    def block(self) -> str:
        """The problem as people read it."""
        lines = [f"error[{self.kind}]: {self.message}"]
        if self.place:
            lines.append(f"  --> {self.place}")
        if self.text:
            lines.append(f"   |  {self.text.strip()}")
        if self.hint:
            lines.append(f" hint: {self.hint}")
        return "\n".join(lines)

    def record(self) -> str:
        """The same as one line of JSON."""
        fields = {
            "kind": self.kind,
            "message": self.message,
            "place": self.place,
            "text": self.text.strip(),
            "hint": self.hint,
            "exit_code": self.code,
        }
        return json.dumps({"error": fields})


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint: the name that was probably meant, and all that there are."""
    names = list(known)
    meant = difflib.get_close_matches(word, names, n=1)
    question = f"did you mean {meant[0]!r}? " if meant else ""
    return f"{question}there are: {', '.join(names) or 'none'}"


def pick(word: str, known: Iterable[str], what: str) -> str:
    """The word if it is one of the names; a ``Problem`` with a suggestion if not."""
    names = tuple(known)
    if word not in names:
        raise Problem("usage", f"there is no {what} {word!r}", nearest(word, names))
    return word


def damaged(message: str) -> Problem:
    """The record of a run that cannot be trusted."""
    from twin.store.quarantine import RESTORE

    return Problem("damaged", message, RESTORE, code=DAMAGED)


def problem_of(error: Exception) -> Problem:
    """Any exception as a problem; one that nobody foresaw leaves a report file behind."""
    from twin.config import PlantError

    if isinstance(error, Problem):
        return error
    if isinstance(error, PlantError):
        place = error.place if error.file else ""
        message = error.message if place else str(error).removeprefix("plant: ")
        return Problem(error.kind, message, error.hint, place=place, text=error.text)
    for module, name, kind, code in _KNOWN:
        known = getattr(sys.modules.get(module), name, None)
        if known is not None and isinstance(error, known):
            return Problem(kind, str(error), error.hint, code=code)
    sqlite = sys.modules.get("sqlite3")
    if sqlite is not None and isinstance(error, sqlite.DatabaseError):
        return damaged(f"an audit cannot be read: {error}")
    return _of_the_system(error) if isinstance(error, OSError) else _internal(error)


def _of_the_system(error: OSError) -> Problem:
    """A line that cannot be reached, or files that cannot be used."""
    link, hint = sys.modules.get("twin.equipment.opcua_link"), str(getattr(error, "hint", ""))
    if link is not None and isinstance(error, link.WrongServer):
        return Problem("conflict", str(error), hint, code=CONFLICT)
    if isinstance(error, ConnectionRefusedError) and error.errno is None:
        return Problem("refused", str(error), hint, code=REFUSED)  # by us, not by the network
    if isinstance(error, ConnectionError | TimeoutError):
        return Problem("unreachable", str(error) or type(error).__name__, hint, code=UNREACHABLE)
    return _of_a_file(error)


def _of_a_file(error: OSError) -> Problem:
    if isinstance(error, FileExistsError) and not Path(error.filename).is_dir():
        return Problem("file", f"{error.filename} is there, and no folder", "name a folder")
    if error.filename is not None:
        message = f"{error.filename}: {error.strerror or error}"
        return Problem("file", message, "check the path, its permissions and the disk")
    if error.errno in OF_DISKS:
        message = f"cannot write the output: {error.strerror}"
        return Problem("file", message, "check the disk, or the file that it goes to")
    return _internal(error)


def _internal(error: Exception) -> Problem:
    text = "".join(traceback.format_exception(error))
    summary = f"{type(error).__name__}: {error}"
    try:
        path = _report(f"arguments: {sys.argv[1:]}\n\n{text}")
    except OSError:
        return Problem("internal", summary, "the report could not be written", code=INTERNAL)
    return Problem("internal", summary, f"please send us the report {path}", code=INTERNAL)


def _report(text: str) -> Path:
    """Write the report where the user is, or where anybody may write."""
    import tempfile

    name = f"twin-error-{os.getpid()}.txt"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        if os.access(folder, os.W_OK):
            path = folder / name
            path.write_text(text, encoding="utf-8")
            return path
    raise PermissionError(name)


def show(problem: Problem, *, as_json: bool) -> None:
    """The block on standard error; for ``--json`` the same fields on standard output."""
    block = problem.block()
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        head, _, rest = block.partition(": ")
        block = f"{typer.style(head, fg=typer.colors.RED, bold=True)}: {rest}"
    say(block + "\n", err=True)
    say(problem.record() + "\n" if as_json else "")


def say(text: str, *, err: bool = False) -> None:
    """Write to standard output or error. If that takes nothing, all that waits there is dropped.

    Else it would fail once more at the next word, at the latest when the program ends.
    """
    try:
        typer.echo(text, err=err, nl=False)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (sys.stderr if err else sys.stdout).fileno())
        os.close(nowhere)
