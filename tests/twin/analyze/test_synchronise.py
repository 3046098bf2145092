"""The twin in step: all that is told is copied, what is not told is drawn by its own law."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from benchmarks.anchor_lines import Machine
from tests.twin.analyze.in_step import (
    IN_REMOTE,
    PLANTS,
    assert_foreseen,
    nominal,
    observed,
    true,
    without_luck,
)
from tests.twin.line.small_lines import Run, fixed, line_of
from twin.analyze.synchronise import synchronise
from twin.analyze.whatif import present
from twin.kernels.draws import PLANT, TWIN, WHAT_IF
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.residual import fresh_luck
from twin.line.scenario import build_table
from twin.line.simulator import Simulator
from twin.line.tags import TagReader
from twin.state import LineState

MODELLED = ("power_kw", "elapsed_work_s")
"""What follows from the twin's own model and from when it thinks that the work is over."""


def shift(line: Line, until_s: float, seed: int = 5) -> Run:
    """A line on its own for a while, at the takt that its orders need."""
    table = build_table(line.plant, seed, PLANT, until_s / 3600.0, utilisation=0.9)
    run = Run(line, table, seed)
    run.simulator.prime(run.state)
    return run.to(until_s)


def in_step(line: Line, run: Run, ticket: int = 1, **told: float) -> LineState:
    twin = initial_state(nominal(line.plant.name) if line.is_truth else line, 9, TWIN)
    assert synchronise(line, twin, observed(line, run.state, **told), ticket)
    return twin


# --- what is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANTS)
@pytest.mark.parametrize("until_s", [0.0, 1234.5, 7300.0])
def test_all_that_is_told_is_copied(name: str, until_s: float) -> None:
    line = true(name)
    run = shift(line, until_s)
    reader = TagReader(line)
    told = reader.read(run.state, IN_REMOTE)
    twin = in_step(line, run)
    taken = reader.read(twin, IN_REMOTE)
    assert twin.now_s == run.state.now_s
    assert reader.part_ids(twin) == reader.part_ids(run.state)
    for signal, was, now in zip(reader.signals, told, taken, strict=True):
        if not signal.name.endswith(MODELLED):
            assert now == pytest.approx(was, rel=1e-12, abs=1e-12), signal.name


@pytest.mark.parametrize("name", PLANTS)
def test_what_one_tag_does_not_tell_stays_as_the_twin_expected_it(name: str) -> None:
    """Whatever goes missing, the twin stays whole: as with the tag, but for what it says."""
    line = nominal(name)
    run = shift(line, 1800.0)
    reader = TagReader(line)
    twin = in_step(line, run)
    simulator = Simulator(line, present(line, twin))
    simulator.advance(twin, {}, 1830.0)
    run.to(1830.0)
    expected = reader.read(twin, IN_REMOTE)
    for at, signal in enumerate(reader.signals):
        if signal.name.startswith("control.") or signal.name.endswith(".state"):
            continue
        lost = twin.copy()
        assert synchronise(line, lost, observed(line, run.state, [signal.name]), 2), signal
        now = reader.read(lost, IN_REMOTE)
        assert np.isfinite(now).all(), signal
        own_kind = not signal.name.endswith(MODELLED) and ".level" not in signal.name
        sums = ("line.energy_kwh", "line.gas_kwh", "line.wip")
        since = signal.name.endswith("state_since_s")
        if own_kind and signal.name not in sums and not since:
            assert now[at] == pytest.approx(expected[at], abs=1e-9), signal
        simulator.advance(lost, {}, 2400.0)
        assert np.isfinite(reader.read(lost, IN_REMOTE)).all(), signal


@pytest.mark.parametrize("state", [math.nan, -1.0, float(s.N_STATES), 99.0, 3.5, 1e300])
def test_a_station_without_a_state_leaves_the_twin_as_it_is(state: float) -> None:
    line = nominal("machining_line")
    run = shift(line, 1000.0)
    twin = in_step(line, run)
    before = twin.copy()
    run.to(1030.0)
    assert not synchronise(line, twin, observed(line, run.state, wash__state=state), 2)
    assert (twin.now_s, twin.floats, twin.ints) == (before.now_s, before.floats, before.ints)


def test_the_number_of_failures_is_told_and_copied() -> None:
    machines = [Machine(7.0, None, 80.0, 25.0), Machine(7.5, None, 60.0, 15.0)]
    line = line_of(machines, [2])
    run = Run(line).to(3000.0)
    twin = initial_state(line, 9, TWIN)
    seen = observed(line, run.state)
    assert seen["m0.failure_count"] > 10
    assert synchronise(line, twin, seen, 1)
    again = observed(line, twin)
    assert again["m0.failure_count"] == seen["m0.failure_count"]
    assert again["m1.failure_count"] == seen["m1.failure_count"]


# --- what follows from it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cycles_s", "room", "time_out_s"),
    [((5.0, 6.5, 6.0), [3, 1], 1e6), ((6.0, 9.0, 5.0), [1, 2], 40.0), ((7.0, 7.0), [0], 1e6)],
)
def test_on_a_line_without_luck_the_twin_foresees_every_event(
    cycles_s: tuple[float, ...], room: list[int], time_out_s: float
) -> None:
    line = line_of(fixed(*cycles_s), room, stations__1__standby=True)
    plant = Run(line)
    plant.simulator.prime(plant.state)
    plant.to(0.0, **{f"m{n}__standby_after_s": time_out_s for n in range(len(cycles_s))})
    plant.to(0.0, line__takt_s=30.0 if time_out_s < 1e6 else 6.0)
    twin = initial_state(line, 9, TWIN)
    simulator = Simulator(line, present(line, plant.state))
    for n in range(40):
        assert synchronise(line, twin, observed(line, plant.state), n)
        assert_foreseen(line, plant, twin, plant.state.now_s + 60.0)
        simulator.advance(twin, {}, 7.3 * (n + 1))
        plant.to(7.3 * (n + 1))


def test_on_a_machining_line_without_luck_the_twin_foresees_every_event() -> None:
    line = without_luck("machining_line")
    plant = shift(line, 0.0)
    plant.to(0.0, turning__standby_after_s=60.0, wash__standby_after_s=60.0, line__takt_s=90.0)
    twin = initial_state(line, 9, TWIN)
    for n in range(60):
        assert synchronise(line, twin, observed(line, plant.state), n)
        hour = 60.0 * math.ceil(plant.state.now_s / 60.0 + 1e-9)  # the next row of the table
        assert_foreseen(line, plant, twin, max(hour, plant.state.now_s))
        simulator = Simulator(line, present(line, twin))
        plant.to(45.0 * (n + 1))
        simulator.advance(twin, {}, 45.0 * (n + 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"buffers__1__transit_s": 31.7},
        {
            "crews": ({"name": "ann", "people": 1},),
            "stations__0__needs": {"work": ("ann",)},
            "stations__2__needs": {"work": ("ann",)},
        },
        {"stations__1__batch": {"parts": 3, "at_least": 2}},
        {"stations__1__service": {"every_parts": 3, "service_s": 41.3}},
        {"supplies": ({"name": "lids", "gives_to": "b1", "every_s": 77.7, "component_kg": 0.3},)},
    ],
    ids=["belt", "crew", "batch", "service", "supply"],
)
def test_a_twin_that_comes_anew_foresees_the_course_of_each_element(
    changes: dict[str, object],
) -> None:
    line = line_of(fixed(23.137, 19.411, 20.773), [4, 4], **changes)
    plant = Run(line)
    plant.simulator.prime(plant.state)
    for n in range(1, 60):
        plant.to(11.83 * n)
        twin = initial_state(line, 9, TWIN)
        assert synchronise(line, twin, observed(line, plant.state), n)
        assert_foreseen(line, plant, twin, plant.state.now_s + 90.0)


def test_a_finished_part_is_not_made_again_after_a_repair_that_came_over_it() -> None:
    failure = {"mean_between_s": 1e9, "mean_repair_s": 60.0, "clock": "calendar"}
    line = line_of(fixed(5.0, 500.0), [0], stations__0__failures={"power": failure})
    plant = Run(line)
    plant.simulator.prime(plant.state)
    plant.to(20.0)
    a, b = s.E_FLOATS, s.E_INTS
    assert plant.state.ints[b + s.STATE] == s.BLOCKED
    plant.state.floats[a + s.DUE_S], plant.state.ints[b + s.PENDING] = 30.0, s.STRUCK
    plant.to(31.0)
    twin = initial_state(line, 9, TWIN)
    assert synchronise(line, twin, observed(line, plant.state), 1)
    assert twin.ints[b + s.STATE] == s.DOWN
    assert twin.floats[a + s.WORK_LEFT_S] == 0.0
    made = twin.ints[b + s.OPS]
    Simulator(line, present(line, twin)).advance(twin, {}, 450.0)
    assert twin.ints[b + s.STATE] == s.BLOCKED
    assert twin.ints[b + s.OPS] == made


@pytest.mark.parametrize(
    ("name", "nonsense"),
    [
        ("b0", (1, 1)),
        ("b0", (0, 5)),
        ("b0", (-3,)),
        ("b0", (2**63,)),
        ("b0", tuple(range(1, 99))),
        ("m1", (7,)),
    ],
)
def test_a_list_that_cannot_be_is_as_good_as_untold(name: str, nonsense: tuple[int, ...]) -> None:
    line = line_of(fixed(23.1, 19.4, 20.7), [4, 4], stations__1__batch={"parts": 3})
    plant = Run(line)
    plant.simulator.prime(plant.state)
    plant.to(333.0)
    seen, twin = observed(line, plant.state), initial_state(line, 9, TWIN)
    assert synchronise(line, twin, seen, 1)
    own = TagReader(line).part_ids(twin)[name]
    lied = replace(seen, part_ids={**seen.part_ids, name: nonsense})
    assert synchronise(line, twin, lied, 2)
    assert TagReader(line).part_ids(twin)[name] == own


def test_a_twin_that_joins_a_running_line_knows_when_its_parts_are_done() -> None:
    line = line_of(fixed(50.0, 40.0, 45.0), [4, 4])
    plant = Run(line).to(1017.0)
    twin = initial_state(line, 9, TWIN)
    assert synchronise(line, twin, observed(line, plant.state), 1)
    assert_foreseen(line, plant, twin, 1400.0)


# --- what nobody tells ----------------------------------------------------------------------------


def assert_law(sample: Sequence[float], cdf: Callable[[float], float]) -> None:
    """Kolmogorov and Smirnov's test at 0.1 %: seeds are fixed, so this says yes or no for ever."""
    n = len(sample)
    reached = np.array([cdf(x) for x in sorted(sample)])
    steps = np.arange(n + 1) / n
    distance = max((steps[1:] - reached).max(), (reached - steps[:-1]).max())
    assert distance < 1.95 / math.sqrt(n), distance


@pytest.mark.parametrize("mode", [0, 1])
def test_operating_time_to_the_next_failure_has_no_memory(mode: int) -> None:
    line = nominal("machining_line")
    run = shift(line, 3000.0)
    seen = observed(line, run.state)
    twin = initial_state(line, 9, TWIN)
    sample = []
    for ticket in range(2000):
        assert synchronise(line, twin, seen, ticket)
        sample.append(twin.floats[s.E_FLOATS * 2 + s.TO_FAILURE_S + mode])
    mean = (2700.0, 144000.0)[mode]
    assert_law(sample, lambda x: 1.0 - math.exp(-x / mean))


def lognormal(mean: float, cv: float) -> Callable[[float], float]:
    variance = math.log(1.0 + cv * cv)
    law = NormalDist(math.log(mean) - variance / 2.0, math.sqrt(variance))
    return lambda x: law.cdf(math.log(x)) if x > 0.0 else 0.0


def conditional(
    kinds: Sequence[tuple[float, Callable[[float], float]]], elapsed_s: float
) -> Callable[[float], float]:
    """Law of what is left of a repair: mixture of its kinds by how often each comes."""

    def beyond(x: float) -> float:
        return sum((1.0 - cdf(x)) / between for between, cdf in kinds)

    return lambda left: 1.0 - beyond(elapsed_s + left) / beyond(elapsed_s)


def repairs_left(line: Line, elapsed_s: float, n: int, element: int = 1) -> list[float]:
    """How long the repair of a broken station still takes, asked ``n`` times."""
    state = Run(line).to(600.0).state
    name = line.elements[element].name
    told = {f"{name}__state": float(s.DOWN), f"{name}__state_since_s": 600.0 - elapsed_s}
    seen = observed(line, state, **told)
    twin = initial_state(line, 9, TWIN)
    left = []
    for ticket in range(n):
        assert synchronise(line, twin, seen, ticket)
        assert twin.ints[element * s.E_INTS + s.PENDING] == s.REPAIRED
        left.append(twin.floats[element * s.E_FLOATS + s.DUE_S] - 600.0)
    return left


@pytest.mark.parametrize("elapsed_s", [0.0, 100.0, 1500.0])
def test_what_is_left_of_a_repair_follows_from_how_long_it_has_taken(elapsed_s: float) -> None:
    line = nominal("machining_line")
    run = shift(line, 2000.0)
    told = {"turning__state": float(s.DOWN), "turning__state_since_s": 2000.0 - elapsed_s}
    seen = observed(line, run.state, **told)
    twin = initial_state(line, 9, TWIN)
    sample, forked = [], []
    for ticket in range(2000):
        assert synchronise(line, twin, seen, ticket)
        sample.append(twin.floats[s.E_FLOATS + s.DUE_S] - 2000.0)
        fork = twin.copy()
        fresh_luck(WHAT_IF + ticket, fork.now_s, fork.floats, fork.ints, line.c, line.k)
        forked.append(fork.floats[s.E_FLOATS + s.DUE_S] - 2000.0)
    kinds = [(2700.0, lognormal(120.0, 1.0)), (144000.0, lognormal(3600.0, 1.0))]
    assert_law(sample, conditional(kinds, elapsed_s))
    assert_law(forked, conditional(kinds, elapsed_s))
    assert abs(np.corrcoef(sample, forked)[0, 1]) < 0.08


def test_an_exponential_repair_has_no_memory() -> None:
    line = line_of([Machine(7.0, None, 80.0, 25.0)], [])
    assert line.c[s.EC + s.C_REPAIR_LAW] == s.EXPONENTIAL
    for elapsed_s in (1.0, 90.0):
        sample = repairs_left(line, elapsed_s, 2000)
        assert_law(sample, lambda x: 1.0 - math.exp(-x / 25.0))


def test_a_repair_that_always_takes_as_long_is_over_when_it_is_over() -> None:
    changes = {"repair_law": "lognormal", "repair_cv": 0.0}
    changes |= {"mean_between_s": {"value": 80.0}, "mean_repair_s": {"value": 25.0}}
    line = line_of([Machine(7.0, None)], [], stations__0__failures={"stop": changes})
    assert repairs_left(line, 10.0, 3) == pytest.approx([15.0] * 3, abs=1e-6)
    assert repairs_left(line, 26.0, 3) == pytest.approx([0.0] * 3, abs=2e-3)


def test_a_repair_may_be_one_of_a_failure_in_calendar_time() -> None:
    power = {"mean_between_s": 400.0, "mean_repair_s": 60.0, "repair_law": "lognormal"}
    power |= {"repair_cv": 0.5, "clock": "calendar"}
    stop = {"mean_between_s": 900.0, "mean_repair_s": 20.0, "repair_law": "lognormal"}
    kinds = [(400.0, lognormal(60.0, 0.5)), (900.0, lognormal(20.0, 1.0))]
    for failures, of in (({"power": power}, kinds[:1]), ({"power": power, "stop": stop}, kinds)):
        line = line_of([Machine(7.0, None)], [], stations__0__failures=failures)
        for elapsed_s in (5.0, 50.0):
            assert_law(repairs_left(line, elapsed_s, 2000), conditional(of, elapsed_s))


def test_an_oven_that_is_down_stays_down_for_a_while_in_the_twin_too() -> None:
    line = nominal("paint_cure_line")
    run = shift(line, 3600.0)
    told = {"oven__state": float(s.DOWN), "oven__state_since_s": 3590.0}
    twin = initial_state(line, 9, TWIN)
    e = line.element("oven")
    ends = []
    for ticket in range(50):
        assert synchronise(line, twin, observed(line, run.state, **told), ticket)
        ends.append(twin.floats[e * s.E_FLOATS + s.WORK_LEFT_S])
        fork = twin.copy()
        fresh_luck(WHAT_IF + 1, fork.now_s, fork.floats, fork.ints, line.c, line.k)
        assert fork.floats[e * s.E_FLOATS + s.WORK_LEFT_S] > 3600.0
    assert min(ends) > 3600.0
    assert len(set(ends)) == 50


def test_the_next_failures_of_the_twin_are_its_own() -> None:
    line = nominal("machining_line")
    a = [n * s.E_FLOATS + s.TO_FAILURE_S for n in range(1, 6)]
    mine, plants = [], []
    for seed in range(400):
        state = initial_state(line, seed, PLANT)
        twin = initial_state(line, seed, TWIN)  # even under the same seed
        assert synchronise(line, twin, observed(line, state), 0)
        mine += [twin.floats[column] for column in a]
        plants += [state.floats[column] for column in a]
    assert abs(np.corrcoef(np.log(mine), np.log(plants))[0, 1]) < 0.07


def test_a_long_rest_is_known_to_spoil_the_first_parts() -> None:
    changes = {"stations__0__restart_scrap_parts": 3, "stations__0__restart_after_s": 50.0}
    line = line_of(fixed(5.0, 5.0), [3], **changes)
    plant = Run(line)
    plant.simulator.prime(plant.state)
    twin = initial_state(line, 9, TWIN)
    rest = s.E_FLOATS + s.REST_SINCE_S
    for n in range(1, 30):
        plant.to(6.0 * n, line__takt_s=6.0 if n < 10 else 1000.0)
        assert synchronise(line, twin, observed(line, plant.state), n)
        if plant.state.ints[s.E_INTS + s.STATE] != s.PROCESSING:
            assert twin.floats[rest] == pytest.approx(plant.state.floats[rest])
    assert twin.now_s - twin.floats[rest] > 50.0


@pytest.mark.parametrize("law", ["exponential", "lognormal"])
@pytest.mark.parametrize("elapsed_s", [0.0, 40.0, 150.0])
def test_what_is_left_of_a_cycle_that_scatters_follows_from_how_long_it_has_taken(
    law: str, elapsed_s: float
) -> None:
    scatter = {"law": law, "cv": 0.5} if law == "lognormal" else {"law": law}
    line = line_of(fixed(100.0, 5.0), [3], stations__0__cycle_scatter=scatter)
    run = Run(line)
    run.simulator.prime(run.state)
    run.to(1.0)
    told = {"m0__state": float(s.PROCESSING), "m0__elapsed_work_s": elapsed_s}
    twin, left, ends = initial_state(line, 9, TWIN), [], set()
    for ticket in range(3000):
        assert synchronise(line, twin, observed(line, run.state, **told), ticket)
        left.append(twin.floats[s.E_FLOATS + s.WORK_LEFT_S])
        assert twin.floats[s.E_FLOATS + s.CYCLE_S] == pytest.approx(elapsed_s + left[-1])
    for world in range(50):
        fork = twin.copy()
        fresh_luck(WHAT_IF + world, fork.now_s, fork.floats, fork.ints, line.c, line.k)
        ends.add(fork.floats[s.E_FLOATS + s.DUE_S])
    assert len(ends) == 50
    if law == "exponential":
        expected = np.quantile(left, [0.25, 0.5, 0.75]) / 100.0
        assert expected == pytest.approx(-np.log([0.75, 0.5, 0.25]), rel=0.1)
        return
    sigma = math.sqrt(math.log(1.25))
    mu = math.log(100.0) - sigma**2 / 2.0
    beyond = 1.0 - NormalDist(mu, sigma).cdf(math.log(max(elapsed_s, 1e-9)))
    for share in (0.25, 0.5, 0.75):
        whole = math.exp(NormalDist(mu, sigma).inv_cdf(1.0 - beyond * (1.0 - share)))
        assert np.quantile(left, share) == pytest.approx(whole - elapsed_s, rel=0.1)
