"""Numbers, units, times and names as people read them."""

from __future__ import annotations

import math

_UNITS = {
    "1": "",
    "kW.h": "kWh",
    "Cel": "°C",
    "EUR/MW.h": "EUR/MWh",
    "MW.h": "MWh",
    "1/h": "1/h",
    "um": "µm",
    "[deg]": "°",
}
_TAILS = (
    "_m_per_min",
    "_eur_per_mwh",
    "_per_h",
    "_kwh",
    "_kw",
    "_um",
    "_mm",
    "_bar",
    "_rel",
    "_pct",
    "_min",
    "_kg",
    "_s",
    "_c",
)


def unit_text(unit: str) -> str:
    """A UCUM code as it is printed on machines."""
    return _UNITS.get(unit, unit.replace(".", "·"))


def number(value: float | None, *, sign: bool = False) -> str:
    """Four significant digits, no exponent in the range of a plant, a true minus sign."""
    if value is None or math.isnan(value):
        return "–"
    if value == 0.0:
        return "0"
    digits = max(0, 3 - math.floor(math.log10(abs(value)))) if abs(value) < 1e15 else 0
    if digits > 7:
        text = f"{value:.2e}"
    else:
        text = f"{value:,.{digits}f}".replace(",", "\u202f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    text = text.replace("-", "−")
    return f"+{text}" if sign and value > 0.0 else text


def clock(time_s: float, starts_at_h: float) -> str:
    """The time of day at a plant time, with the day from the second one on."""
    minutes = round(time_s / 60.0 + starts_at_h * 60.0)
    days, minutes = divmod(minutes, 24 * 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text} +{days}d" if days else text


def signal_text(name: str) -> str:
    """A signal's name without its unit, as a caption."""
    owner, _, quantity = name.rpartition(".")
    for tail in _TAILS:
        if quantity.endswith(tail):
            quantity = quantity.removesuffix(tail)
            break
    words = quantity.replace("_", " ")
    return words if owner in ("", "env", "line") else f"{owner.replace('_', ' ')}: {words}"


def caption(name: str, unit: str) -> str:
    """A signal's name with its unit."""
    shown = unit_text(unit)
    return f"{signal_text(name)} ({shown})" if shown else signal_text(name)
