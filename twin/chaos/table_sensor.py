"""Cases 1 to 7: what instruments show."""

from __future__ import annotations

import asyncio

from twin.chaos.alone import drifting, gone_for_an_hour
from twin.chaos.case import Case, Step
from twin.chaos.evidence import Evidence
from twin.chaos.plays import Harm, broken, shown
from twin.chaos.rig import Rig

ZONE, POWER = "oven.zone_temp_2_c", "booth.power_kw"
"""A critical input, sampled each five seconds of plant time, and one that is not critical."""
HOLDS = Step("HOLD", "critical input .* is not usable", 2)
OVEN = ("instrument oven",)
SHEDS = Step("SHED", "critical input .* is not usable for", 6, alarms=OVEN)
FROZEN = (Step("HOLD", HOLDS.why, 8), Step("SHED", SHEDS.why, 13, alarms=OVEN))
"""Six repeats make a frozen sensor, and as many periods without news a stale one."""


def _on(signal: str, *steps: Step, for_s: float = 0.0, **fault: object) -> Harm:
    return shown(*steps, for_s=for_s, values={signal: fault})


async def _spike(rig: Rig) -> None:
    """For as long as one reading takes, and no longer."""
    rig.show(values={ZONE: {"kind": "times", "by": 100.0}})
    await asyncio.sleep(0.9 * rig.period_s)
    rig.show()


def _no_error(evidence: Evidence) -> list[str]:
    """No exception has come as far as the log."""
    errors = [
        line for record in evidence.records for line in record.log if line["level"] == "error"
    ]
    return [f"an error in the log: {line['message']}" for line in errors[:1]]


_FAMILIES = (
    "BadSensorFailure",
    "BadNoCommunication",
    "BadOutOfService",
    "BadWaitingForInitialData",
    "UncertainLastUsableValue",
    "UncertainSubNormal",
)

SENSOR = (
    Case(
        1,
        "sensor",
        "NaN, Inf, −Inf on a critical input",
        f"{ZONE} shows each, with status Good",
        broken(*(_on(ZONE, HOLDS, SHEDS, kind=kind) for kind in ("nan", "inf", "minus_inf"))),
        is_blind=True,
        proof=_no_error,
    ),
    Case(
        2,
        "sensor",
        "frozen value",
        f"{ZONE} repeats its last digits; before that {POWER}, which is not critical",
        broken(_on(POWER, kind="frozen", for_s=10.0), _on(ZONE, *FROZEN, kind="frozen")),
        is_blind=True,
    ),
    Case(
        3,
        "sensor",
        "spike ×100 for one sample",
        f"{ZONE} shows a hundred times its value for 0.9 periods",
        broken(Harm(_spike, for_s=8.0)),
    ),
    Case(
        4,
        "sensor",
        "slow drift of 5 %/h against the model",
        "in one process: oven.exit_cured_min, a quality, reads 5 % more each hour from the second on",
        alone=drifting,
    ),
    Case(
        5,
        "sensor",
        "Bad and Uncertain status of each family",
        f"{ZONE} shows {', '.join(_FAMILIES)}",
        broken(*(_on(ZONE, HOLDS, kind="status", code=code) for code in _FAMILIES)),
        is_blind=True,
    ),
    Case(
        6,
        "sensor",
        "wrong type, wrong rank, wrong unit, text",
        f"{ZONE} shows text, a list, a truth value, kelvin",
        broken(
            _on(ZONE, HOLDS, SHEDS, kind="string"),
            _on(ZONE, HOLDS, SHEDS, kind="array"),
            _on(ZONE, HOLDS, SHEDS, kind="boolean"),
            _on(
                ZONE,
                Step("HOLD", HOLDS.why, 3),
                Step("SHED", SHEDS.why, 7, alarms=OVEN),
                kind="bias",
                by=273.15,
            ),
        ),
        is_blind=True,
        proof=_no_error,
    ),
    Case(
        7,
        "sensor",
        "a sensor that is not critical is gone for an hour",
        f"in one process: {POWER} has no value for an hour of plant time",
        alone=gone_for_an_hour,
    ),
)
