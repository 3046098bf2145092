"""Lines side by side: their books, and the compiled twin that moves them; the arrays behind the environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from controllers.env.layout import Layout, layout_of, unclipped
from controllers.env.schema import Schema, schema_of
from controllers.env.worlds import World, Worlds
from twin.kernels import draws
from twin.line import batch as records
from twin.line import schema as s
from twin.line.compilation import kernel
from twin.line.compilation import turns as compiled_turns
from twin.line.compiled import desk_of
from twin.line.initial import initial_state
from twin.line.kernel import TABLE_ROWS
from twin.line.scenario import scenario_of

Rows: TypeAlias = NDArray[np.int64]


class Books:
    """What is known, shown and charged of ``n`` lines; who moves them fills in their states and times.

    ``answer`` holds what came of the last decision, until the next.
    """

    def __init__(self, n: int, worlds: Worlds, correction_eur: float) -> None:
        setting = worlds.setting
        self.worlds = worlds
        self.schema: Schema = schema_of(worlds.nominal, setting.decision_s)
        self.layout: Layout = layout_of(
            worlds.nominal, self.schema, setting.decision_s, correction_eur
        )
        self.batch = _batch(n, worlds.world(worlds.number(0)), self.layout)
        self.answer = _answer(n, self.schema)
        self._kernel = compiled_turns()
        self._shown = np.zeros((n, self.layout.shown))

    def lay_in(self, n: int, episode: int) -> World:
        """Line ``n`` gets the world of an episode and stands at its begin, without a state as yet."""
        world, batch = self.worlds.world(self.worlds.number(episode)), self.batch
        batch.c[n], batch.w[n], batch.forecast[n] = world.line.c, world.table, world.forecast
        scenario = scenario_of(self.worlds.setting.plant, world.scenario)
        batch.faults[n] = scenario.sensor_drift_per_h, scenario.dropout
        batch.now_us[n] = 0
        return world

    def open(self, rows: Rows) -> None:
        """Begin the books, with a first reading."""
        at = self.layout
        self._kernel["open_books"](rows, at.common, at.instruments, self.batch, self.answer)

    def read(self, rows: Rows, *, is_due: bool = True) -> None:
        """Take the reading of this moment in; ``is_due``: with a decision upon it."""
        self._kernel["read"](rows, is_due, self.layout.common, self.layout.instruments, self.batch)

    def take_over(self, rows: Rows) -> None:
        """The first decision is due."""
        at = self.layout
        self._kernel["take_over"](rows, at.common, at.instruments, at.moves, self.batch)
        self.judge(rows, self.batch.now_us[rows])

    def judge(self, rows: Rows, since_us: NDArray[np.int64]) -> None:
        """Fill in the answer to the decisions since then."""
        at = self.layout
        self._kernel["answer_all"](
            rows, since_us, at.common, at.moves, at.view, at.terms, self.batch, self.answer,
            self._shown,
        )  # fmt: skip

    def shown(self) -> NDArray[np.float32]:
        """The observations of the last answer, not stopped at -1 and 1."""
        return unclipped(self.layout, self._shown)


class SideBySide(Books):
    """``n`` lines of one setting, each in an episode of its own; numbers go in and out, nothing else."""

    def __init__(self, n: int, worlds: Worlds, correction_eur: float) -> None:
        super().__init__(n, worlds, correction_eur)
        line, first = worlds.nominal, worlds.world(worlds.number(0))
        self._desk, k = desk_of(line)
        for e in range(len(line.elements)):  # a true line may drift where the nominal one does not
            at = s.ELEMENTS_K + e * s.EK + s.DRIFTS
            k[at] = first.line.k[at]
        self._desk.ints[TABLE_ROWS] = first.table.size // (len(line.disturbances) + 2)
        self.layout = replace(self.layout, common=self.layout.common._replace(k=k))
        self._advance = kernel()
        self._all = np.arange(n)
        self._nowhere = np.full(n, -1)

    def begin(self, rows: Rows, episodes: Sequence[int]) -> None:
        """These lines start a shift each: a fresh line with its own luck, up to the first decision."""
        at, batch = self.layout, self.batch
        for n, episode in zip(rows.tolist(), episodes, strict=True):
            world = self.lay_in(n, episode)
            state = initial_state(world.line, episode, draws.PLANT)
            batch.f[n], batch.i[n] = state.floats, state.ints
        if rows.size == self._all.size:
            rows = self._all
        self._prime(rows)
        self.open(rows)
        values = np.full((rows.size, at.moves.kinds.size), np.nan)
        count = at.terms.first_us // at.common.period_us
        for turn in range(count):
            self._go_on(rows, values, is_due=turn + 1 == count)
        self.take_over(rows)

    def step(self, actions: NDArray[np.float64]) -> None:
        """One decision of all lines."""
        at, batch, rows = self.layout, self.batch, self._all
        since_us = batch.now_us.copy()
        self._kernel["aim"](actions, at.moves, batch, self.answer)
        values = np.empty((rows.size, at.moves.kinds.size))
        count = at.terms.decision_us // at.common.period_us
        for turn in range(count):
            self._kernel["ask"](rows, at.common, at.moves, batch, self.answer, values)
            self._go_on(rows, values, is_due=turn + 1 == count)
        self.judge(rows, since_us)

    def _prime(self, rows: Rows) -> None:
        """What holds outside comes into fresh lines, and what follows from it; all else that is due waits."""
        batch, elements = self.batch, self.layout.common.elements
        due_s = batch.f[:, s.DUE_S : elements * s.E_FLOATS : s.E_FLOATS]
        waiting = due_s[rows] == 0.0
        waiting[:, -1] = False  # the environment
        due_s[rows] = np.where(waiting, s.FOREVER, due_s[rows])
        values = np.full((rows.size, self.layout.moves.kinds.size), np.nan)
        self._move(rows, np.zeros(rows.size), np.full(rows.size, np.nextafter(0.0, 1.0)), values)
        due_s[rows] = np.where(waiting & (due_s[rows] == s.FOREVER), 0.0, due_s[rows])

    def _go_on(self, rows: Rows, values: NDArray[np.float64], *, is_due: bool) -> None:
        """Setpoints in force, then a control period of plant time, then a reading; not where it has ended."""
        at, batch, given_up = self.layout, self.batch, self.answer.tripped[rows]
        nows_us = batch.now_us[rows]
        untils_us = np.minimum(nows_us + at.common.period_us, batch.ends_us[rows])
        untils_us[given_up] = nows_us[given_up]
        self._move(rows, nows_us / 1e6, untils_us / 1e6, values)
        batch.now_us[rows] = untils_us
        moved = untils_us > nows_us
        # A shift may end within a decision period: what is shown then is read as for a decision.
        last = moved & (untils_us == batch.ends_us[rows]) & (not is_due)
        if last.any():
            self.read(rows[last])
            moved &= ~last
        self.read(rows[moved], is_due=is_due)

    def _move(
        self,
        rows: Rows,
        nows_s: NDArray[np.float64],
        untils_s: NDArray[np.float64],
        values: NDArray[np.float64],
    ) -> None:
        """Setpoints in force (NaN: as they are), then run to the end of the stretch."""
        batch, moves, k = self.batch, self.layout.moves, self.layout.common.k
        whole = rows is self._all
        states = (batch.f, batch.i, batch.c, batch.w)
        f, i, c, w = states if whole else (of[rows] for of in states)
        self._advance(
            untils_s, nows_s, self._nowhere[: rows.size], moves.kinds, moves.elements,
            moves.columns, values, f, i, c, k, w, *self._desk,
        )  # fmt: skip
        if not whole:
            batch.f[rows], batch.i[rows] = f, i


def _batch(n: int, world: World, layout: Layout) -> records.Batch:
    line, mvs, seen = world.line, layout.moves.kinds.size, layout.instruments.column.size
    return records.Batch(
        f=np.zeros((n, line.n_floats)),
        i=np.zeros((n, line.n_ints), dtype=np.int64),
        c=np.zeros((n, len(line.c))),
        w=np.zeros((n, world.table.size)),
        now_us=np.zeros(n, dtype=np.int64),
        faults=np.zeros((n, 2)),
        seen=np.zeros((n, seen)),
        seen_s=np.zeros((n, seen)),
        forecast=np.zeros((n, *world.forecast.shape)),
        books=np.zeros((n, records.BOOKS)),
        previous=np.zeros((n, mvs)),
        ends_us=np.full(n, round(layout.common.shift_s * 1e6), dtype=np.int64),
        parts=np.zeros((n, line.k[s.K_SLOTS]), dtype=np.int64),
        product=np.zeros((n, line.k[s.K_SLOTS])),
    )


def _answer(n: int, schema: Schema) -> records.Answer:
    return records.Answer(
        observation=np.zeros((n, len(schema.observation)), dtype=np.float32),
        reward=np.zeros(n),
        tripped=np.zeros(n, dtype=np.bool_),
        ended=np.zeros(n, dtype=np.bool_),
        applied=np.zeros((n, len(schema.action))),
        correction=np.zeros(n),
        filtered=np.zeros(n, dtype=np.bool_),
        figures=np.zeros((n, len(records.FIGURES))),
    )
