"""Recorded disturbances: columns of Parquet and CSV files that are replayed onto a plant.

The plant file says which column becomes which disturbance, how far apart its rows are, and how its
numbers are mapped; ``build_table`` does the mapping. Rows count from 1, the line of names apart.
"""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from twin.config import FileError, Plant, PlantError
from twin.printable import printable

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

    from numpy.typing import NDArray

Columns: TypeAlias = "dict[str, NDArray[np.float64]]"

LARGEST = 1e15
"""Beyond this, either way, no quantity of a plant lies; its square and its sums are still finite."""
DIVIDERS = ",;\t|"
NAMES_SHOWN, LONGEST_SHOWN = 20, 40
FILL = "unknown is not zero: fill or cut the gap before replaying the file"


def read_recorded(paths: Sequence[Path], plant: Plant) -> Columns:
    """The columns that the plant file names as ``recorded``, by disturbance, row after row.

    A disturbance whose column is in none of the files is not in the answer: it keeps the course
    that the plant file describes. Raises ``FileError`` for a file that cannot be read or holds
    none of the columns, a column in two places, one that is not numeric, and unknown values;
    ``PlantError`` where the plant file names none.
    """
    wanted = {
        name: spec.recorded.column
        for name, spec in plant.disturbances.items()
        if spec.recorded is not None
    }
    if not wanted:
        hint = "add `recorded: {column: NAME}` to a disturbance of the plant file"
        raise PlantError(("disturbances",), f"{plant.name} has no recorded disturbance", hint)
    found: Columns = {}
    for path in paths:
        for name, values in _columns(path, wanted).items():
            if name in found:
                msg = f"column {wanted[name]!r} for {name} is in two of the files"
                raise FileError((), msg, "leave one of them out", file=str(path))
            found[name] = values
    return found


def _columns(path: Path, wanted: Mapping[str, str]) -> Columns:
    """The wanted columns of one file by disturbance, every value a number that can be."""
    read = READERS.get(path.suffix.lower())
    if read is None:
        msg = f"recorded disturbances are {' or '.join(READERS)} files"
        raise FileError((), msg, "convert the file", file=str(path))
    try:
        found = read(path, tuple(dict.fromkeys(wanted.values())))
    except OSError as error:
        msg = f"cannot read the file: {error.strerror or error}"
        raise FileError((), msg, "check its path and its permissions", file=str(path)) from error
    for column, values in found.items():
        _refuse_unknown(path, column, values)
    return {name: found[column] for name, column in wanted.items() if column in found}


def _here(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Those of the wanted columns that the file has, each of them once."""
    here = [column for column in wanted if column in names]
    if not here:
        shown = ", ".join(printable(name, LONGEST_SHOWN) for name in names[:NAMES_SHOWN])
        shown += " …" if len(names) > NAMES_SHOWN else ""
        asked = ", ".join(repr(column) for column in wanted[:NAMES_SHOWN])
        asked += " …" if len(wanted) > NAMES_SHOWN else ""
        msg = f"there is no column {asked}"
        raise FileError((), msg, f"the file has: {shown}", file=str(path))
    for column in here:
        if list(names).count(column) > 1:
            hint = "give each column a name of its own"
            raise FileError((), f"two columns are called {column!r}", hint, file=str(path))
    return here


def _of_csv(path: Path, wanted: Sequence[str]) -> Columns:
    """Columns of a text file whose first line has the names."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            unquoted = re.sub(r'"[^"]*"', "", head)
            divider = max(DIVIDERS, key=unquoted.count)
            file.seek(0)
            rows = csv.reader(file, delimiter=divider, strict=True)
            names = [name.strip() for name in next(rows, [])]
            if not names:
                hint = "begin with a line of names; then comes a row a line"
                msg = "the first line is empty" if head else "the file is empty"
                raise FileError((), msg, hint, file=str(path))
            places = {column: names.index(column) for column in _here(path, names, wanted)}
            return _numbers(path, rows, len(names), places)
    except UnicodeDecodeError as error:
        hint = "save it as CSV in UTF-8, or give a Parquet file"
        raise FileError((), "the file is not UTF-8 text", hint, file=str(path)) from error
    except csv.Error as error:
        hint = "give a line of names, then one row a line, and close every quote"
        raise FileError((), f"the file is no CSV: {error}", hint, file=str(path)) from error


def _numbers(path: Path, rows: CsvReader, width: int, places: Mapping[str, int]) -> Columns:
    """The columns at these places, row by row; empty lines at the end do not count."""
    found = {column: array("d") for column in places}
    empty = empty_line = 0
    for number, row in enumerate(rows, 1):
        line = rows.line_num
        if not row:
            empty, empty_line = empty or number, empty_line or line
            continue
        if empty:
            msg = f"row {empty} is empty"
            raise FileError((), msg, FILL, file=str(path), line=empty_line)
        if len(row) != width:
            msg = f"row {number} has {len(row)} cells, and the line of names {width}"
            hint = "give every row a cell for each name; quote a text that holds the divider"
            raise FileError((), msg, hint, file=str(path), line=line)
        for column, place in places.items():
            text = row[place].strip()
            try:
                found[column].append(float(text.replace("_", "no number")) if text else math.nan)
            except ValueError as error:
                raise _no_number(path, column, text, number, line) from error
    return {column: np.array(values) for column, values in found.items()}


def _of_parquet(path: Path, wanted: Sequence[str]) -> Columns:
    """Columns of a Parquet file, whatever kind of number they hold."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        try:
            recorded = pq.ParquetFile(file)
            here = _here(path, recorded.schema_arrow.names, wanted)
            table = recorded.read(columns=here, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            hint = "give a whole Parquet file, or a CSV file with a line of names"
            msg = "the file is damaged, or no Parquet file"
            raise FileError((), msg, hint, file=str(path)) from error
    return {column: _as_floats(path, column, table.column(column)) for column in here}


def _as_floats(path: Path, column: str, values: Any) -> NDArray[np.float64]:
    """An Arrow column as numbers, NaN where it is empty."""
    import pyarrow as pa

    kind = values.type
    if not any(
        fits(kind)
        for fits in (
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_decimal,
            pa.types.is_null,
        )
    ):
        for number, value in enumerate(values, 1):
            if value.is_valid:
                raise _no_number(path, column, str(value.as_py()), number)
    floats = values.cast(pa.float64(), safe=False).to_numpy()
    return np.asarray(floats, dtype=np.float64)


def _no_number(path: Path, column: str, text: str, row: int, line: int = 0) -> FileError:
    msg = f"column {column!r} holds '{printable(text, LONGEST_SHOWN)}' in row {row}, not a number"
    hint = "write numbers with a dot, and leave unknown values empty to see where they are"
    return FileError((), msg, hint, file=str(path), line=line)


def _refuse_unknown(path: Path, column: str, values: NDArray[np.float64]) -> None:
    """Raise ``FileError`` for a column without rows, and for the first number that cannot be."""
    if not values.size:
        raise FileError((), f"column {column!r} has no rows", "give a longer one", file=str(path))
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        more = f" and {bad.size - 1} more rows" if bad.size > 1 else ""
        msg = f"column {column!r} has no finite number in row {bad[0] + 1}{more}"
        raise FileError((), msg, FILL, file=str(path))
    beyond = np.flatnonzero(np.abs(values) > LARGEST)
    if beyond.size:
        row = int(beyond[0])
        msg = f"column {column!r} holds {values[row]:g} in row {row + 1}: nothing is that large"
        hint = f"give numbers up to {LARGEST:g} either way"
        raise FileError((), msg, hint, file=str(path))


READERS: dict[str, Callable[[Path, Sequence[str]], Columns]] = {
    ".parquet": _of_parquet,
    ".csv": _of_csv,
}
