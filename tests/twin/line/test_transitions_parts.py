"""Parts through small lines, from the source to the last station or to scrap: courses worked out by hand."""

from __future__ import annotations

import pytest

from tests.twin.line.small_courses import SEED, slow
from tests.twin.line.small_lines import Run, fixed, line_of, table_of
from twin.kernels import draws
from twin.kernels.draws import PLANT
from twin.line import schema as s

# --- two stations --------------------------------------------------------------------------------


def test_a_fast_station_is_blocked_by_a_slow_one() -> None:
    # m0 takes 5, m1 takes 8, one place between them.
    run = Run(line_of(fixed(5.0, 8.0), [1])).to(30.0)
    assert run.of("m0") == [
        (0.0, "processing"),
        (20.0, "blocked"),  # part 4 is finished while part 3 still lies in the buffer
        (21.0, "processing"),
        (26.0, "blocked"),
        (29.0, "processing"),
    ]
    assert run.of("m1") == [(5.0, "processing")]
    assert run.times("m1", "processing", "idle") == [13.0, 21.0, 29.0]
    assert run.time_in("m0") == {"processing": 26.0, "blocked": 4.0}
    assert run.time_in("m1") == {"idle": 5.0, "processing": 25.0}
    assert run.count(s.GOOD) == 3
    # Energy: power of each state times its time; 0.7 kW at work, 0.4 kW otherwise.
    assert run.amount("m0", s.ENERGY_KWH + s.BLOCKED) == pytest.approx(0.4 * 4.0 / 3600.0)


def test_a_slow_station_starves_a_fast_one() -> None:
    run = Run(line_of(fixed(8.0, 5.0), [3])).to(29.0)
    assert run.of("m1") == [
        (8.0, "processing"),
        (13.0, "idle"),
        (16.0, "processing"),
        (21.0, "idle"),
        (24.0, "processing"),
    ]
    assert run.time_in("m0") == {"processing": 29.0}
    assert run.time_in("m1") == {"idle": 14.0, "processing": 15.0}


def test_parts_keep_their_numbers_from_station_to_station() -> None:
    run = Run(line_of(fixed(5.0, 8.0), [1])).to(40.0)
    for name in ("m0", "m1"):
        into_work = [
            part
            for move, part in zip(run.moves, run.parts, strict=True)
            if move[1] == name and move[3] == "processing"
        ]
        assert into_work == list(range(1, len(into_work) + 1))


def test_without_places_parts_go_from_hand_to_hand() -> None:
    run = Run(line_of(fixed(5.0, 8.0), [0])).to(30.0)
    assert run.of("m0") == [
        (0.0, "processing"),
        (10.0, "blocked"),
        (13.0, "processing"),
        (18.0, "blocked"),
        (21.0, "processing"),
        (26.0, "blocked"),
        (29.0, "processing"),
    ]
    assert run.times("m1", "processing", "idle") == [13.0, 21.0, 29.0]


def test_of_two_that_finish_together_the_first_station_goes_first() -> None:
    # At 10 the first station is done while the second still holds its part: blocked for no time.
    moves = Run(line_of(fixed(5.0, 5.0), [0])).to(10.5).moves
    assert [move for move in moves if move[0] == 10.0] == [
        (10.0, "m0", "processing", "blocked"),
        (10.0, "m1", "processing", "idle"),
        (10.0, "m0", "blocked", "idle"),
        (10.0, "m1", "idle", "processing"),
        (10.0, "m0", "idle", "processing"),
    ]


# --- scrap ---------------------------------------------------------------------------------------


def defective(parts: int, element: int, probability: float = 0.2) -> list[int]:
    return [
        part
        for part in range(1, parts + 1)
        if draws.uniform(SEED, PLANT, element, draws.DEFECT, part) < probability
    ]


@pytest.mark.parametrize("inspected", [True, False])
def test_the_source_makes_up_for_scrap(inspected: bool) -> None:
    line = line_of(
        fixed(5.0, 5.0, 5.0),
        [2, 2],
        stations__0__parameters={"cycle_time_s": 5.0, "power_kw": 0.7, "defect": 0.2},
        stations__1__inspects=inspected,
    )
    run = Run(line, table_of((60,)), seed=SEED).to(1000.0)
    released = 60
    while released - len(defective(released, 1)) < 60:
        released += 1
    bad = len(defective(released, 1))
    assert bad > 2
    assert (run.count(s.RELEASED), run.count(s.GOOD), run.count(s.LINE_SCRAPPED)) == (
        released,
        60,
        bad,
    )
    # An inspection takes scrap out; without one it is found at the end of the line.
    scrapped = [run.counter(name, s.SCRAPPED) for name in ("m0", "m1", "m2")]
    assert scrapped == ([0, bad, 0] if inspected else [0, 0, bad])
    assert run.counter("m2", s.OPS) == (60 if inspected else released)
    at = line.k[s.K_LINE_F]
    assert run.state.floats[at + s.LINE_SCRAP_KG] == pytest.approx(float(bad))
    assert run.state.floats[at + s.LINE_MATERIAL_KG] == pytest.approx(float(released))
    assert run.state.ints[line.k[s.K_LINE_I] + s.FREE_SLOTS] == line.k[s.K_SLOTS]


def test_after_a_long_rest_the_first_parts_are_scrap_however_the_rest_was_spent() -> None:
    changes = {"stations__0__restart_scrap_parts": 2, "stations__0__restart_after_s": 50.0}
    idle = Run(line_of(fixed(5.0), [], **slow(100.0), **changes)).to(98.0)
    assert idle.count(s.GOOD) == 1
    idle.to(150.0, line__takt_s=10.0)  # parts at 98, 108 (scrap), 118, 128, 138
    assert (idle.count(s.GOOD), idle.count(s.LINE_SCRAPPED)) == (4, 2)
    asleep = Run(line_of(fixed(5.0), [], **slow(10.0), **changes)).to(7.0)
    asleep.to(40.0, m0__standby=1.0).to(75.0, m0__standby=0.0)
    # Awake at 60, 55 s after the last part: the parts of 60 and 65 are scrap, 70 is good.
    assert (asleep.count(s.GOOD), asleep.count(s.LINE_SCRAPPED)) == (1, 2)


# --- source --------------------------------------------------------------------------------------


def released_at(run: Run) -> list[float]:
    """When the only station took its parts: it is faster than the source."""
    return run.times("m0", "idle", "processing")


def test_the_source_keeps_its_takt() -> None:
    run = Run(line_of(fixed(5.0), [], **slow(20.0))).to(90.0)
    assert released_at(run) == [0.0, 20.0, 40.0, 60.0, 80.0]


@pytest.mark.parametrize(
    ("takt_s", "expected"),
    [
        (10.0, [0.0, 20.0, 30.0, 40.0]),
        (5.5, [0.0, 20.0, 25.5, 31.0, 36.5, 42.0]),
        (5.0, [0.0, 20.0, 25.0, 30.0, 35.0, 40.0]),
        (1.0, [0.0, 20.0, 25.0, 30.0, 35.0, 40.0]),
        (24.0, [0.0, 20.0, 44.0]),
    ],
)
def test_a_new_takt_counts_from_the_last_release(takt_s: float, expected: list[float]) -> None:
    run = Run(line_of(fixed(5.0), [], **slow(20.0))).to(25.0).to(45.0, line__takt_s=takt_s)
    assert released_at(run) == expected


def test_no_more_than_ordered_and_at_once_when_more_is_ordered() -> None:
    run = Run(line_of(fixed(5.0), [], **slow(20.0)), table_of((1, 3, 3, 4))).to(400.0)
    assert released_at(run) == [0.0, 60.0, 80.0, 180.0]
    assert run.count(s.GOOD) == run.count(s.RELEASED) == 4


def test_a_full_line_holds_the_source_back() -> None:
    run = Run(line_of(fixed(50.0), [], **slow(10.0), buffers__0__capacity={"value": 2.0})).to(60.0)
    # Station and two places: full at 20; from then on one part in for each one out.
    assert run.count(s.RELEASED) == 4
    assert run.amount("blanks", s.LAST_RELEASE_S) == 50.0
