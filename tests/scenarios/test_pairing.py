"""The same luck for all: what makes differences of a per cent visible in a few shifts."""

from __future__ import annotations

import pytest

from benchmarks.pairing import BAR, IDENTICAL, LONGER, paired, scenario_rows
from twin.cli.shift import Shift


@pytest.mark.parametrize(
    ("plant", "scenario"),
    [("machining_line", "failure_burst"), ("paint_cure_line", "mismatch")],
)
def test_two_takts_differ_far_less_than_two_shifts_and_the_same_controller_not_at_all(
    plant: str, scenario: str
) -> None:
    shift = Shift(plant, hours=4.0, scenario=scenario, engine="auto")
    pairs = (LONGER, IDENTICAL)
    found = scenario_rows(shift, 8, in_loop=False, workers=1, names=pairs)
    rows = {row["pair"]: row for row in found}
    ratio = rows[LONGER]["figures"]["energy_kwh_per_good_part"]["ratio"]
    assert ratio >= BAR
    assert rows[LONGER]["largest_difference"] > 0.0  # the two takts are not the same
    assert rows[IDENTICAL]["largest_difference"] == 0.0
    assert rows[IDENTICAL]["figures"]["energy_kwh_per_good_part"]["difference_pct"] == 0.0


def test_the_ratio_by_hand() -> None:
    ours, theirs = [1.0, 2.0, 3.0], [1.5, 2.0, 3.5]
    # Variances 1 and 13/12; the differences -0.5, 0, -0.5 have 1/12.
    assert paired(ours, theirs)["ratio"] == pytest.approx(25.0)
    assert paired(ours, ours)["ratio"] is None
