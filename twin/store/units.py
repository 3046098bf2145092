"""Unit codes of the tag registry, after the Unified Code for Units of Measure (ucum.org)."""

from __future__ import annotations

SPOKEN = {
    "": "1",
    "degC": "Cel",
    "°C": "Cel",
    "kWh": "kW.h",
    "MWh": "MW.h",
    "pct": "%",
    "EUR": "{EUR}",
    "EUR/MWh": "{EUR}/MW.h",
    "EUR/kWh": "{EUR}/kW.h",
    "EUR/kg": "{EUR}/kg",
    "rpm": "{rev}/min",
    "kg/h": "kg/h",
    "m3/h": "m3/h",
}
"""Names that people use, and their codes. UCUM has no currencies: they are annotations."""

CODES = frozenset(
    (
        "1 % s ms us min h d m mm um cm nm g kg t mg W kW MW J kJ MJ kW.h MW.h W.h Cel K N kN N.m "
        "Pa kPa MPa bar L m3 V A Hz deg rad m/min mm/min m/s mm/s mm/min m3/h kg/h L/min K/s "
        "K/min Cel/min kg/m3 J/kg kJ/kg W/K kW/K m2 mm2 cm3 /min /h /s"
    ).split()
)


def ucum_code(unit: str) -> str:
    """The UCUM code of a unit.

    What is not known becomes an annotation in braces (``part`` → ``{part}``), which UCUM reads as
    the unit one: nothing is turned into a wrong dimension.
    """
    if unit in CODES or (unit.startswith("{") and unit.endswith("}")):
        return unit
    return SPOKEN.get(unit, "{" + unit.strip("{}") + "}")
