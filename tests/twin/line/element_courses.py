"""A serial line with one element more, and its course: taken by both engines, its mass accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.anchor_lines import serial_plant
from tests.twin.line.small_lines import Run, changed, fixed, table_of
from twin.config import Plant
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.journal import Row
from twin.line.model import Line

MIX = {
    "unit": "kg",
    "kind": "mix",
    "mean": 1.0,
    "choices": (1.0, 2.0),
    "hours": (1.0, 1.0),
    "validity": (0.0, 9.0),
}


def plant(cycles_s: list[float], room: list[int], **changes: Any) -> Plant:
    """A serial plant with changes: keys with double underscores are paths."""
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    return changed(serial_plant(fixed(*cycles_s), room), paths)


def course(
    line: Line,
    until_s: float,
    table: list[float] | None = None,
    told: Mapping[float, Mapping[str, float]] | None = None,
) -> Run:
    """The line's course on SimPy, and the compiled engine takes the very same.

    ``told`` are setpoints by the time at which they are put in force, such as ``m0.standby``.
    """
    run, state = Run(line, table), initial_state(line, 1, PLANT)
    compiled = engine(line, table or table_of(), "compiled")
    happened: list[Row] = []
    setpoints: Mapping[str, float] = {}
    for at_s, coming in [*sorted((told or {}).items()), (until_s, {})]:
        run.to(at_s, **setpoints)
        happened += compiled.advance(state, setpoints, at_s).rows
        setpoints = coming
    assert [(r[0], s.STATES[r[2]], s.STATES[r[3]], r[4]) for r in happened] == [
        (move[0], *move[2:], part) for move, part in zip(run.moves, run.parts, strict=True)
    ]
    assert state == run.state
    check_mass(line, run)
    return run


def check_mass(line: Line, run: Run) -> None:
    """Material that came in has left as parts, as scrap, or is still inside."""
    f, i, k = run.state.floats, run.state.ints, line.k
    at = k[s.K_LINE_F]
    inside = sum(
        f[k[s.K_PART_F] + slot * s.P_FLOATS + s.PART_MATERIAL_KG]
        for slot in range(k[s.K_SLOTS])
        if i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
    )
    out_kg = f[at + s.LINE_OUT_KG] + f[at + s.LINE_SCRAP_KG]
    assert f[at + s.LINE_MATERIAL_KG] == pytest.approx(out_kg + inside, abs=1e-9)


def mixed(products: list[float], orders: int = 10**9) -> list[float]:
    """A table with one disturbance, the product, that changes from minute to minute."""
    return [number for product in products for number in (product, float(orders), 1.0)]
