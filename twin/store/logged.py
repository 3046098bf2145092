"""What somebody else logged of a line: a CSV or Parquet file with a column for each signal.

Columns are called as signals are, and ``time_s`` is plant time in seconds. An empty cell is a value
that is not known. Columns that nobody asks for are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twin.config import FileError
from twin.store.recorded import READERS, Columns

TIME = "time_s"


def read_logged(path: Path, names: Sequence[str]) -> Columns:
    """The columns of a file that are among the names, and ``time_s``.

    Raises ``FileError`` for a file that cannot be read, that has none of the columns or one of them
    twice, and for a cell that is no number.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        msg = f"a log is a {' or '.join(READERS)} file"
        raise FileError((), msg, "convert the file", file=str(path))
    try:
        found = read(path, (TIME, *names))
    except OSError as error:
        msg = f"cannot read the file: {error.strerror or error}"
        raise FileError((), msg, "check its path and its permissions", file=str(path)) from error
    if TIME not in found:
        hint = "add it: plant time in seconds, the same that STATION.state_since_s counts"
        raise FileError((), f"there is no column {TIME!r}", hint, file=str(path))
    return found
