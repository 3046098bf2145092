"""The engine: windows, ties, snapshots, common luck, and what holds on every line at every time."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.anchor_lines import Machine, serial_plant
from tests.twin.line.small_lines import Run, fixed, line_of, table_of
from twin.cycle import Event
from twin.kernels import draws
from twin.kernels.draws import PLANT, TWIN, WHAT_IF
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.simulator import Simulator

# --- an independent witness ----------------------------------------------------------------------


def generator_line(
    machines: Sequence[Machine], room: Sequence[int], parts: int, seed: int
) -> list[list[float]]:
    """The same line as SimPy processes and stores: when each machine let each part go."""
    env = simpy.Environment()
    stores = [simpy.Store(env, capacity=places) for places in room]
    left: list[list[float]] = [[] for _ in machines]

    def drawn(m: int, purpose: int, index: int, mean: float) -> float:
        return draws.exponential(seed, PLANT, m + 1, purpose, index, mean)

    def machine(m: int) -> Generator[Any, Any, None]:
        own, failures = machines[m], 0
        between, repair = own.between_s, own.repair_s or 0.0
        to_failure = drawn(m, draws.TIME_TO_FAILURE, 0, between) if between else math.inf
        for part in range(1, parts + 1):
            if m:
                yield stores[m - 1].get()
            work = own.cycle_s
            if own.law == "exponential":
                work *= drawn(m, draws.CYCLE, part, 1.0)
            while to_failure < work:
                yield env.timeout(to_failure)
                work -= to_failure
                yield env.timeout(drawn(m, draws.REPAIR, 2 * failures, repair))
                failures += 1
                to_failure = drawn(m, draws.TIME_TO_FAILURE, 2 * failures, between or 0.0)
            yield env.timeout(work)
            to_failure -= work
            if m < len(room):
                yield stores[m].put(part)
            left[m].append(env.now)

    for m in range(len(machines)):
        env.process(machine(m))
    env.run()
    return left


WITNESSED = {
    "exponential": ([Machine(5.0), Machine(6.0), Machine(5.5)], [2, 1]),
    "fixed": ([Machine(5.0, None), Machine(6.5, None), Machine(6.0, None)], [3, 1]),
    "failing": ([Machine(7.0, None, 80.0, 25.0), Machine(7.5, None, 60.0, 15.0)], [2]),
    "all": ([Machine(5.0, "exponential", 90.0, 20.0)] * 5, [1, 4, 2, 1]),
}


@pytest.mark.parametrize("case", WITNESSED)
def test_departures_are_those_of_a_generator_model_bit_for_bit(case: str) -> None:
    machines, room = WITNESSED[case]
    parts, seed = 800, 11
    expected = generator_line(machines, room, parts, seed)
    # The witness has a first part at hand at 0, and so has the line: its source never runs dry.
    run = Run(build_line(serial_plant(machines, room)), seed=seed)
    run.to(max(times[-1] for times in expected) + 1.0)
    for m, times in enumerate(expected):
        left = [
            time_s
            for time_s, name, before, after in run.moves
            if name == f"m{m}" and after == "idle" and before in ("processing", "blocked")
        ]
        assert left[:parts] == times


# --- windows, ties, what comes back --------------------------------------------------------------


def test_a_window_is_half_open() -> None:
    run = Run(line_of(fixed(5.0), [])).to(5.0)
    assert run.state.now_s == 5.0
    assert run.count(s.GOOD) == 0
    run.to(5.0)
    assert run.count(s.GOOD) == 0
    run.to(math.nextafter(5.0, 6.0))
    assert run.count(s.GOOD) == 1


def test_events_are_a_sequence_of_records() -> None:
    line = line_of(fixed(5.0, 8.0), [1])
    events = Simulator(line, table_of()).advance(initial_state(line, 1, PLANT), {}, 6.0)
    assert events[0] == Event(0, "m0", s.IDLE, s.PROCESSING, 1)
    assert list(events) == [events[n] for n in range(len(events))]
    assert list(events[1:3]) == list(events)[1:3]
    assert events[-1] == Event(5_000_000, "m0", s.IDLE, s.PROCESSING, 2)
    with pytest.raises(IndexError):
        events[len(events)]


def test_ties_are_broken_by_class_then_station() -> None:
    # At 60: new orders first, then the stations in their order, then the source.
    line = line_of(fixed(60.0, 60.0), [1], source__takt_s__start=60.0)
    run = Run(line, table_of((1, 3))).to(60.5)
    assert [move for move in run.moves if move[0] == 60.0] == [
        (60.0, "m0", "processing", "idle"),
        (60.0, "m1", "idle", "processing"),
        (60.0, "m0", "idle", "processing"),
    ]
    assert (run.count(s.ORDERED), run.count(s.RELEASED)) == (3, 2)


def busy_line() -> Line:
    """Everything that a serial line can do."""
    machines = [Machine(9.0, "exponential", 70.0, 20.0), Machine(8.0, "lognormal"), Machine(9.5)]
    return line_of(
        machines,
        [2, 0],
        source__takt_s__start=8.0,
        stations__0__parameters={"cycle_time_s": 9.0, "power_kw": 0.7, "defect": 0.2},
        stations__1__inspects=True,
        stations__1__standby_after_s__start=30.0,
        stations__2__restart_scrap_parts=1,
        stations__2__restart_after_s=60.0,
    )


@settings(max_examples=40, deadline=None)
@given(
    stops=st.lists(st.floats(0.0, 900.0), max_size=12).map(sorted),
    seed=st.integers(0, 2**40),
)
def test_a_run_in_pieces_from_copies_is_the_same_run(stops: list[float], seed: int) -> None:
    line, table = busy_line(), table_of((30, 40, 90), (1.0, 1.0, 3.0, 3.0, 1.0))
    whole = Run(line, table, seed).to(900.0)
    pieces = Run(line, table, seed)
    for stop in stops:
        pieces.to(stop)
        pieces.state = pieces.state.copy()
        pieces.simulator = Simulator(line, table)
    pieces.to(900.0)
    assert pieces.state == whole.state
    assert pieces.moves == whole.moves


def test_a_run_leaves_a_copy_alone() -> None:
    run = Run(busy_line()).to(100.0)
    snapshot = run.state.copy()
    before = snapshot.copy()
    run.to(500.0)
    assert snapshot == before


# --- refusals ------------------------------------------------------------------------------------


def test_time_does_not_run_back() -> None:
    run = Run(busy_line()).to(50.0)
    before = run.state.copy()
    for bad in (49.9, math.nan):
        with pytest.raises(ValueError, match="cannot run back"):
            run.to(bad)
    assert run.state == before


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_setpoint_must_be_a_number(bad: float) -> None:
    run = Run(busy_line()).to(50.0)
    before = run.state.copy()
    with pytest.raises(ValueError, match=r"line\.takt_s"):
        run.to(60.0, m0__standby=1.0, line__takt_s=bad)
    assert run.state == before


@pytest.mark.parametrize("name", ["m0.speed", "m9.standby", "line.standby", "m1.standby"])
def test_a_setpoint_must_exist(name: str) -> None:
    run = Run(line_of(fixed(5.0, 5.0), [1], stations__1__standby=False)).to(50.0)
    before = run.state.copy()
    with pytest.raises(KeyError, match=r"has no setpoint .*m0\.standby"):
        run.to(60.0, m0__standby=1.0, **{name: 1.0})
    assert run.state == before


# --- luck ----------------------------------------------------------------------------------------


def work_between_failures(run: Run, name: str) -> list[float]:
    """Operating time from each failure to the next."""
    worked, began, found = 0.0, 0.0, []
    for time_s, mover, before, after in run.moves:
        if mover != name:
            continue
        if after == "processing":
            began = time_s
        if before == "processing":
            worked += time_s - began
        if after == "down":
            found.append(worked)
            worked = 0.0
    return found


def repairs(run: Run, name: str) -> list[float]:
    downs, ups = run.times(name, "processing", "down"), run.times(name, "down", "processing")
    return [up - down for down, up in zip(downs, ups, strict=False)]


def test_two_controllers_face_the_same_luck() -> None:
    machines = [Machine(9.0, "exponential", 70.0, 20.0)] * 3
    line = line_of(machines, [2, 2])
    hasty, calm = Run(line, seed=5).to(9000.0), Run(line, seed=5)
    for n in range(9):
        calm.to(1000.0 * (n + 1), line__takt_s=10.0 + 7.0 * (n % 3), m1__standby=float(n % 2))
    for name in ("m0", "m1", "m2"):
        one, other = work_between_failures(hasty, name), work_between_failures(calm, name)
        common = min(len(one), len(other))
        assert common > 15
        assert len(one) != len(other)
        assert one[:common] == pytest.approx(other[:common])
        common = min(len(repairs(hasty, name)), len(repairs(calm, name)))
        assert repairs(hasty, name)[:common] == pytest.approx(repairs(calm, name)[:common])


def next_failures(line: Line, seed: int, world: int, until_s: float = 0.0) -> list[float]:
    run = Run(line, seed=seed, world=world).to(until_s)
    return [run.amount(name, s.TO_FAILURE_S) for name in ("m0", "m1")]


@pytest.mark.parametrize("until_s", [0.0, 800.0], ids=["fresh", "under way"])
def test_the_next_failures_of_a_twin_say_nothing_of_those_of_the_plant(until_s: float) -> None:
    line = line_of([Machine(9.0, None, 70.0, 20.0)] * 2, [2])
    seeds = range(40 if until_s else 600)
    plant = np.array([next_failures(line, seed, PLANT, until_s) for seed in seeds])
    for world in (TWIN, WHAT_IF, WHAT_IF + 1):
        # Even with the seed of the plant, which no twin is ever given.
        twin = np.array([next_failures(line, seed, world, until_s) for seed in seeds])
        for station in (0, 1):
            r = np.corrcoef(plant[:, station], twin[:, station])[0, 1]
            assert abs(r) * math.sqrt(len(seeds)) < 4.5
        assert not set(plant.ravel()) & set(twin.ravel())


def test_a_twin_draws_the_same_whatever_the_plant_has_drawn() -> None:
    line = line_of([Machine(9.0, None, 70.0, 20.0)] * 2, [2])
    alone = Run(line, seed=3, world=TWIN).to(2000.0)
    plant, beside = Run(line, seed=4), Run(line, seed=3, world=TWIN)
    for n in range(20):
        plant.to(500.0 * n)
        beside.to(100.0 * n)
    assert beside.to(2000.0).state == alone.state


# --- what always holds ---------------------------------------------------------------------------

MACHINES = st.builds(
    Machine,
    cycle_s=st.sampled_from([5.0, 7.5, 10.0, 12.3]),
    law=st.sampled_from([None, "exponential"]),
    between_s=st.just(60.0),
    repair_s=st.sampled_from([5.0, 40.0]),
)
STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 120.0),
        st.dictionaries(
            st.sampled_from(
                ["line.takt_s", "m0.standby", "m1.standby", "m0.standby_after_s", "m1.standby"]
            ),
            st.integers(0, 1),
            max_size=3,
        ),
    ),
    max_size=15,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_nothing_is_lost_and_nobody_sleeps_on_work(data: st.DataObject) -> None:
    machines = data.draw(st.lists(MACHINES, min_size=2, max_size=4))
    room = data.draw(st.lists(st.integers(0, 3), min_size=len(machines) - 1, max_size=3))
    room = (room + [1] * len(machines))[: len(machines) - 1]
    cycle_s = machines[0].cycle_s
    line = line_of(
        machines,
        room,
        buffers__0__capacity={"value": float(data.draw(st.integers(0, 3)))},
        source__takt_s__start=data.draw(st.sampled_from([1e-6, 6.0, 15.0])),
        stations__0__parameters={"cycle_time_s": cycle_s, "power_kw": 0.7, "defect": 0.2},
        stations__1__inspects=data.draw(st.booleans()),
        stations__1__standby_after_s__start=data.draw(st.sampled_from([30.0, 1e6])),
    )
    table = table_of(data.draw(st.sampled_from([(10**6,), (5, 20, 21, 60)])))
    run = Run(line, table, seed=data.draw(st.integers(0, 1000)))
    values = {"line.takt_s": (5.0, 20.0), "m0.standby_after_s": (30.0, 1e6)}
    for step_s, switches in data.draw(STEPS):
        asked = {name: values.get(name, (0.0, 1.0))[on] for name, on in switches.items()}
        run.to(run.state.now_s + step_s, **asked)
        check_conservation(run)
        check_energy(run)
        check_nobody_waits_in_vain(run)


def check_conservation(run: Run) -> None:
    """Every part released is good, scrap, or somewhere in the line, in the order of release."""
    line, i, k = run.line, run.state.ints, run.line.k
    inside: list[int] = []
    for n in reversed(range(len(line.stations))):
        slot = run.counter(f"m{n}", s.SLOT)
        buffer = k[s.K_BUFFER_I] + n * s.B_INTS
        places, first = (k[k[s.K_BUFFER_K] + s.BK * n + offset] for offset in (0, 1))
        assert 0 <= i[buffer + s.LEVEL] <= max(places, 1)
        slots = [slot] if slot >= 0 else []
        for place in range(i[buffer + s.LEVEL]):
            at = (i[buffer + s.HEAD] + place) % max(places, 1)
            slots.append(i[k[s.K_RING_I] + first + at])
        inside += [i[k[s.K_PART_I] + part * s.P_INTS + s.PART_ID] for part in slots]
    assert inside == sorted(set(inside))
    assert 0 not in inside
    good, scrap = run.count(s.GOOD), run.count(s.LINE_SCRAPPED)
    assert run.count(s.RELEASED) == run.count(s.NEXT_PART) == good + scrap + len(inside)
    assert run.count(s.FREE_SLOTS) == k[s.K_SLOTS] - len(inside)
    assert scrap == sum(run.counter(e.name, s.SCRAPPED) for e in line.stations)
    assert run.count(s.RELEASED) - scrap <= run.count(s.ORDERED)
    assert run.count(s.QUEUE_LENGTH) == 0


def check_energy(run: Run) -> None:
    """State times add up to the time, energies to power times time."""
    for n, element in enumerate(run.line.stations):
        times = run.time_in(element.name)
        assert math.isclose(sum(times.values()), run.state.now_s, rel_tol=1e-12, abs_tol=1e-9)
        power = {"standby": 0.1, "idle": 0.4, "warm_up": 0.5, "blocked": 0.4, "down": 0.4}
        a = (n + 1) * s.E_FLOATS
        f = run.state.floats
        for state, name in enumerate(s.STATES):
            booked_s, booked_kwh = f[a + s.TIME_S + state], f[a + s.ENERGY_KWH + state]
            if name == "processing":
                # A cycle's energy is spread over its time, 0.7 kW for the fixed and scattered alike.
                assert math.isclose(
                    booked_kwh, 0.7 * booked_s / 3600.0, rel_tol=1e-9, abs_tol=1e-12
                )
            else:
                expected = power.get(name, 0.0) * booked_s / 3600.0
                assert math.isclose(booked_kwh, expected, rel_tol=1e-9, abs_tol=1e-12)


def check_nobody_waits_in_vain(run: Run) -> None:
    """No station idles beside work, none is blocked before room."""
    i, k = run.state.ints, run.line.k
    for n in range(len(run.line.stations)):
        name = f"m{n}"
        state, asked = run.counter(name, s.STATE), run.counter(name, s.STANDBY_ASKED)
        level = i[k[s.K_BUFFER_I] + n * s.B_INTS + s.LEVEL]
        if state in (s.IDLE, s.STANDBY) and not asked and run.counter(name, s.SLOT) < 0:
            assert level == 0
        assert not (state == s.IDLE and asked)
        if state == s.BLOCKED and n + 1 < len(run.line.stations):
            behind = k[k[s.K_BUFFER_K] + s.BK * (n + 1)]
            level_behind = i[k[s.K_BUFFER_I] + (n + 1) * s.B_INTS + s.LEVEL]
            if behind:
                assert level_behind == behind
            else:
                next_state = run.counter(f"m{n + 1}", s.STATE)
                assert next_state != s.IDLE or level_behind == 1
    open_orders = run.count(s.RELEASED) - run.count(s.LINE_SCRAPPED) < run.count(s.ORDERED)
    if open_orders and i[k[s.K_BUFFER_I] + s.LEVEL] < k[k[s.K_BUFFER_K]]:
        assert run.amount("blanks", s.DUE_S) >= run.state.now_s
        assert run.amount("blanks", s.DUE_S) < math.inf
