"""Random lines of all elements, and what comes to them from outside."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from benchmarks.anchor_lines import Machine, serial_plant
from twin.config import Plant
from twin.line import schema as s

END_S = 3000.0
SIZES = (1.0, 2.0)
MIX = {
    "unit": "kg",
    "kind": "mix",
    "mean": 1.0,
    "choices": SIZES,
    "hours": (1.0, 1.0),
    "validity": (0.0, 9.0),
}
CREWS = ("ann", "bob")
UNEQUAL_S = (0.0013719, 0.0021147, 0.0033191, 0.0045733)
ALONE: dict[str, Any] = {
    "also_takes": (),
    "also_gives": (),
    "batch": None,
    "inspection": {},
    "inspects": False,
    "wake_at_parts": 1,
}
"""A station on a branch of its own."""


def _times(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda t: round(t, 1)) | st.sampled_from([low, high])


@st.composite
def stations(draw: st.DrawFn, n: int, last: bool, luck: bool) -> dict[str, Any]:
    """What one station may have beyond its cycle; without ``luck`` nothing that is drawn.

    Nor is anything where rounding may say what comes of two events at one moment: who gets the one
    who is needed at two places, which part is the newest, or which of two machines side by side is free.
    """
    found: dict[str, Any] = {"servers": draw(st.integers(1, 2)) if luck else 1, "needs": {}}
    kind = draw(st.sampled_from(["plain", "batch", "assembly", "disassembly"]))
    if kind == "batch":
        parts = draw(st.integers(2, 3))
        found["batch"] = {"parts": parts, "at_least": draw(st.integers(1, parts))}
    elif kind == "assembly":
        found["also_takes"] = ({"takes_from": "b_lids", "parts": draw(st.integers(1, 2))},)
    elif kind == "disassembly" and n == 0:
        found["also_gives"] = ({"gives_to": "b_cores", "parts": 1, "mass_share": 0.3},)
    if draw(st.booleans()):
        found["setup"] = {
            "default_s": draw(_times(0.0, 30.0)),
            "changes": ({"before": 1.0, "after": 2.0, "setup_s": draw(_times(0.0, 60.0))},),
        }
    found["picks"] = draw(st.sampled_from(["fifo", "lifo", "same_product"] if luck else ["fifo"]))
    for task in s.TASKS:
        crews = draw(st.lists(st.sampled_from(CREWS), unique=True)) if luck else []
        found["needs"][task] = tuple(crews)
    if draw(st.booleans()):
        every = draw(st.sampled_from([{"every_parts": 7}, {"every_working_s": 200.0}]))
        found["service"] = {**every, "service_s": draw(_times(5.0, 50.0))}
    found["standby_after_s"] = draw(st.sampled_from([30.0, 90.0, 1e6]))
    found["wake_at_parts"] = draw(st.integers(1, 2))
    ways = draw(st.lists(st.sampled_from(["operating", "calendar"]), unique=True)) if luck else []
    found["failures"] = {
        f"way_{clock}": {
            "mean_between_s": draw(_times(50.0, 400.0)),
            "mean_repair_s": draw(_times(5.0, 60.0)),
            "repair_law": draw(st.sampled_from(["exponential", "lognormal"])),
            "clock": clock,
        }
        for clock in ways
    }
    found["restart_scrap_parts"] = draw(st.integers(0, 2)) if luck else 0
    if draw(st.booleans()):
        found["inspects"] = True
        found["inspection"] = {
            "finds": draw(st.sampled_from([0.5, 1.0])) if luck else 1.0,
            "false_alarms": draw(st.sampled_from([0.0, 0.3])) if luck else 0.0,
            "rework_to": None if last else draw(st.sampled_from([None, "infeed"])),
            "rework_passes": draw(st.integers(1, 2)),
        }
    return found


@st.composite
def plants(draw: st.DrawFn, luck: bool = True) -> Plant:
    """A valid plant of two to four stages, with a branch for what is taken apart."""
    n = draw(st.integers(2, 4))
    law = st.sampled_from([None, "exponential"] if luck else [None])
    # No two of them end at the same moment, where rounding would say which comes first.
    machines = [Machine(draw(_times(5.0, 40.0)) + UNEQUAL_S[m], draw(law)) for m in range(n)]
    room = [draw(st.integers(0, 5)) for _ in range(n - 1)]
    data = serial_plant(machines, room).model_dump(by_alias=True)
    extra = [draw(stations(m, m == n - 1, luck)) for m in range(n)]
    buffers = [dict(buffer) for buffer in data["buffers"]]
    buffers[0]["capacity"] = {"value": float(draw(st.integers(3, 5)))}
    for station, more in zip(data["stations"], extra, strict=True):
        own = dict(more)
        station["standby_after_s"] = {
            **station["standby_after_s"],
            "start": own.pop("standby_after_s"),
        }
        station["restart_after_s"] = 60.0
        station.update(own)
        if station.get("batch"):
            feed = next(b for b in buffers if b["name"] == station["takes_from"])
            parts = float(station["batch"]["parts"])
            feed["capacity"] = {"value": max(parts, float(feed["capacity"]["value"]))}
        feed = next(b for b in buffers if b["name"] == station["takes_from"])
        if float(feed["capacity"]["value"]) < 2.0:
            station["wake_at_parts"] = 1
    for buffer in buffers[1:]:
        if float(buffer["capacity"]["value"]) >= 1.0:
            buffer["transit_s"] = draw(st.sampled_from([0.0, 12.5009136] if luck else [0.0]))
    if any(own.get("also_takes") for own in extra):
        buffers.append({"name": "b_lids", "capacity": {"value": 4.0}})
        lids = {"name": "lids", "gives_to": "b_lids", "every_s": 9.0, "component_kg": 0.25}
        if draw(st.booleans()):  # lids are worked on before they go into a part
            buffers.append({"name": "b_raw", "capacity": {"value": 2.0}})
            lids["gives_to"] = "b_raw"
            trim = {**data["stations"][-1], "name": "trim", "takes_from": "b_raw"}
            trim |= {"gives_to": "b_lids", **ALONE, "inspects": draw(st.booleans())}
            data["stations"] = (*data["stations"], trim)
        data["supplies"] = (lids,)
    if any(own.get("also_gives") for own in extra):
        buffers.append({"name": "b_cores", "capacity": {"value": 3.0}})
        cores = {**data["stations"][n - 1], "name": "cores", "takes_from": "b_cores", **ALONE}
        data["stations"] = (*data["stations"], cores)
    data["buffers"] = tuple(buffers)
    data["disturbances"] = {"size": MIX}
    data["source"]["mixed_by"] = "size"
    data["source"]["takt_s"]["start"] = draw(_times(1.0, 60.0))
    data["source"]["wip_limit"] = draw(st.sampled_from([None, 3, 8]))
    data["crews"] = (
        {"name": "ann", "people": draw(st.integers(1, 2)), "on_duty_h": ()},
        {"name": "bob", "people": 1, "on_duty_h": ((6.0, 6.3), (6.4, 30.0))},
    )
    plant = Plant.model_validate(data)
    plant.check()
    return plant


@st.composite
def outside(draw: st.DrawFn, mixed: bool = True) -> list[float]:
    """Products that change from minute to minute; orders at once or one by one; failure rates.

    One product alone unless ``mixed``: which a part is, no reading tells.
    """
    first, more = draw(st.sampled_from([(10**9, 0), (1, 1), (5, 2)]))
    rate = draw(st.sampled_from([1.0, 3.0]))
    return [
        number
        for minute in range(60)
        for number in (
            SIZES[minute * minute // 3 % 2 if mixed else 0],
            float(first + more * minute),
            rate if 10 <= minute < 20 else 1.0,
        )
    ]
