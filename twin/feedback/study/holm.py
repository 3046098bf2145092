"""Several figures in several cells looked at together: a saving among many is easily found, so it has to be a surer one.

Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979) 65:
of m figures the one with the least p is tested at 5 %/m, the next at 5 %/(m - 1), until one fails, and all
that follow fail with it. Each figure's interval at the confidence of its own test contains zero exactly
where the test fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from twin.feedback.compare import (
    CONFIDENCE,
    COST,
    ELECTRICITY,
    ENERGY_COST,
    GAS,
    Comparison,
    student_t,
    two_sided_p,
)
from twin.feedback.compared import COST_OF_ALL

CLAIMS = (
    ELECTRICITY,
    GAS,
    ENERGY_COST,
    "material_kg_per_good_part",
    "tool_cost_eur_per_good_part",
    "scrap_share",
    "throughput_parts_per_h",
    "peak_kw",
    COST,
    COST_OF_ALL,
)
"""The figures by which one controller may be called better than another. Nobody chooses among them after a
run; the cost of energy came to them on 27 November 2026, after one of the paint line, and that of energy, expected
scrap and edges together a day later, after most of one of the machining line."""
Key = TypeVar("Key", bound="str | tuple[object, ...]")
FOUND_BY_LOOKING = "its interval contains zero once {} figures are looked at"


@dataclass(frozen=True, slots=True)
class Corrected:
    """A comparison with the verdict that stands among the others, p, and the corrected interval."""

    compared: Comparison
    p: float
    low: float
    high: float


def confidences(p: Mapping[Key, float], confidence: float = CONFIDENCE) -> dict[Key, float]:
    """At which confidence each figure has to exclude zero; in the order of p, the least first."""
    left, has_failed, found = len(p), False, {}
    for key in sorted(p, key=lambda key: (p[key], str(key))):
        level = (1.0 - confidence) / left
        found[key] = 1.0 - level
        has_failed = has_failed or p[key] > level
        left -= not has_failed
    return found


def corrected(found: Mapping[Key, Comparison], freedoms: Mapping[Key, int]) -> dict[Key, Corrected]:
    """Those of the claims that were compared in every shift, judged together, whatever the keys stand for.

    A figure that differs nowhere, like the gas of a line without a burner, is no claim and costs the others
    nothing. Where gas differs nowhere, the cost of energy is no figure of its own: that of electricity, at
    whatever price.
    """
    errors = {}
    for key, one in found.items():
        if one.name not in CLAIMS or one.low is None or one.high is None:
            continue
        if (one.low, one.high) != (0.0, 0.0):
            errors[key] = 0.5 * (one.high - one.low) / student_t(freedoms[key])
    if all(found[key].name != GAS for key in errors):
        errors = {key: error for key, error in errors.items() if found[key].name != ENERGY_COST}
    p = {
        key: two_sided_p(found[key].difference / error, freedoms[key]) if error else 0.0
        for key, error in errors.items()
    }
    judged = {}
    for key, confidence in confidences(p).items():
        one, half = found[key], errors[key] * student_t(freedoms[key], confidence)
        low, high = one.difference - half, one.difference + half
        if one.verdict == "better" and low <= 0.0 <= high:
            reason = FOUND_BY_LOOKING.format(len(p))
            one = replace(one, verdict="inconclusive", reason=reason)
        judged[key] = Corrected(one, p[key], low, high)
    return judged
