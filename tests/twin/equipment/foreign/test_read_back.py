"""How long a foreign PLC is looked at for what was written, however slowly it answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from twin.cycle import TOO_LATE, Acknowledgement, Batch, Outcome
from twin.equipment.foreign import writing
from twin.equipment.foreign.bound import ECHO
from twin.signals import Setpoint

SPEED, FEED = "turning.cutting_speed_m_per_min", "turning.feed_mm"
READBACK_S, READ_S = 2.0, 1.5


class Slow:
    """A PLC that takes its time for each read and never shows what was written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = self.now_us = 0
        self.refusals: dict[str, str] = {}
        monkeypatch.setattr(writing, "monotonic_us", lambda: self.now_us)
        monkeypatch.setattr(writing, "_shown", self._shown)
        monkeypatch.setattr(writing, "asyncio", SimpleNamespace(sleep=self._sleep))

    async def _shown(self, bound: Any, client: Any, names: list[str]) -> dict[str, float]:
        self.reads += 1
        self.now_us += round(READ_S * 1e6)
        return dict.fromkeys(names, 1.0)

    async def _sleep(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)

    async def written(self, *, refused: tuple[str, ...] = ()) -> Acknowledgement:
        bound: Any = SimpleNamespace(
            mapping=SimpleNamespace(
                signals={ECHO: None}, server=SimpleNamespace(readback_s=READBACK_S)
            ),
            encodings={SPEED: None, FEED: None},
            place={ECHO: 0},
            interpretation=SimpleNamespace(stand_ins={}),
        )
        batch = Batch(7, 1, (Setpoint(SPEED, 200.0), Setpoint(FEED, 0.2)), 10**15)
        client: Any = None
        refusal_of = lambda name: self.refusals.get(name, "")  # noqa: E731
        return await writing._read_back(bound, client, batch, list(refused), refusal_of)


async def test_slow_reads_count_into_the_time_that_the_plc_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plc = Slow(monkeypatch)
    answer = await plc.written()
    assert answer.outcome is Outcome.MISMATCH
    assert "the PLC has not echoed batch 7" in answer.detail
    assert (plc.reads, plc.now_us) == (2, 3_050_000)


async def test_what_the_plc_has_refused_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plc = Slow(monkeypatch)
    answer = await plc.written(refused=("no",))
    assert (answer.outcome, plc.reads) == (Outcome.MISMATCH, 1)


@pytest.mark.parametrize(
    ("refusals", "reads"),
    [
        ({SPEED: "taken back", FEED: "taken back"}, 1),
        ({SPEED: "switched off"}, 2),  # the other is wanted still
        ({SPEED: TOO_LATE, FEED: TOO_LATE}, 2),  # it has left in time
    ],
)
async def test_what_nobody_wants_any_more_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, refusals: dict[str, str], reads: int
) -> None:
    plc = Slow(monkeypatch)
    plc.refusals = refusals
    answer = await plc.written()
    assert plc.reads == reads
    if reads == 1:
        assert (answer.outcome, answer.active) == (Outcome.UNKNOWN, {})
        assert answer.detail == "not seen in force: taken back"
