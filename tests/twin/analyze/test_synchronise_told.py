"""The twin in step: all that is told is copied, and what is not told stays as it was expected."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.anchor_lines import Machine
from tests.twin.analyze.in_step import IN_REMOTE, PLANTS, nominal, observed, true
from tests.twin.analyze.shifts import shift
from tests.twin.line.small_lines import Run, fixed, line_of
from twin.analyze.synchronise import synchronise
from twin.analyze.whatif import present
from twin.kernels.draws import TWIN
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.simulator import Simulator
from twin.line.tags import TagReader
from twin.state import LineState

MODELLED = ("power_kw", "elapsed_work_s")
"""What follows from the twin's own model and from when it thinks that the work is over."""


def in_step(line: Line, run: Run, ticket: int = 1, **told: float) -> LineState:
    twin = initial_state(nominal(line.plant.name) if line.is_truth else line, 9, TWIN)
    assert synchronise(line, twin, observed(line, run.state, **told), ticket)
    return twin


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
