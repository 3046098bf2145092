"""Queueing theory holds the simulator to account: a quick look, benchmarks/anchors.py has it all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.anchor_cases import BOWLS, UNIT_S, Effort, anchors, bowl
from benchmarks.anchor_lines import SATURATED, Machine, throughput_per_s
from benchmarks.anchor_window import STOPS, WINDOW, delay, last_departure
from benchmarks.anchors import (
    CONFIDENCE,
    ENGINES,
    estimate,
    replication,
    replications,
    simulated_line,
    student,
    table_of,
)
from twin.line.compiled import CompiledSimulator
from twin.line.simulator import Simulator

CASES = {anchor.case: anchor for anchor in anchors()}
QUICK = (
    "A1 M/M/1/5, arrivals 0.8",
    "A2 two machines, 1 places",
    "A3 3 machines, no places",
    "A4 three machines, 2 places",
    "A6 two unreliable machines, 2 places",
    "A7 fluid line, room for 5 units",
    "A9 wakes at 3, set-up 2",
)


@pytest.mark.parametrize(
    "case", [case for case, a in CASES.items() if a.is_chain and a.closed_form]
)
def test_the_markov_chain_gives_the_closed_form(case: str) -> None:
    assert CASES[case].expected == pytest.approx(CASES[case].closed_form, rel=1e-12)


def test_a_fast_neighbour_does_not_matter() -> None:
    # Three machines, the middle one almost infinitely fast: two machines with one more place.
    middle = Machine(1e-9)
    three = throughput_per_s([Machine(5.0), middle, Machine(5.0)], [1, 1])
    two = throughput_per_s([Machine(5.0), Machine(5.0)], [3])
    assert three == pytest.approx(two, rel=1e-6)


def test_a_line_runs_as_well_backwards() -> None:
    # Reversibility of tandem lines: Yamazaki and Sakasegawa, 1975; Muth, Management Science, 1979.
    machines, room = [Machine(5.0), Machine(7.0), Machine(4.0, "exponential", 50.0, 9.0)], [2, 1]
    forwards = throughput_per_s(machines, room)
    backwards = throughput_per_s(machines[::-1], room[::-1])
    assert forwards == pytest.approx(backwards, rel=1e-10)


def test_students_quantiles() -> None:
    # Tables: t for 99.9 % with 30, 100 and very many degrees of freedom.
    assert student(0.999, 30) == pytest.approx(3.6460, abs=0.01)
    assert student(0.999, 100) == pytest.approx(3.3905, abs=0.001)
    assert student(0.999, 10**9) == pytest.approx(3.2905, abs=0.0001)


def test_what_is_regressed_out_narrows_the_interval_and_keeps_the_mean() -> None:
    rows = [[5.0 + 3.0 * x + y, x] for x in (-2.0, -1.0, 1.0, 2.0) for y in (-0.1, 0.1)]
    mean, half_width = estimate(rows, 0.95)
    plain_mean, plain_half_width = estimate([[row[0]] for row in rows], 0.95)
    assert mean == pytest.approx(plain_mean) == pytest.approx(5.0)
    assert half_width < plain_half_width / 10.0


@pytest.mark.parametrize("case", QUICK)
def test_simulated_figure_is_the_exact_one(case: str) -> None:
    effort = Effort(40, 1_000.0, 200.0)
    anchor = replace(CASES[case], grain=10)  # a buffer is empty or it is not
    simulator = Simulator(simulated_line(anchor), SATURATED)
    seeds = range(anchor.first_seed, anchor.first_seed + effort.replications)
    samples = [replication(anchor, simulator, seed, effort) for seed in seeds]
    simulated, half_width = estimate(table_of(samples), CONFIDENCE)
    assert half_width < 0.01 * anchor.expected
    assert abs(simulated - anchor.expected) <= half_width


@pytest.mark.parametrize("case", CASES)
def test_the_compiled_engine_needs_no_control_variates(case: str) -> None:
    anchor = CASES[case]
    effort = Effort(50, 6_000.0, anchor.compiled.warm_up)
    simulator = CompiledSimulator(simulated_line(anchor), SATURATED, tells=False)
    seeds = range(anchor.first_seed, anchor.first_seed + effort.replications)
    rows = table_of(replications(anchor, simulator, seeds, effort))
    simulated, half_width = estimate(rows, CONFIDENCE)
    assert half_width < 0.02 * anchor.expected
    assert abs(simulated - anchor.expected) <= half_width


def test_both_engines_sample_the_same_figures() -> None:
    anchor, effort = CASES["A9 wakes at 3, set-up 2"], Effort(2, 100.0, 10.0)
    line = simulated_line(anchor)
    simpy, compiled = Simulator(line, SATURATED), CompiledSimulator(line, SATURATED, tells=False)
    one_by_one = [replication(anchor, simpy, seed, effort)[0] for seed in (1, 2)]
    assert one_by_one == [figure for figure, _ in replications(anchor, compiled, (1, 2), effort)]


@pytest.mark.parametrize(("room", "outer"), BOWLS.items())
def test_a_bowl_is_the_fastest_of_its_kind(room: int, outer: float) -> None:
    def throughput(work: float) -> float:
        return throughput_per_s(bowl(work), (room, room)) * UNIT_S

    assert throughput(outer) > throughput(1.0) * 1.0039
    assert throughput(outer) > max(throughput(outer - 1e-3), throughput(outer + 1e-3))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stop_delays_by_what_is_beyond_its_window(engine: str) -> None:
    undisturbed = last_departure(0.0, engine)
    for stop in STOPS:
        assert last_departure(stop, engine) - undisturbed == delay(stop), stop


def test_the_window_is_that_of_departure_times_computed_one_by_one() -> None:
    # A part leaves a machine when it is finished and the part that makes room for it has left.
    cycles, places, parts, stopped, stop_at = (1.0, 1.0, 1.0, 1.25, 1.0), 10, 2_000, 1, 1_000.0

    def last(stop: float) -> float:
        left = [[0.0] * parts for _ in cycles]
        for n in range(parts):
            for m, cycle in enumerate(cycles):
                start = max(left[m - 1][n] if m else 0.0, left[m][n - 1] if n else 0.0)
                end = start + cycle
                if m == stopped and start <= stop_at < end:
                    end += stop
                after = n - places - 1
                room = left[m + 1][after] if m + 1 < len(cycles) and after >= 0 else 0.0
                left[m][n] = max(end, room)
        return left[-1][-1]

    assert last(WINDOW) == last(0.0)
    assert last(WINDOW + 1.0) == last(0.0) + 1.0
