"""The margins of verdicts in words, as they are in force: notes of reports say no others."""

from __future__ import annotations

from collections.abc import Sequence

from twin.feedback.compare import MARGINS, NO_WORSE, Margin


def in_words(margins: Sequence[Margin]) -> str:
    """Each figure with how much worse it may be."""
    return ", ".join(f"`{margin.name}` ({_most(margin)})" for margin in margins)


def _most(margin: Margin) -> str:
    if margin.share:
        return f"{100.0 * margin.share:g} %"
    if margin.absolute:
        return f"{100.0 * margin.absolute:g} percentage points"
    return "not at all"


HELD = in_words([margin for margin in MARGINS if not margin.is_of_the_truth])
HELD_BY_THE_TRUTH = in_words([margin for margin in MARGINS if margin.is_of_the_truth])
STANDS_IN = in_words(NO_WORSE)
