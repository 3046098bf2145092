"""Random lines of all elements: both engines take the same course, and nothing appears or is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from benchmarks.anchor_lines import Machine, serial_plant
from twin.config import Plant
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.deadlock import deadlock
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.journal import Row
from twin.line.model import Line, build_line
from twin.line.snapshot import from_json, to_json
from twin.state import LineState

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
def stations(draw: st.DrawFn, n: int, last: bool) -> dict[str, Any]:
    """What one station may have beyond its cycle."""
    found: dict[str, Any] = {"servers": draw(st.integers(1, 2)), "needs": {}}
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
    found["picks"] = draw(st.sampled_from(["fifo", "lifo", "same_product"]))
    for task in s.TASKS:
        found["needs"][task] = tuple(draw(st.lists(st.sampled_from(CREWS), unique=True)))
    if draw(st.booleans()):
        every = draw(st.sampled_from([{"every_parts": 7}, {"every_working_s": 200.0}]))
        found["service"] = {**every, "service_s": draw(_times(5.0, 50.0))}
    found["standby_after_s"] = draw(st.sampled_from([30.0, 90.0, 1e6]))
    found["wake_at_parts"] = draw(st.integers(1, 2))
    ways = draw(st.lists(st.sampled_from(["operating", "calendar"]), unique=True))
    found["failures"] = {
        f"way_{clock}": {
            "mean_between_s": draw(_times(50.0, 400.0)),
            "mean_repair_s": draw(_times(5.0, 60.0)),
            "repair_law": draw(st.sampled_from(["exponential", "lognormal"])),
            "clock": clock,
        }
        for clock in ways
    }
    found["restart_scrap_parts"] = draw(st.integers(0, 2))
    if draw(st.booleans()):
        found["inspects"] = True
        found["inspection"] = {
            "finds": draw(st.sampled_from([0.5, 1.0])),
            "false_alarms": draw(st.sampled_from([0.0, 0.3])),
            "rework_to": None if last else draw(st.sampled_from([None, "infeed"])),
            "rework_passes": draw(st.integers(1, 2)),
        }
    return found


@st.composite
def plants(draw: st.DrawFn) -> Plant:
    """A valid plant of two to four stages, with a branch for what is taken apart."""
    n = draw(st.integers(2, 4))
    law = st.sampled_from([None, "exponential"])
    machines = [Machine(draw(_times(5.0, 40.0)), draw(law)) for _ in range(n)]
    room = [draw(st.integers(0, 5)) for _ in range(n - 1)]
    data = serial_plant(machines, room).model_dump(by_alias=True)
    extra = [draw(stations(m, m == n - 1)) for m in range(n)]
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
            buffer["transit_s"] = draw(st.sampled_from([0.0, 12.5]))
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
def outside(draw: st.DrawFn) -> list[float]:
    """Products that change from minute to minute; orders at once or one by one; failure rates."""
    first, more = draw(st.sampled_from([(10**9, 0), (1, 1), (5, 2)]))
    rate = draw(st.sampled_from([1.0, 3.0]))
    return [
        number
        for minute in range(60)
        for number in (
            SIZES[minute * minute // 3 % 2],
            float(first + more * minute),
            rate if 10 <= minute < 20 else 1.0,
        )
    ]


TOLD: tuple[tuple[float, dict[str, float]], ...] = (
    (700.0, {"m0.standby": 1.0, "m1.standby": 1.0}),
    (1000.0, {"m0.standby": 0.0, "m0.standby_after_s": 40.0}),
    (1100.0, {"m1.standby": 0.0, "line.takt_s": 20.0}),
)
"""What is asked for during a run."""


def run(
    line: Line, table: list[float], seed: int, stops_s: list[float], engines: str
) -> tuple[LineState, list[Row]]:
    """Up to all stops in turn, saved and restored at each, on engines that take turns."""
    state, rows = initial_state(line, seed, PLANT), list[Row]()
    choices = engines.split()
    engine(line, table, "simpy").prime(state)
    known = {element.name for element in line.elements} | {"line"}
    stops: list[tuple[float, dict[str, float]]] = [(stop_s, {}) for stop_s in stops_s]
    setpoints: dict[str, float] = {}
    for n, (stop_s, coming) in enumerate(
        [*sorted([*TOLD, *stops], key=lambda stop: stop[0]), (END_S, {})]
    ):
        state = from_json(line, to_json(line, state))
        simulator = engine(line, table, choices[n % len(choices)])
        rows += simulator.advance(state, setpoints, stop_s).rows
        setpoints = {k: v for k, v in coming.items() if k.partition(".")[0] in known}
    return state, rows


@given(
    plant=plants(),
    table=outside(),
    seed=st.integers(0, 2**31),
    cuts_s=st.lists(st.floats(0.0, END_S), max_size=3),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_random_lines(plant: Plant, table: list[float], seed: int, cuts_s: list[float]) -> None:
    line = build_line(plant)
    note(plant.model_dump_json(exclude_defaults=True))
    whole, rows = run(line, table, seed, [], "simpy")
    for stops_s, engines in (([], "compiled"), (cuts_s, "compiled simpy")):
        other, same = run(line, table, seed, stops_s, engines)
        assert same == rows
        assert other.ints == whole.ints
        assert np.array(other.floats).tobytes() == np.array(whole.floats).tobytes()
    _nothing_appears_or_is_lost(line, whole)
    _times_add_up(line, whole)
    _nobody_is_in_two_places(line, whole)
    _what_is_locked_stays_so(line, table, whole)


def _nothing_appears_or_is_lost(line: Line, state: LineState) -> None:
    f, i, k = state.floats, state.ints, line.k
    at_f, at_i = k[s.K_LINE_F], k[s.K_LINE_I]
    inside = [
        slot for slot in range(k[s.K_SLOTS]) if i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
    ]
    assert len(inside) == k[s.K_SLOTS] - i[at_i + s.FREE_SLOTS]
    buffered = sum(i[k[s.K_BUFFER_I] + b * s.B_INTS] for b in range(len(line.buffers)))
    held = [
        max(i[(n + 1) * s.E_INTS + s.IN_HAND], int(i[(n + 1) * s.E_INTS + s.SLOT] >= 0))
        for n in range(len(line.stations))
    ]
    assert len(inside) == buffered + sum(held)
    main = [
        slot
        for slot in inside
        if not i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_MARKS] & s.COMPONENT
    ]
    gone = i[at_i + s.GOOD] + i[at_i + s.LINE_SCRAPPED]
    assert i[at_i + s.RELEASED] == gone + len(main)
    mass = sum(f[k[s.K_PART_F] + slot * s.P_FLOATS + s.PART_MATERIAL_KG] for slot in inside)
    out = f[at_f + s.LINE_OUT_KG] + f[at_f + s.LINE_SCRAP_KG]
    assert abs(f[at_f + s.LINE_MATERIAL_KG] - out - mass) < 1e-6


def _times_add_up(line: Line, state: LineState) -> None:
    for n in range(len(line.stations)):
        a = (n + 1) * s.E_FLOATS
        booked_s = sum(state.floats[a + s.TIME_S : a + s.TIME_S + s.N_STATES])
        assert abs(booked_s - state.floats[a + s.BOOKED_S]) < 1e-6
        assert min(state.floats[a + s.ENERGY_KWH : a + s.ENERGY_KWH + s.N_STATES]) >= 0.0


def _nobody_is_in_two_places(line: Line, state: LineState) -> None:
    held = [state.ints[(n + 1) * s.E_INTS + s.HELD] for n in range(len(line.stations))]
    for crew in line.plant.crews:
        e = line.element(crew.name)
        on_duty, free = state.ints[e * s.E_INTS + s.OPS], state.ints[e * s.E_INTS + s.FREE]
        assert on_duty - free == held.count(e)
        assert held.count(e) <= crew.people


def _what_is_locked_stays_so(line: Line, table: list[float], state: LineState) -> None:
    """A circle of waits is never left; and a line that does nothing though it could has one."""
    circle = deadlock(line, state)
    later = state.copy()
    rows = engine(line, table, "compiled").advance(later, {}, END_S + 86400.0).rows
    works = {row[1] for row in rows if s.STATES[row[3]] == "processing"}
    assert not works & {e for e, element in enumerate(line.elements) if element.name in circle}
    at = line.k[s.K_LINE_I]
    wanted = (
        state.ints[at + s.RELEASED] - state.ints[at + s.LINE_SCRAPPED] < later.ints[at + s.ORDERED]
    )
    if not rows and wanted:
        assert circle
