"""The simple standby policies, briefly: benchmarks/standby.py has all of them."""

from __future__ import annotations

import pytest

from benchmarks import standby
from benchmarks.standby import ALWAYS_ON, BOUND, POLICIES, cell, runs


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "SEEDS", (501, 502, 503, 504))


def test_no_policy_beats_the_bound_and_full_pace_comes_near() -> None:
    rows = {row["policy"]: row for row in cell("nominal", 0.6, "kept")}
    assert set(rows) == {*POLICIES, BOUND}
    saved = {name: -row["energy_percent"] for name, row in rows.items() if name != ALWAYS_ON}
    assert max(saved.values()) == saved[BOUND]
    assert saved["full_pace"] > 0.7 * saved[BOUND]
    assert rows[ALWAYS_ON]["good_parts_of_ordered_percent"] == pytest.approx(100.0, abs=0.5)
    assert abs(rows["full_pace"]["output_percent"]) < 0.5


def test_what_is_published_for_the_bound_is_found_again() -> None:
    rows = [row for row in cell("nominal", 0.8, "lost") if row["policy"] == BOUND]
    assert [row["published_percent"] for row in rows] == [-15]
    assert rows[0]["within_error"]


def test_the_same_luck_for_all() -> None:
    assert runs(POLICIES[ALWAYS_ON], 0.5, "low", 500) == runs(POLICIES[ALWAYS_ON], 0.5, "low", 500)
    awake, asleep = (
        [run.good for run in runs(POLICIES[name], 0.5, "nominal", 500)]
        for name in (ALWAYS_ON, "full_pace")
    )
    assert awake == pytest.approx(asleep, rel=0.01)
