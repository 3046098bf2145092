"""Constant plans with the luck of the shift known, judged over the very hours that are evaluated."""

from __future__ import annotations

import pytest

from controllers.hindsight import best_plan
from controllers.shift_cost import Shift as Judged
from twin.cli import ceiling
from twin.cli.episode import Episode, play
from twin.cli.shift import Shift
from twin.cli.tuned import baseline
from twin.feedback.evaluation import objective_eur
from twin.feedback.kpi import kpis_from_record

PLANT, SEED, U = "machining_line", 4, 0.8


@pytest.mark.parametrize("hours", [0.5, 0.6])
def test_a_plan_costs_what_it_costs_in_the_loop_however_long_the_shift(hours: float) -> None:
    shift = Shift(PLANT, SEED, hours, utilisation=U, engine="auto")
    point = baseline(PLANT, shift.plant, U, "nominal").point
    kpis = kpis_from_record(play(Episode(shift, "fixed"))["kpi"])
    driven = objective_eur(kpis) / kpis["ordered_parts"]
    for length, is_equal in ((hours, True), (None, False)):
        judged = Judged(PLANT, U, "nominal", hours=length)
        eur = judged.outcome(SEED, point.setpoints).drawn_eur_per_part
        assert (eur == pytest.approx(driven, rel=5e-3)) == is_equal, (eur, driven)


def test_the_search_looks_at_the_hours_of_the_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    shift = Shift(PLANT, SEED, 0.5, utilisation=U)
    point = baseline(PLANT, shift.plant, U, "nominal").point
    slow = {**point.setpoints, "line.takt_s": 200.0}
    point = point.model_copy(update={"setpoints": slow})
    monkeypatch.setattr(ceiling, "PLANS", 20)
    found = ceiling.in_hindsight(shift, point).setpoints
    assert found == best_plan(
        PLANT, U, "nominal", "nominal", SEED, point.setpoints, hours=0.5, plans=20
    )
    half = Judged(PLANT, U, "nominal", hours=0.5)
    best, begun = (half.outcome(SEED, plan).drawn_eur_per_part for plan in (found, point.setpoints))
    assert best < begun
    whole = best_plan(PLANT, U, "nominal", "nominal", SEED, point.setpoints, hours=8.0, plans=20)
    assert whole != found
