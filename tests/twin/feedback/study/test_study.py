from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.anchor_lines import Machine, throughput_per_s
from tests.twin.feedback.study.shifts import course_of
from tests.twin.line.small_lines import fixed
from twin.feedback.study import Precision, Study, WarmUp, interval
from twin.feedback.study.study import OF_ORDERS

MACHINES, ROOM = [Machine(10.0), Machine(14.0), Machine(10.0)], [2, 2]


def studied(n: int, precision: Precision | None = None, warm_up_h: float = 1.0) -> Study:
    first = course_of(MACHINES, ROOM, 240, seed=1)
    study = Study(first.line.plant, WarmUp(warm_up_h, "given"), precision)
    study.book(first)
    for seed in range(2, n + 1):
        study.book(course_of(MACHINES, ROOM, 240, seed=seed))
    return study


def test_the_interval_of_a_study_holds_what_is_known_of_the_line() -> None:
    """Throughput of the Markov chain; the warm-up is long enough to leave no trace of the start."""
    found = studied(30).figures()["throughput_parts_per_h"]
    assert found.half_width is not None
    assert found.shifts == 30
    assert abs(found.mean - 3600.0 * throughput_per_s(MACHINES, ROOM)) < found.half_width * 1.5
    assert found.share is not None
    assert found.share < 0.02


def test_the_books_begin_after_the_warm_up() -> None:
    course = course_of(fixed(10.0, 20.0), [4], 120)
    kpis = course.kpis(from_s=3600.0)
    assert {(kpi.from_us, kpi.until_us) for kpi in kpis.values} == {(3_600_000_000, 7_200_000_000)}
    assert kpis["good_parts"] == 180.0


def test_buffers_are_counted_at_the_readings() -> None:
    """Behind the fast machine all four places are taken, but at the instants of taking."""
    course = course_of(fixed(10.0, 20.0), [4], 120)
    stock = course.stocks(from_s=3600.0)["b0"]
    level = course.series("b0.level")[60:]
    assert stock.mean_parts == float(np.mean(level)) >= 3.0
    assert stock.full_share == float(np.mean(level == 4.0))
    assert stock.empty_share == 0.0
    with pytest.raises(KeyError):
        course.series("nobody.level")


def test_the_bottleneck_of_a_study_is_sure_when_chance_cannot_explain_it() -> None:
    lead = studied(8).lead()
    assert lead is not None
    assert lead.first == "m1"
    assert lead.is_clear
    one = studied(1).lead()
    assert one is not None
    assert one.gap.half_width is None
    assert not one.is_clear


def test_a_study_knows_when_it_is_precise() -> None:
    wanted = Precision(0.05, ("throughput_parts_per_h",))
    study = studied(14, wanted)
    assert not study.is_precise
    study.book(course_of(MACHINES, ROOM, 240, seed=15))
    assert study.is_precise
    widest = study.widest()
    assert widest is not None
    assert widest == interval(study.values("throughput_parts_per_h")).share
    assert widest <= 0.05


def test_a_figure_that_a_shift_does_not_have_stops_a_study_that_needs_it() -> None:
    study = Study(course_of(MACHINES, ROOM, 1).line.plant, None, Precision(0.1, ("happiness",)))
    with pytest.raises(KeyError, match="happiness"):
        study.book(course_of(MACHINES, ROOM, 1))


def test_a_figure_that_some_shifts_lack_says_in_how_many_it_is_defined() -> None:
    study = Study(course_of(MACHINES, ROOM, 1).line.plant)
    study.book(course_of(fixed(50.0, 50.0, 50.0), ROOM, 2))  # no part is through in two minutes
    study.book(course_of(fixed(5.0, 5.0, 5.0), ROOM, 2))
    assert study.figures()["energy_kwh_per_good_part"].shifts == 1
    assert study.figures()["energy_kwh"].shifts == 2


def test_the_record_is_plain_and_the_same_for_the_same_shifts() -> None:
    record = studied(3, Precision(0.01, ("good_parts",))).record()
    assert json.loads(json.dumps(record)) == json.loads(
        json.dumps(studied(3, Precision(0.01, ("good_parts",))).record())
    )
    assert record["precision"]["is_reached"] is False
    assert record["precision"]["reached_share"] > 0.01
    assert record["kpis"]["good_parts"]["unit"] == "1"
    assert record["buffers"]["b0"]["capacity"] == 2.0
    assert set(record["stations"]) == {"m0", "m1", "m2"}


def test_where_orders_are_endless_what_is_owed_means_nothing() -> None:
    course = course_of(MACHINES, ROOM, 60)
    studies = [Study(course.line.plant, endless=endless) for endless in (False, True)]
    for study in studies:
        study.book(course)
    asked, pushed = (set(study.figures()) for study in studies)
    assert asked - pushed == asked & set(OF_ORDERS) >= {"ordered_parts", "backlog_end"}
    assert pushed < asked
