"""The twin in step: what nobody tells is drawn by its own law."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
import pytest

from benchmarks.anchor_lines import Machine
from tests.twin.analyze.in_step import nominal, observed
from tests.twin.analyze.shifts import shift
from tests.twin.line.small_lines import Run, fixed, line_of
from twin.analyze.synchronise import synchronise
from twin.kernels.draws import PLANT, TWIN, WHAT_IF
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.residual import fresh_luck


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
