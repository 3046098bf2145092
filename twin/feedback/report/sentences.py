"""What to make of a study, in sentences."""

from __future__ import annotations

from twin.feedback.report.labels import number
from twin.feedback.study import Interval, Study


def warm_up_text(study: Study) -> str:
    """What was left out at the beginning of each shift, and who said so."""
    warm_up = study.warm_up
    if warm_up.chosen == "none":
        return "No warm-up was left out: shifts begin with an empty line, and count from there."
    if warm_up.chosen == "given":
        return f"The first {number(warm_up.hours)} h of each shift were left out, as asked for."
    settled = ", ".join(
        f"{name} after {number(after_s / 60.0)} min" for name, after_s in warm_up.after_s.items()
    )
    return (
        f"The first {number(warm_up.hours)} h of each shift were left out. By MSER-5, over pilot "
        f"shifts of {number(warm_up.pilot_hours)} h, these had settled: {settled}."
    )


def precision_text(study: Study) -> str:
    """Whether the intervals are as narrow as asked for; empty where nothing was asked."""
    wanted = study.precision
    if wanted is None:
        return ""
    names = " and ".join(name.replace("_", " ") for name in wanted.of)
    asked, reached = f"{number(100.0 * wanted.share)} %", study.widest()
    if study.is_precise:
        return (
            f"Reached after {study.shifts} shifts: the intervals of {names} are at most "
            f"{_width(reached)} of the mean wide to each side; {asked} was asked for."
        )
    said = f"NOT reached in {study.shifts} shifts: {asked} of the mean was asked for {names}, "
    if reached is not None and reached <= wanted.share:
        return (
            f"{said}and the widest half-width is {_width(reached)}, but of late only. Allow more."
        )
    return f"{said}and the widest half-width is {_width(reached)}. Allow more shifts."


def bottleneck_text(study: Study) -> str:
    """Which station limits the line, and how sure that is."""
    lead = study.lead()
    if lead is None:
        return "No station was active: there is no bottleneck."
    shares = study.activity()
    said = f"Bottleneck: {_named(lead.first)} in {_share(shares, lead.first)} % of the time"
    if lead.second is None:
        return f"{said}."
    said += f", then {_named(lead.second)} in {_share(shares, lead.second)} %"
    if lead.is_clear:
        return f"{said}. The lead is more than chance."
    return f"{said}. These shifts do not show which of the two it is."


def _width(share: float | None) -> str:
    return "unknown" if share is None else f"{number(100.0 * share)} %"


def _named(station: str) -> str:
    return station.replace("_", " ")


def _share(shares: dict[str, dict[str, Interval]], station: str) -> str:
    found = shares[station]["bottleneck_share"]
    half = "" if found.half_width is None else f" ± {100.0 * found.half_width:.1f}"
    return f"{100.0 * found.mean:.1f}{half}"
