"""What an interval is worth against what the plant file knew."""

from __future__ import annotations

import pytest

from twin.analyze.identification.finding import Interval, Verdict, finding


@pytest.mark.parametrize(
    ("nominal", "lo", "hi", "verdict"),
    [
        (0.0, -0.01, 0.02, Verdict.NO_EFFECT),
        (0.0, 0.01, 0.02, Verdict.LEARNED),
        (0.0, -0.2, 0.2, Verdict.NOT_INFORMATIVE),
        (0.5, -0.01, 0.02, Verdict.LEARNED),
    ],
    ids=["none", "one that is there", "too wide to say", "less than was known"],
)
def test_an_effect_that_nobody_knew_is_learned_only_where_there_is_one(
    nominal: float, lo: float, hi: float, verdict: Verdict
) -> None:
    found = finding(("wash",), "1", nominal, Interval(0.5 * (lo + hi), lo, hi, 20), width=0.1)
    assert found.verdict is verdict
