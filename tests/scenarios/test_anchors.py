"""Queueing theory holds the simulator to account: a quick look, benchmarks/anchors.py has it all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.anchor_lines import SATURATED, Machine, throughput_per_s
from benchmarks.anchors import (
    CONFIDENCE,
    anchors,
    estimate,
    replication,
    simulated_line,
    student,
    table_of,
)
from twin.line.simulator import Simulator

CASES = {anchor.case: anchor for anchor in anchors()}
QUICK = (
    "A1 M/M/1/5, arrivals 0.8",
    "A2 two machines, 1 places",
    "A3 3 machines, no places",
    "A6 two unreliable machines, 2 places",
)


@pytest.mark.parametrize("case", [case for case, a in CASES.items() if a.closed_form is not None])
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
def test_simulated_throughput_is_the_exact_one(case: str) -> None:
    anchor = replace(CASES[case], length=1_000.0, warm_up=200.0)
    simulator = Simulator(simulated_line(anchor), SATURATED)
    samples = [replication(anchor, simulator, anchor.first_seed + n) for n in range(40)]
    simulated, half_width = estimate(table_of(samples), CONFIDENCE)
    assert half_width < 0.01 * anchor.expected
    assert abs(simulated - anchor.expected) <= half_width
