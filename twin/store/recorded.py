"""Recorded disturbances: columns of Parquet and CSV files that are replayed onto a plant.

The plant file says which column becomes which disturbance, how far apart its rows are, and how its
numbers are mapped; ``build_table`` does the mapping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twin.config import Plant, PlantError

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

READERS = {".parquet": "read_parquet", ".csv": "read_csv"}
NUMERIC = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    *("FLOAT", "DOUBLE", "DECIMAL"),
)


def read_recorded(paths: Sequence[Path], plant: Plant) -> dict[str, NDArray[np.float64]]:
    """The columns that the plant file names as ``recorded``, by disturbance, row after row.

    A disturbance whose column is in none of the files is not in the answer: it keeps the course
    that the plant file describes. Raises ``PlantError`` for a file that cannot be read or holds
    none of the columns, a column in two files, one that is not numeric, and unknown values.
    """
    wanted = {
        name: spec.recorded.column
        for name, spec in plant.disturbances.items()
        if spec.recorded is not None
    }
    if not wanted:
        hint = "add `recorded: {column: NAME}` to a disturbance of the plant file"
        raise PlantError(("disturbances",), f"{plant.name} has no recorded disturbance", hint)
    found: dict[str, NDArray[np.float64]] = {}
    for path in paths:
        for name, values in _columns(path, wanted).items():
            if name in found:
                msg = f"column {wanted[name]!r} for {name} is in two of the files"
                raise PlantError((), msg, "leave one of them out", file=str(path))
            found[name] = values
    return found


def _columns(path: Path, wanted: Mapping[str, str]) -> dict[str, NDArray[np.float64]]:
    """The wanted columns of one file by disturbance, every value a finite number."""
    import duckdb

    reader = READERS.get(path.suffix.lower())
    if reader is None:
        msg = f"recorded disturbances are {' or '.join(READERS)} files"
        raise PlantError((), msg, "convert the file", file=str(path))
    place = str(path).replace("'", "''")
    try:
        with duckdb.connect(config={"threads": 1, "autoload_known_extensions": "false"}) as reading:
            reading.execute(f"create view recorded as from {reader}('{place}')")
            rows = reading.execute("describe recorded").fetchall()
            types = {str(row[0]): str(row[1]) for row in rows}
            here = {name: column for name, column in wanted.items() if column in types}
            if not here:
                names = ", ".join(repr(column) for column in dict.fromkeys(wanted.values()))
                hint = f"the file has: {', '.join(types)}; the plant file says which are recorded"
                raise PlantError((), f"there is no column {names}", hint, file=str(path))
            return {
                name: _column(reading, path, column, types[column]) for name, column in here.items()
            }
    except duckdb.Error as error:
        reason = " ".join(str(error).split())
        hint = "give a Parquet file, or a CSV file with a line of names"
        raise PlantError((), f"cannot read the file: {reason}", hint, file=str(path)) from error


def _column(
    reading: duckdb.DuckDBPyConnection, path: Path, column: str, kind: str
) -> NDArray[np.float64]:
    if not reading.execute("select count(*) from recorded").fetchall()[0][0]:
        raise PlantError((), f"column {column!r} has no rows", "give a longer one", file=str(path))
    if not kind.startswith(NUMERIC):
        hint = "write numbers with a dot, and leave unknown values empty to see where they are"
        msg = f"column {column!r} holds {kind}, not numbers"
        raise PlantError((), msg, hint, file=str(path))
    quoted = column.replace('"', '""')
    query = f"select coalesce(\"{quoted}\"::double, 'nan'::double) as value from recorded"  # noqa: S608
    values = np.asarray(reading.execute(query).fetchnumpy()["value"], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        more = f" and {bad.size - 1} more rows" if bad.size > 1 else ""
        msg = f"column {column!r} has no finite number in row {bad[0] + 1}{more}"
        hint = "unknown is not zero: fill or cut the gap before replaying the file"
        raise PlantError((), msg, hint, file=str(path))
    return values
