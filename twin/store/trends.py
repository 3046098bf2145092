"""Reading samples back: courses of signals over time, and the raw samples of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from twin.store.quarantine import RESTORE, StoreError, cause_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The course of one signal: sample times and values, NaN where it was unknown."""

    time_us: NDArray[np.int64]
    value: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Raw samples of one signal: when each was taken at its source, value (NaN for none), status bits."""

    source_us: NDArray[np.int64]
    value: NDArray[np.float64]
    status: NDArray[np.int64]


RAW = """
select signal, time_us as key_us, value as low, time_us as low_us, value as high, time_us as high_us
from samples where signal in ({signals}) and time_us >= {from_us} and time_us < {until_us}
"""

STRETCHES = """
select signal, from_us as key_us, low, low_us, high, high_us
from extents where signal in ({signals}) and from_us >= {from_us} and until_us < {until_us}
"""

# A bucket in which nothing is known is shown as one unknown sample, so that the hole is seen.
EXTREMES = """
select signal, arg_min(low_us, low) as low_us, min(low) as low,
       arg_max(high_us, high) as high_us, max(high) as high,
       min(key_us) as first_us, count(*) as rows
from ({source}) group by signal, ((key_us - {from_us}) // {width_us})::integer
"""


def read_series(
    connection: duckdb.DuckDBPyConnection,
    index: Mapping[str, int],
    names: Sequence[str],
    window: tuple[int, int],
    points: int | None,
    *,
    stretches: bool,
) -> dict[str, Trace]:
    """The courses of some signals in the half-open window ``[from, until)``, microseconds.

    With ``points`` each course is cut to at most so many samples: the window is divided in half as
    many buckets, and each gives its lowest and its highest sample, at their own times.
    ``stretches`` says that the table ``extents`` is there. Raises :class:`StoreError` for a name
    that is not recorded, ``ValueError`` for an empty window or less than two points.
    """
    unknown = [name for name in names if name not in index]
    if unknown:
        msg = f"signals not recorded here: {', '.join(unknown)}; the table tags lists what is"
        raise StoreError(msg)
    if window[0] >= window[1] or (points is not None and points < 2):
        msg = f"window {window} must not be empty and points ({points}) must be None or at least 2"
        raise ValueError(msg)
    if not names:
        return {}
    wanted = {name: index[name] for name in names}
    try:
        return _series(connection, wanted, window, points, stretches=stretches)
    except duckdb.Error as error:
        raise _unreadable(error) from error


def _series(
    connection: duckdb.DuckDBPyConnection,
    wanted: Mapping[str, int],
    window: tuple[int, int],
    points: int | None,
    *,
    stretches: bool,
) -> dict[str, Trace]:
    # The window is cut to what is there, or a bucket may be longer than the whole record.
    first, last = _row(connection, "select min(time_us), max(time_us) from samples")
    if first is None or last is None:
        return {name: _trace([], []) for name in wanted}
    from_us, until_us = max(window[0], first), min(window[1], last + 1)
    if from_us >= until_us:
        return {name: _trace([], []) for name in wanted}
    if points is not None:
        thinned = _extremes(connection, wanted, (from_us, until_us), points, stretches=stretches)
        if thinned is not None:
            return thinned
    return _raw(connection, wanted, (from_us, until_us))


def _extremes(
    connection: duckdb.DuckDBPyConnection,
    wanted: Mapping[str, int],
    window: tuple[int, int],
    points: int,
    *,
    stretches: bool,
) -> dict[str, Trace] | None:
    """The courses cut to ``points``; None if there are no more samples than that anyway."""
    from_us, until_us = window
    buckets = points // 2
    place = {"signals": ", ".join(str(number) for number in wanted.values())}
    source = RAW.format(**place, from_us=from_us, until_us=until_us)
    if stretches:
        signal = next(iter(wanted.values()))
        whole, begin, end = _row(
            connection,
            "select count(*), min(from_us), max(until_us) from extents "
            "where signal = ? and from_us >= ? and until_us < ?",
            [signal, from_us, until_us],
        )
        if whole is not None and end is not None and whole >= buckets:
            source = " union all ".join(
                (
                    STRETCHES.format(**place, from_us=from_us, until_us=until_us),
                    RAW.format(**place, from_us=from_us, until_us=begin),
                    RAW.format(**place, from_us=end + 1, until_us=until_us),
                )
            )
    width_us = -(-(until_us - from_us) // buckets)
    got = connection.execute(
        EXTREMES.format(source=source, from_us=from_us, width_us=width_us)
    ).fetchnumpy()
    if source.count("extents") == 0 and int(got["rows"].sum()) <= points * len(wanted):
        return None
    low, high = (np.ma.filled(got[side].astype(np.float64), np.nan) for side in ("low", "high"))
    low_us = np.ma.filled(np.ma.masked_array(got["low_us"]), 0)
    high_us = np.ma.filled(np.ma.masked_array(got["high_us"]), 0)
    hole = np.isnan(low)
    low_us, high_us = (np.where(hole, got["first_us"], side) for side in (low_us, high_us))
    traces = {}
    for name, number in wanted.items():
        own = got["signal"] == number
        time_us, kept = np.unique(np.concatenate((low_us[own], high_us[own])), return_index=True)
        traces[name] = _trace(time_us, np.concatenate((low[own], high[own]))[kept])
    return traces


def _raw(
    connection: duckdb.DuckDBPyConnection, wanted: Mapping[str, int], window: tuple[int, int]
) -> dict[str, Trace]:
    """Every sample of the window."""
    got = connection.execute(
        "select signal, time_us, coalesce(value, 'nan'::double) as value from samples "
        "where list_contains(?, signal) and time_us >= ? and time_us < ?",
        [list(wanted.values()), *window],
    ).fetchnumpy()
    traces = {}
    for name, number in wanted.items():
        own = got["signal"] == number
        time_us = got["time_us"][own]
        order = np.argsort(time_us, kind="stable")
        traces[name] = _trace(time_us[order], got["value"][own][order])
    return traces


def read_samples(
    connection: duckdb.DuckDBPyConnection,
    signal: int,
    window: tuple[int, int],
    limit: int,
    *,
    newest_first: bool,
) -> Samples:
    """What a signal showed in the closed window of times at the source, each value once."""
    order = "desc" if newest_first else "asc"
    try:
        got = connection.execute(
            "select source_us, coalesce(any_value(value), 'nan'::double) as value, "  # noqa: S608
            "max(status) as status from samples where signal = ? and source_us between ? and ? "
            f"group by source_us order by source_us {order} limit ?",
            [signal, *window, limit],
        ).fetchnumpy()
    except duckdb.Error as error:
        raise _unreadable(error) from error
    value = np.ma.filled(got["value"].astype(np.float64), np.nan)
    return Samples(got["source_us"].astype(np.int64), value, got["status"].astype(np.int64))


def newest_us(connection: duckdb.DuckDBPyConnection) -> int | None:
    """Plant time of the last reading; None if there is none."""
    (newest,) = _row(connection, "select max(time_us) from samples")
    return newest


def _unreadable(error: duckdb.Error) -> StoreError:
    return StoreError(f"recorded samples cannot be read: {cause_of(error)[0]}", RESTORE)


def _row(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[int] = ()
) -> tuple[int | None, ...]:
    """The one row of a query for aggregates."""
    (row,) = connection.execute(query, parameters).fetchall()
    return tuple(row)


def _trace(time_us: Sequence[int] | NDArray[np.int64], value: object) -> Trace:
    return Trace(np.asarray(time_us, dtype=np.int64), np.asarray(value, dtype=np.float64))
