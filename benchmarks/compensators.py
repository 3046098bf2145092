"""What luck has given a line beyond its expectation: control variates of expectation zero.

A machine that has worked for a time ``t`` should have finished ``t / mean`` parts and failed
``t / mean`` times, whatever its surroundings were meanwhile. Counted apart for each surrounding
(states of the machines near it, levels of the buffers between), the differences have expectation
zero exactly, because exponential times have no memory: they are stochastic integrals of compensated
counting processes (Bremaud, Point Processes and Queues, 1981, chapter II). They hold for all times of
a line that are exponential, and are counted for those alone; how parts move plays no part in it, so
that a wrong movement of parts still shows in the mean. Luck that is wrong itself is taken out with the rest:
that shows in means without control variates only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.anchor_lines import Machine
from twin.line import schema as s
from twin.line.model import Line
from twin.state import LineState

NEAR = 2
"""So many machines to either side are a machine's surroundings."""
FINISHED, FAILED, REPAIRED = "finished", "failed", "repaired"

Key = tuple[int, str, tuple[int, ...]]
"""Which machine, what happened to it, and in which surroundings."""
Tally = dict[Key, list[float]]
"""How often it happened, and how often it should have."""
Row = tuple[float, int, int, int, int]
"""Of the journal: time, element, state before and after, part."""


class Tallies:
    """Follows the journal of one line over one window of time.

    Levels of buffers are told apart by ``grain`` parts only: the finer, the more luck is explained,
    and the more replications it takes to know by how much.
    """

    def __init__(
        self, line: Line, machines: Sequence[Machine], state: LineState, grain: int = 1
    ) -> None:
        self._machines, self._grain = machines, grain
        n = len(machines)
        self._states = [state.ints[(m + 1) * s.E_INTS + s.STATE] for m in range(n)]
        at = line.k[s.K_BUFFER_I]
        # The buffer before the first machine is never empty and tells nothing.
        self._levels = [state.ints[at + (m + 1) * s.B_INTS + s.LEVEL] for m in range(n - 1)]
        self._since_s = state.now_s
        self.tally: Tally = {}

    def follow(self, rows: Iterable[Row], until_s: float) -> None:
        """Count what happened until then. Of each instant the first row is the cause of the rest."""
        keys = self._keys()
        for time_s, element, before, after, _ in rows:
            if time_s > self._since_s:
                keys = self._keys()
                self._expect(keys, time_s - self._since_s)
                self._since_s = time_s
                happened = keys[element - 1]
                if happened is not None:
                    what = FAILED if after == s.DOWN else FINISHED
                    what = REPAIRED if before == s.DOWN else what
                    if what != FINISHED or self._machines[element - 1].law is not None:
                        self.tally[element - 1, what, happened][0] += 1.0
            self._move(element - 1, before, after)
        self._expect(self._keys(), until_s - self._since_s)
        self._since_s = until_s

    def _move(self, m: int, before: int, after: int) -> None:
        self._states[m] = after
        if after == s.IDLE and m < len(self._levels):
            self._levels[m] += 1
        elif before == s.IDLE and after == s.PROCESSING and m > 0:
            self._levels[m - 1] -= 1

    def _keys(self) -> list[tuple[int, ...] | None]:
        """The surroundings of each machine at work or under repair."""
        keys: list[tuple[int, ...] | None] = []
        for m, state in enumerate(self._states):
            if state in (s.PROCESSING, s.DOWN):
                first, last = max(m - NEAR, 0), m + NEAR
                levels = [-(-level // self._grain) for level in self._levels[first:last]]
                keys.append((*self._states[first : last + 1], *levels))
            else:
                keys.append(None)
        return keys

    def _expect(self, keys: Sequence[tuple[int, ...] | None], elapsed_s: float) -> None:
        for m, near in enumerate(keys):
            if near is None:
                continue
            machine = self._machines[m]
            if self._states[m] == s.DOWN:
                self._add(m, REPAIRED, near, elapsed_s, machine.repair_s)
            else:
                if machine.law is not None:
                    self._add(m, FINISHED, near, elapsed_s, machine.cycle_s)
                self._add(m, FAILED, near, elapsed_s, machine.between_s)

    def _add(
        self, m: int, what: str, near: tuple[int, ...], elapsed_s: float, mean_s: float | None
    ) -> None:
        if mean_s is not None:
            self.tally.setdefault((m, what, near), [0.0, 0.0])[1] += elapsed_s / mean_s


def differences(tallies: Sequence[Mapping[Key, Sequence[float]]]) -> list[list[float]]:
    """One row a tally: happened less expected, one column for each thing that may happen.

    Surroundings in which it was to be expected less than once a tally are lumped together: hardly
    anything is known about them. The lumping looks at expectations only, never at what happened.
    """
    keys = sorted({key for tally in tallies for key in tally})
    columns: dict[Key, list[float]] = {}
    for key in keys:
        counted = [tally.get(key, (0.0, 0.0)) for tally in tallies]
        rare = sum(expected for _, expected in counted) < len(tallies)
        column = columns.setdefault((*key[:2], ()) if rare else key, [0.0] * len(tallies))
        for n, (happened, expected) in enumerate(counted):
            column[n] += happened - expected
    return [list(row) for row in zip(*columns.values(), strict=True)]
