"""One controller against another on the same shifts: paired differences and what they allow to say.

Both faced the same luck, so each shift gives one difference. From two shifts on their mean has a
95 % interval (Student's t), and a verdict:

- *better* or *worse*: the whole interval lies on that side of zero;
- *equal*: it contains zero and lies within ``EQUAL_SHARE`` of the baseline's mean;
- *inconclusive*: anything else.

A saving counts only if nothing else paid for it: a figure of which less is better is called
*better* only if throughput, scrap, tool cost, material, electricity and gas are shown to be non-inferior
(the one that is saved aside, and what lies in a sum that is), each by its interval against a margin that is fixed here.
Margins are wide beside a small saving, so where the truth is known energy, expected scrap and expected edges together
must be shown to cost no more at all. One shift has no interval and gets no verdict, only *lower*, *higher* or *same*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from twin.feedback.compared import COMPARED, COST_OF_ALL, SCRAP, TOOLS
from twin.feedback.definitions import Definition
from twin.feedback.kpi import Kpis

CONFIDENCE = 0.95
EQUAL_SHARE = 0.01
ONE_SHIFT = "one shift: no interval"
ROUNDING = 1e-12
ELECTRICITY = "energy_settled_kwh_per_good_part"
GAS = "gas_settled_kwh_per_good_part"
ENERGY_COST = "energy_cost_settled_eur_per_good_part"
COST = "cost_eur_per_good_part"


@dataclass(frozen=True, slots=True)
class Margin:
    """How much worse a figure may be and still pass: absolute, or a share of the baseline."""

    name: str
    worse_is: int
    """+1 where more is worse, -1 where less is."""
    absolute: float = 0.0
    share: float = 0.0
    without_luck: str = ""
    """The figure that is looked at instead where it is known: the same without its luck."""
    is_of_the_truth: bool = False
    """Whether no reading tells it: then it binds where it is known."""

    def looked_at(self, found: Mapping[str, Comparison]) -> Comparison | None:
        """The comparison that tells; None where neither figure was compared."""
        return found.get(self.without_luck) or found.get(self.name)


MARGINS = (
    Margin("throughput_parts_per_h", worse_is=-1, share=0.01),
    Margin("scrap_share", worse_is=1, absolute=0.001, without_luck=SCRAP),
    Margin("tool_cost_eur_per_good_part", worse_is=1, share=0.01, without_luck=TOOLS),
    Margin("material_kg_per_good_part", worse_is=1, share=0.01),
    Margin(ELECTRICITY, worse_is=1, share=0.01),
    Margin(GAS, worse_is=1, share=0.01),
    Margin(COST_OF_ALL, worse_is=1, is_of_the_truth=True),
)

ENERGIES = frozenset({ELECTRICITY, GAS})
SUMS = {
    ENERGY_COST: ENERGIES,
    COST: ENERGIES,
    COST_OF_ALL: ENERGIES | {"scrap_share", "tool_cost_eur_per_good_part"},
}
"""Figures in which others are added up, what the end owes included, and which: more gas for less electricity lies
in them already, and no margin has to keep it out. (Until 27 November 2026 none was a sum, and until the day after
no margin was of a sum; see docs/explanation/honest-numbers.md for what was known then.)"""
METERED_SUMS = frozenset(
    {"energy_cost_eur_per_good_part", "co2_kg_per_good_part", "running_cost_eur"}
)
"""The same without what the end owes: both energies together, that included, may not pay for them either."""
SETTLED = Margin(ENERGY_COST, worse_is=1, share=0.01)

NO_WORSE = (
    *(Margin(name, worse_is=1, share=0.02) for name in (ELECTRICITY, GAS, ENERGY_COST, COST)),
    *(margin for margin in MARGINS if margin.name in ("throughput_parts_per_h", "scrap_share")),
)
"""By how much one that is to stand in for another, as a policy for the MPC in a hundredth of its time, may be worse."""


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether a controller may stand in for another, by `NO_WORSE`.

    *non-inferior*: each figure's 95 % interval ends within its margin; *inferior*: one lies beyond its margin
    altogether; else *not shown*. ``reason`` names the figures.
    """

    verdict: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of one controller against a baseline, over paired shifts.

    ``value`` and ``baseline_value`` are means, ``difference`` their difference in ``unit``, with
    ``low`` to ``high`` as its 95 % interval where there is one; ``percent`` is relative to the
    baseline, None where that is not positive: a share of nothing, or of a gain, says nothing. ``shifts`` is the number of pairs.
    """

    controller: str
    baseline: str
    name: str
    unit: str
    shifts: int
    value: float
    baseline_value: float
    difference: float
    percent: float | None
    low: float | None
    high: float | None
    verdict: str
    reason: str = ""


def compare(
    kpis_by_controller: Mapping[str, Kpis | Sequence[Kpis]], baseline: str
) -> tuple[Comparison, ...]:
    """Every controller against the baseline, in every figure of the line that both have.

    A sequence has one entry a shift, in the same order for all. Raises ``ValueError`` where the
    baseline is missing, or shifts do not pair up.
    """
    if baseline not in kpis_by_controller:
        known = ", ".join(kpis_by_controller)
        raise ValueError(f"there is no controller {baseline!r} to compare with; known: {known}")
    runs = {
        name: (kpis,) if isinstance(kpis, Kpis) else tuple(kpis)
        for name, kpis in kpis_by_controller.items()
    }
    found: list[Comparison] = []
    for name, shifts in runs.items():
        if name != baseline:
            _check_pairs(name, shifts, baseline, runs[baseline])
            found += _compare(name, shifts, baseline, runs[baseline])
    return tuple(found)


def pair_up(ours: Sequence[Kpis], theirs: Sequence[Kpis]) -> bool:
    """Whether two controllers ran over the same windows of plant time, shift by shift."""
    windows = [
        [sorted({(kpi.from_us, kpi.until_us) for kpi in kpis.values}) for kpis in run]
        for run in (ours, theirs)
    ]
    return bool(ours) and windows[0] == windows[1]


def _check_pairs(name: str, ours: Sequence[Kpis], baseline: str, theirs: Sequence[Kpis]) -> None:
    if not pair_up(ours, theirs):
        msg = (
            f"{name} ({len(ours)} shifts) and {baseline} ({len(theirs)}) do not pair up: give both "
            "the same shifts in the same order, over the same windows of plant time"
        )
        raise ValueError(msg)


def _compare(
    name: str, ours: Sequence[Kpis], baseline: str, theirs: Sequence[Kpis]
) -> list[Comparison]:
    found = {}
    for definition in COMPARED:
        pairs = [
            (mine[definition.name], other[definition.name])
            for mine, other in zip(ours, theirs, strict=True)
            if definition.name in mine and definition.name in other
        ]
        if pairs:
            found[definition.name] = _paired(name, baseline, definition, pairs, len(ours))
    return [guarded(comparison, found) for comparison in found.values()]


def _paired(
    name: str,
    baseline: str,
    definition: Definition,
    pairs: Sequence[tuple[float, float]],
    shifts: int,
) -> Comparison:
    n = len(pairs)
    value = math.fsum(mine for mine, _ in pairs) / n
    baseline_value = math.fsum(other for _, other in pairs) / n
    differences = [difference_of(mine, other) for mine, other in pairs]
    mean, half = math.fsum(differences) / n, None
    if n > 1:
        spread = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1))
        half = student_t(n - 1) * spread / math.sqrt(n)
    return judged((name, baseline), definition, (n, shifts), (value, baseline_value), mean, half)


def judged(
    names: tuple[str, str],
    definition: Definition,
    shifts: tuple[int, int],
    means: tuple[float, float],
    difference: float,
    half: float | None,
) -> Comparison:
    """The comparison for a mean difference and the half-width of its interval, None for one shift.

    ``names`` and ``means`` are those of controller and baseline, ``shifts`` how many know the figure, and of
    how many.
    """
    n, of = shifts
    base = means[1]
    compared = Comparison(
        controller=names[0],
        baseline=names[1],
        name=definition.name,
        unit=definition.unit,
        shifts=n,
        value=means[0],
        baseline_value=base,
        difference=difference,
        percent=100.0 * difference / base if base > 0.0 else None,
        low=None,
        high=None,
        verdict=_direction(difference),
        reason=ONE_SHIFT,
    )
    if half is None:
        return compared
    low, high = difference - half, difference + half
    if n < of:
        verdict, reason = "inconclusive", f"undefined in {of - n} of {of} shifts"
    else:
        verdict, reason = _verdict(definition.better, low, high, EQUAL_SHARE * abs(base)), ""
    return replace(compared, low=low, high=high, verdict=verdict, reason=reason)


def difference_of(mine: float, other: float) -> float:
    """Sums that differ in their last digits only are the same sum, added up in another order."""
    difference = mine - other
    return 0.0 if abs(difference) <= ROUNDING * max(abs(mine), abs(other)) else difference


def _direction(difference: float) -> str:
    if difference == 0.0:
        return "same"
    return "lower" if difference < 0.0 else "higher"


def _verdict(better: str, low: float, high: float, equal: float) -> str:
    if low > 0.0 or high < 0.0:
        direction = _direction(low if low > 0.0 else high)
        if not better:
            return direction
        return "better" if direction == better else "worse"
    return "equal" if -equal <= low and high <= equal else "inconclusive"


def guarded(
    compared: Comparison,
    found: Mapping[str, Comparison],
    in_cells: Sequence[Mapping[str, Comparison]] = (),
) -> Comparison:
    """A saving that something else paid for is none, nor is a mean over cells if that was shown in one of them.

    Where a figure is known without its luck it must be shown to be no worse, and with its luck it must not be shown to
    be worse: a controller sees some of that luck, an edge that turns out weak for one, and could act by it.
    """
    better = next(d.better for d in COMPARED if d.name == compared.name)
    if compared.verdict != "better" or better != "lower":
        return compared
    binding = _binding(compared.name)
    reason = ""
    if failed := [name for margin in binding if (name := _failing(margin, found))]:
        reason = f"not shown to be non-inferior: {', '.join(failed)}"
    elif beyond := [m.name for m in binding if _is_inferior_in_one(m, in_cells)]:
        reason = f"shown to be inferior in one of the cells: {', '.join(beyond)}"
    return replace(compared, verdict="inconclusive", reason=reason) if reason else compared


def _binding(saved: str) -> list[Margin]:
    """What may not pay for a saving in this figure."""
    inside = SUMS.get(saved, ENERGIES if saved in METERED_SUMS else frozenset())
    others = [
        margin
        for margin in MARGINS
        if margin.name not in inside and saved not in (margin.name, margin.without_luck)
    ]
    return [*others, SETTLED] if saved in METERED_SUMS else others


def _failing(margin: Margin, found: Mapping[str, Comparison]) -> str:
    """The figure by which a margin is not held, or nothing."""
    if margin.is_of_the_truth and margin.name not in found:
        return ""
    if _is_inferior(margin, found.get(margin.name)):
        return margin.name
    if _is_non_inferior(margin, margin.looked_at(found)):
        return ""
    return margin.without_luck if margin.without_luck in found else margin.name


def non_inferiority(
    found: Mapping[str, Comparison], in_cells: Sequence[Mapping[str, Comparison]] = ()
) -> NonInferiority:
    """The verdict on all figures that must be no worse; one that was not compared shows nothing.

    ``found`` is by figure, as `judged` leaves it: what something else paid for is worse in that other figure.
    """
    beyond = [m.name for m in NO_WORSE if _is_inferior_in_one(m, (found, *in_cells))]
    if beyond:
        return NonInferiority("inferior", ", ".join(beyond))
    open_ones = [m.name for m in NO_WORSE if not _is_non_inferior(m, m.looked_at(found))]
    if open_ones:
        return NonInferiority("not shown", ", ".join(open_ones))
    return NonInferiority("non-inferior")


def _is_non_inferior(margin: Margin, compared: Comparison | None) -> bool:
    worse = _worse(margin, compared)
    return worse is not None and worse[1] <= worse[2]


def _is_inferior(margin: Margin, compared: Comparison | None) -> bool:
    worse = _worse(margin, compared)
    return worse is not None and worse[0] > worse[2]


def _is_inferior_in_one(margin: Margin, cells: Sequence[Mapping[str, Comparison]]) -> bool:
    return any(_is_inferior(margin, margin.looked_at(found)) for found in cells)


def _worse(margin: Margin, compared: Comparison | None) -> tuple[float, float, float] | None:
    """By how much it is worse, at least and at most, and by how much it may be; None where that is not known."""
    if compared is None or compared.low is None or compared.high is None:
        return None
    if compared.reason:  # undefined in some shifts
        return None
    ends = (compared.low, compared.high) if margin.worse_is > 0 else (-compared.high, -compared.low)
    return *ends, margin.absolute + margin.share * abs(compared.baseline_value)


@cache
def student_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """The half-width of Student's interval in standard errors.

    Series for whole degrees of freedom: Abramowitz and Stegun, Handbook of Mathematical Functions,
    26.7.3 and 26.7.4; solved by bisection of the angle atan(t / sqrt(freedom)).
    """
    if freedom < 1 or not 0.0 < confidence < 1.0:
        msg = f"student_t needs freedom ({freedom}) >= 1 and confidence ({confidence}) in (0, 1)"
        raise ValueError(msg)
    low, high = 0.0, math.pi / 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if _within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return math.tan(0.5 * (low + high)) * math.sqrt(freedom)


def two_sided_p(t: float, freedom: int) -> float:
    """How probable a value at least as far from zero as ``t`` is, if there is no difference."""
    return max(0.0, 1.0 - _within(math.atan(abs(t) / math.sqrt(freedom)), freedom))


def _within(angle: float, freedom: int) -> float:
    """Probability that |t| stays below tan(angle) * sqrt(freedom)."""
    cos2 = math.cos(angle) ** 2
    odd = freedom % 2 == 1
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range((freedom - 1) // 2 if odd else freedom // 2):
        total += term
        j = 2 * k
        term *= cos2 * ((j + 2) / (j + 3) if odd else (j + 1) / (j + 2))
    if odd:
        return 2.0 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
