"""The twin in step: without luck it foresees what follows from what it was told."""

from __future__ import annotations

import math

import pytest

from tests.twin.analyze.in_step import assert_foreseen, observed, without_luck
from tests.twin.analyze.shifts import shift
from tests.twin.line.small_lines import Run, fixed, line_of
from twin.analyze.synchronise import synchronise
from twin.analyze.whatif import present
from twin.kernels.draws import TWIN
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.simulator import Simulator


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


def test_a_twin_that_joins_a_running_line_knows_when_its_parts_are_done() -> None:
    line = line_of(fixed(50.0, 40.0, 45.0), [4, 4])
    plant = Run(line).to(1017.0)
    twin = initial_state(line, 9, TWIN)
    assert synchronise(line, twin, observed(line, plant.state), 1)
    assert_foreseen(line, plant, twin, 1400.0)


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
