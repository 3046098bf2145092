"""UCUM unit codes: as OPC UA names them, and what one of them is in another.

OPC UA takes the common codes of UNECE Recommendation 20.
"""

from __future__ import annotations

from typing import NamedTuple

_COMMON_CODES = {
    "s": "SEC",
    "ms": "C26",
    "us": "B98",
    "min": "MIN",
    "h": "HUR",
    "kW": "KWT",
    "W": "WTT",
    "MW": "MAW",
    "kW.h": "KWH",
    "W.h": "WHR",
    "MW.h": "MWH",
    "MJ": "3B",
    "kJ": "KJO",
    "Cel": "CEL",
    "K": "KEL",
    "[degF]": "FAH",
    "t": "TNE",
    "kg": "KGM",
    "g": "GRM",
    "m": "MTR",
    "mm": "MMT",
    "um": "4H",
    "m/s": "MTS",
    "m/min": "2X",
    "mm/s": "C16",
    "bar": "BAR",
    "Pa": "PAL",
    "kPa": "KPA",
    "MPa": "MPA",
    "%": "P1",
    "N": "NEW",
    "V": "VLT",
    "A": "AMP",
    "Hz": "HTZ",
    "m3/h": "MQH",
    "l": "LTR",
    "m3": "MTQ",
}
_BY_ID = {int.from_bytes(code.encode("ascii"), "big"): unit for unit, code in _COMMON_CODES.items()}


class _Scale(NamedTuple):
    """What a unit measures, and a value in it as ``factor · value + offset`` of that one's first."""

    measures: str
    factor: float
    offset: float = 0.0


_SCALES = {
    "s": _Scale("time", 1.0),
    "ms": _Scale("time", 1e-3),
    "us": _Scale("time", 1e-6),
    "min": _Scale("time", 60.0),
    "h": _Scale("time", 3600.0),
    "kW": _Scale("power", 1.0),
    "W": _Scale("power", 1e-3),
    "MW": _Scale("power", 1e3),
    "kW.h": _Scale("energy", 1.0),
    "W.h": _Scale("energy", 1e-3),
    "MW.h": _Scale("energy", 1e3),
    "MJ": _Scale("energy", 1.0 / 3.6),
    "kJ": _Scale("energy", 1.0 / 3600.0),
    "Cel": _Scale("temperature", 1.0),
    "K": _Scale("temperature", 1.0, -273.15),
    "[degF]": _Scale("temperature", 5.0 / 9.0, -160.0 / 9.0),
    "kg": _Scale("mass", 1.0),
    "g": _Scale("mass", 1e-3),
    "t": _Scale("mass", 1e3),
    "mm": _Scale("length", 1.0),
    "um": _Scale("length", 1e-3),
    "m": _Scale("length", 1e3),
    "m/min": _Scale("speed", 1.0),
    "m/s": _Scale("speed", 60.0),
    "mm/s": _Scale("speed", 0.06),
    "bar": _Scale("pressure", 1.0),
    "MPa": _Scale("pressure", 10.0),
    "Pa": _Scale("pressure", 1e-5),
    "kPa": _Scale("pressure", 0.01),
    "1": _Scale("share", 1.0),
    "%": _Scale("share", 0.01),
    "h-1": _Scale("rate", 1.0),
    "1/min": _Scale("rate", 60.0),
    "Hz": _Scale("rate", 3600.0),
    "m3": _Scale("volume", 1.0),
    "l": _Scale("volume", 1e-3),
}


def unece_id(unit: str) -> int:
    """The UnitId of OPC UA Part 8, 5.6.3: the characters of the common code as bytes of a number.

    -1 for a unit without a common code here; the UCUM code then stands alone.
    """
    code = _COMMON_CODES.get(unit)
    return -1 if code is None else int.from_bytes(code.encode("ascii"), "big")


def unit_of(identifier: int, text: str) -> str:
    """The UCUM code behind a server's EUInformation; empty if it is none that is known here."""
    if identifier in _BY_ID:
        return _BY_ID[identifier]
    shown = {"°C": "Cel", "C": "Cel", "°F": "[degF]", "kWh": "kW.h", "Wh": "W.h", "sec": "s"}
    text = shown.get(text.strip(), text.strip())
    return text if text in _SCALES or text in _COMMON_CODES else ""


def conversion(unit: str, to: str) -> tuple[float, float] | None:
    """Gain and offset from one unit to another; None where they do not measure the same."""
    if unit == to:
        return 1.0, 0.0
    one, other = _SCALES.get(unit), _SCALES.get(to)
    if one is None or other is None or one.measures != other.measures:
        return None
    return one.factor / other.factor, (one.offset - other.offset) / other.factor
