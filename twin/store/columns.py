"""Readings as columns, the shape in which DuckDB takes them in at the least cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import duckdb

    from twin.cycle import Event, Reading


def insert(connection: duckdb.DuckDBPyConnection, table: str, arriving: dict[str, Any]) -> None:
    """Insert columns by name: numpy arrays are read in place, NaN becomes NULL.

    DuckDB finds ``arriving`` by its name among this function's variables; that costs half of what
    registering it as a view does.
    """
    names = ", ".join(arriving)
    values = ", ".join(
        f"nullif({name}, 'nan'::double)" if column.dtype == np.float64 else name
        for name, column in arriving.items()
    )
    connection.execute(f"insert into {table} ({names}) select {values} from arriving")  # noqa: S608


def sample_columns(readings: list[Reading], received_us: list[int]) -> dict[str, Any]:
    """Readings as columns of the table ``samples``: one row a reading and signal."""
    width = readings[0].values.size
    time_us = np.array([reading.time_us for reading in readings], dtype=np.int64)
    return {
        "time_us": np.repeat(time_us, width),
        "signal": np.tile(np.arange(width, dtype=np.int16), len(readings)),
        "value": np.concatenate([reading.values for reading in readings]),
        "source_us": np.concatenate([reading.source_us for reading in readings]),
        "received_us": np.repeat(np.array(received_us, dtype=np.int64), width),
        "status": np.concatenate([reading.status for reading in readings]),
    }


def event_columns(events: list[tuple[Event, int]]) -> dict[str, Any]:
    """Events, each with the time of the reading that brought it, as columns of ``events``."""
    return {
        "time_us": np.array([event.time_us for event, _ in events], dtype=np.int64),
        "entity": np.array([event.entity for event, _ in events], dtype=object),
        "before": np.array([event.before for event, _ in events], dtype=np.int64),
        "after": np.array([event.after for event, _ in events], dtype=np.int64),
        "part": np.array([event.part for event, _ in events], dtype=np.int64),
        "reading_us": np.array([reading_us for _, reading_us in events], dtype=np.int64),
    }
