"""Shifts of a line without any loop: the source of what a study counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.cli.locked import refuse_deadlock
from twin.cli.problems import Problem
from twin.cli.shift import Shift
from twin.config import load_truth
from twin.feedback.study import Course, WarmUp, warm_up_of
from twin.feedback.study.warm_up import PILOT_SHIFTS
from twin.kernels import draws
from twin.line.engine import Engine, EngineChoice, engine
from twin.line.initial import initial_state
from twin.line.model import build_line
from twin.line.scenario import build_table, scenario_of
from twin.line.tags import NO_CONTROL, TagReader
from twin.processes.model import ProcessModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twin.line.journal import Row

READ_S = 60.0
"""How often the line is read: prices change with the hour, peaks are metered by the quarter."""
PUSHED = 100.0
"""Orders as a multiple of the capacity: more than any line can make."""
PILOT_H, LONGEST_PILOT_H = 8.0, 64.0


class Offline:
    """One line, one engine for all its shifts; each begins empty and runs at the recipe."""

    def __init__(self, shift: Shift, *, saturated: bool, truth: bool, choice: str) -> None:
        plant = shift.plant
        true = load_truth(shift.place, plant) if truth else None
        mismatch = scenario_of(plant, shift.scenario).model_mismatch if truth else None
        self.line = build_line(plant, true, shift.variant, mismatch)
        self._shift, self._saturated, self._choice = shift, saturated, EngineChoice(choice)
        self._reader = TagReader(self.line)
        self._engine: Engine | None = None

    def course(
        self,
        seed: int,
        hours: float,
        from_s: float = 0.0,
        world: int = draws.PLANT,
        setpoints: Mapping[str, float] | None = None,
    ) -> Course:
        """One shift of so many hours, read without any noise every minute, and at ``from_s``.

        ``setpoints`` hold from the first instant on, instead of the recipe's.
        """
        shift, line = self._shift, self.line
        orders = PUSHED if self._saturated else shift.utilisation
        table = build_table(shift.plant, seed, world, hours, shift.scenario, orders)
        moving, state = self._moved_by(table), initial_state(line, seed, world)
        moving.prime(state)
        pushed = {"line.takt_s": shift.plant.source.takt_s.validity[0]} if self._saturated else {}
        if given := {**pushed, **(setpoints or {})}:
            moving.advance(state, given, 0.0)
        until_s = round(hours * 3600.0, 6)
        times_s = np.unique([*np.arange(0.0, until_s, READ_S), from_s, until_s])
        rows: list[Row] = []
        values = np.empty((times_s.size, len(self._reader.signals)))
        for n, time_s in enumerate(times_s.tolist()):
            rows += moving.advance(state, {}, time_s).rows
            values[n] = self._reader.read(state, NO_CONTROL)
        refuse_deadlock(line, state)
        return Course(line, self._reader.signals, times_s, values, rows)

    def _moved_by(self, table: list[float]) -> Engine:
        """The engine, with what comes from outside in this shift."""
        if self._engine is None:
            try:
                self._engine = engine(self.line, table, self._choice)
            except ProcessModelError as error:
                hint = "leave out --engine: what cannot be compiled runs on SimPy"
                raise Problem("plant", str(error), hint) from error
        self._engine.table = table
        return self._engine

    def settled(self, seed: int, hours: float, done: Callable[[], None]) -> WarmUp:
        """How long this line warms up, from pilot shifts whose luck is none of the study's.

        ``done`` is called after each of them. Raises ``Problem`` if it does not settle in time.
        """
        pilot_h = max(hours, PILOT_H)
        while True:
            pilot = []
            for n in range(PILOT_SHIFTS):
                pilot.append(self.course(seed + n, pilot_h, world=draws.WHAT_IF))
                done()
            found = warm_up_of(pilot)
            if found is not None:
                return found
            if pilot_h >= LONGEST_PILOT_H:
                msg = f"the line did not settle in a pilot of {pilot_h:g} h"
                hint = "something in it keeps growing or moving; give --warm-up HOURS yourself"
                raise Problem("simulate", msg, hint)
            pilot_h = 2.0 * pilot_h
