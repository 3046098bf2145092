"""UCUM unit codes as OPC UA names them: by the common codes of UNECE Recommendation 20."""

from __future__ import annotations

_COMMON_CODES = {
    "s": "SEC",
    "ms": "C26",
    "us": "B98",
    "min": "MIN",
    "h": "HUR",
    "kW": "KWT",
    "kW.h": "KWH",
    "Cel": "CEL",
    "K": "KEL",
    "kg": "KGM",
    "g": "GRM",
    "mm": "MMT",
    "um": "4H",
    "m/min": "2X",
    "mm/s": "C16",
    "bar": "BAR",
    "MPa": "MPA",
    "%": "P1",
    "N": "NEW",
}


def unece_id(unit: str) -> int:
    """The UnitId of OPC UA Part 8, 5.6.3: the characters of the common code as bytes of a number.

    -1 for a unit without a common code here; the UCUM code then stands alone.
    """
    code = _COMMON_CODES.get(unit)
    return -1 if code is None else int.from_bytes(code.encode("ascii"), "big")
