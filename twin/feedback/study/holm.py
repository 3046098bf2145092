"""Several figures looked at together: a saving among many is easily found, so it has to be a surer one.

Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979) 65:
of m figures the one with the least p is tested at 5 %/m, the next at 5 %/(m - 1), until one fails, and all
that follow fail with it. Each figure's interval at the confidence of its own test contains zero exactly
where the test fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
)
"""The figures by which one controller may be called better than another. Nobody chooses among them after a
run; the cost of energy came to them on 27 November 2026, after one of the paint line."""
FOUND_BY_LOOKING = "its interval contains zero once {} figures are looked at"


@dataclass(frozen=True, slots=True)
class Corrected:
    """A comparison with the verdict that stands among the others, p, and the corrected interval."""

    compared: Comparison
    p: float
    low: float
    high: float


def confidences(p: Mapping[str, float], confidence: float = CONFIDENCE) -> dict[str, float]:
    """At which confidence each figure has to exclude zero; in the order of p, the least first."""
    left, has_failed, found = len(p), False, {}
    for name in sorted(p, key=lambda name: (p[name], name)):
        level = (1.0 - confidence) / left
        found[name] = 1.0 - level
        has_failed = has_failed or p[name] > level
        left -= not has_failed
    return found


def corrected(found: Mapping[str, Comparison], freedoms: Mapping[str, int]) -> dict[str, Corrected]:
    """Those of the claims that were compared in every shift, judged together.

    A figure that differs nowhere, like the gas of a line without a burner, is no claim and costs the others
    nothing. Where gas differs nowhere, the cost of energy is no figure of its own: that of electricity, at
    whatever price.
    """
    p, halves = {}, {}
    for name in CLAIMS:
        one = found.get(name)
        if one is None or one.low is None or one.high is None or one.low == one.high == 0.0:
            continue
        if name == ENERGY_COST and GAS not in p:
            continue
        halves[name] = 0.5 * (one.high - one.low) / student_t(freedoms[name])
        error = halves[name]
        p[name] = 0.0 if error == 0.0 else two_sided_p(one.difference / error, freedoms[name])
    judged = {}
    for name, confidence in confidences(p).items():
        one, half = found[name], halves[name] * student_t(freedoms[name], confidence)
        low, high = one.difference - half, one.difference + half
        if one.verdict == "better" and low <= 0.0 <= high:
            reason = FOUND_BY_LOOKING.format(len(p))
            one = replace(one, verdict="inconclusive", reason=reason)
        judged[name] = Corrected(one, p[name], low, high)
    return judged
