"""The figures in which controllers are compared: those of a line, and those that its truth knows besides.

No reading tells these; an evaluation has them, since it has the true line. They are without the luck of a draw,
so that controllers can be told apart by less.
"""

from __future__ import annotations

from twin.feedback.account import Account, UndefinedError
from twin.feedback.definitions import LINE_KPIS, Definition

SCRAP, TOOLS = "expected_scrap_share", "expected_tool_cost_eur_per_good_part"
COST_OF_ALL = "expected_cost_eur_per_good_part"


def _only_the_truth(_account: Account) -> float:
    raise UndefinedError("no reading tells: only the true line knows its probabilities")


TRUTH_KPIS = (
    Definition(
        SCRAP,
        "1",
        "lower",
        "defects to be expected by the true line's probabilities, a part: scrap without its luck",
        _only_the_truth,
    ),
    Definition(
        TOOLS,
        "EUR",
        "lower",
        "tool cost per good part if every edge wore as the mean of all: without the luck of edges",
        _only_the_truth,
    ),
    Definition(
        COST_OF_ALL,
        "EUR",
        "lower",
        "settled cost of energy, material of the expected scrap and expected tool cost per good part",
        _only_the_truth,
    ),
)
COMPARED = (*LINE_KPIS, *TRUTH_KPIS)
