"""Failures, repairs and worn tools on small lines: courses worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.anchor_lines import Machine
from tests.twin.line.small_courses import SEED
from tests.twin.line.small_lines import Run, fixed, line_of, table_of
from twin.config import load_plant
from twin.kernels import draws
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.model import build_line
from twin.processes import load

# --- failures ------------------------------------------------------------------------------------


def lucky(index: int, mean_s: float, purpose: int, element: int = 1) -> float:
    return draws.exponential(SEED, PLANT, element, purpose, index, mean_s)


def test_a_failure_interrupts_the_cycle_which_is_finished_after_the_repair() -> None:
    run = Run(line_of([Machine(60.0, None, 100.0, 30.0)], []), seed=SEED).to(2000.0)
    worked = 0.0
    done: list[float] = []
    now = 0.0
    to_failure, count = lucky(0, 100.0, draws.TIME_TO_FAILURE), 0
    downs = []
    while now < 2000.0:
        left = 60.0
        while to_failure < left:
            worked += to_failure
            left -= to_failure
            now += to_failure
            downs.append(now)
            now += lucky(2 * count, 30.0, draws.REPAIR)
            count += 1
            to_failure = lucky(2 * count, 100.0, draws.TIME_TO_FAILURE)
        now += left
        to_failure -= left
        done.append(now)
    assert len(downs) > 5
    assert run.times("m0", "processing", "down") == [t for t in downs if t < 2000.0]
    assert run.times("m0", "processing", "idle") == [t for t in done if t < 2000.0]


def test_two_ways_to_fail_have_clocks_of_their_own() -> None:
    ways = {
        name: {"mean_between_s": mean, "mean_repair_s": 10.0, "repair_law": "exponential"}
        for name, mean in (("short", 70.0), ("long", 150.0))
    }
    run = Run(line_of(fixed(40.0), [], stations__0__failures=ways), seed=SEED).to(3000.0)
    # In operating time each way fails on its own; each repair is one of that way's.
    failures = []
    for mode, mean in enumerate((70.0, 150.0)):
        worked = 0.0
        for n in range(60):
            worked += lucky(2 * n + mode, mean, draws.TIME_TO_FAILURE)
            failures.append((worked, lucky(2 * n + mode, 10.0, draws.REPAIR)))
    expected, repaired = [], 0.0
    for worked, repair in sorted(failures):
        expected.append(worked + repaired)
        repaired += repair
    downs = run.times("m0", "processing", "down")
    assert len(downs) > 20
    assert downs == pytest.approx(expected[: len(downs)])
    counts = [run.counter("m0", s.FAILURES + mode) for mode in (0, 1)]
    assert min(counts) > 5
    assert sum(counts) == len(downs)


def test_repairs_scatter_by_the_law_of_the_plant_file() -> None:
    machine = [Machine(60.0, None, 100.0, 30.0)]
    way = "stations__0__failures__breakdown__"
    run = Run(line_of(machine, [], **{f"{way}repair_law": "lognormal", f"{way}repair_cv": 0.5}))
    run.to(2000.0)
    downs, ups = (run.times("m0", *way) for way in (("processing", "down"), ("down", "processing")))
    repairs = [up - down for down, up in zip(downs, ups, strict=False)]
    expected = [
        draws.lognormal(SEED, PLANT, 1, draws.REPAIR, 2 * n, 30.0, 0.5) for n in range(len(repairs))
    ]
    assert repairs == pytest.approx(expected)


def test_an_idle_or_blocked_station_does_not_fail() -> None:
    machines = [Machine(5.0, None, 50.0, 30.0), Machine(60.0, None)]
    run = Run(line_of(machines, [1])).to(3000.0)
    assert run.counter("m0", s.FAILURES) > 2
    assert {before for _, name, before, after in run.moves if (name, after) == ("m0", "down")} == {
        "processing"
    }


def test_a_burst_of_failures_acts_on_the_failures_that_are_under_way() -> None:
    # The first failure would come at 100 x 60 s of work; from the second minute on 50 times as soon.
    calm = lucky(0, 6000.0, draws.TIME_TO_FAILURE)
    assert calm > 120.0
    line = line_of([Machine(40.0, None, 6000.0, 10.0)], [])
    run = Run(line, table_of(failures=(1.0, 50.0)), seed=SEED).to(7000.0)
    first = run.times("m0", "processing", "down")[0]
    assert first == pytest.approx(60.0 + (calm - 60.0) / 50.0)
    # And back: what is left when the burst ends is stretched again.
    ends = int(first // 60.0)
    table = table_of(failures=(1.0, *(50.0,) * (ends - 1), 1.0))
    run = Run(line, table, seed=SEED).to(7000.0)
    burst_s = 60.0 * (ends - 1)
    expected = 60.0 + burst_s + (calm - 60.0 - 50.0 * burst_s)
    assert run.times("m0", "processing", "down")[0] == pytest.approx(expected)


# --- tools ---------------------------------------------------------------------------------------


def test_a_worn_edge_is_changed_between_two_parts() -> None:
    shipped = load_plant("machining_line")
    turning = shipped.station("turning").model_copy(
        update={"failures": {}, "gives_to": "good_parts"}
    )
    takt = shipped.source.takt_s.model_copy(update={"start": 20.0})
    plant = shipped.model_copy(
        update={
            "stations": (turning,),
            "buffers": shipped.buffers[:1],
            "disturbances": {},
            "scenarios": {"nominal": shipped.scenarios["nominal"]},
            "variants": {"nominal": shipped.variants["nominal"]},
            "source": shipped.source.model_copy(update={"takt_s": takt}),
        }
    )
    line = build_line(plant)
    run = Run(line, seed=SEED).to(6 * 3600.0)
    assert turning.tool is not None
    model = load("cutting.turning")
    point = model.point(
        **{name: spec.start for name, spec in turning.setpoints.items()},
        **{name: float(value) for name, value in turning.parameters.items()},
    )
    cycle_s, _, _, _, wear_mm, *_ = model.numbers()(*point)
    life_cv = float(turning.tool.life_cv)
    end_mm, change_s = float(turning.tool.end_of_life_mm), float(turning.tool.change_s)
    now, tool = 0.0, 0
    expected: list[float] = []
    while now < 6 * 3600.0:
        factor = draws.lognormal(SEED, PLANT, 1, draws.TOOL_LIFE, tool, 1.0, life_cv)
        wear = 0.0
        while wear < end_mm:
            now += cycle_s
            wear += wear_mm * factor
        expected.append(now)
        now += change_s
        tool += 1
    changes = run.times("turning", "processing", "tool_change")
    assert len(changes) > 3
    assert changes == pytest.approx(expected[: len(changes)])
    assert run.counter("turning", s.TOOLS) == len(changes)
    ready = run.times("turning", "tool_change", "idle")
    assert ready == pytest.approx([t + change_s for t in expected[: len(ready)]])
