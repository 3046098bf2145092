"""Thresholds of the rules: searched fairly, kept beside the plant, and used where they are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import pytest

import controllers.rule_tuning as search
from controllers.rule_tuning import RULES, threshold_at, tune_rule, way_of
from controllers.shift_cost import Outcome
from controllers.shift_cost import Shift as Judged
from twin.cli.episode import Episode, play
from twin.cli.shift import Shift
from twin.cli.tuned import baseline
from twin.config import TunedPoint, untuned
from twin.feedback.evaluation import objective_eur
from twin.feedback.kpi import kpis_from_record
from twin.line.model import build_line

JUDGED = Judged("machining_line", 0.8, "nominal")
LINE = build_line(JUDGED.plant)
POINT = untuned(JUDGED.plant)


def test_a_rule_takes_its_own_thresholds_and_no_others() -> None:
    given = {"timeout": {"rests": 1.25}, "n_policy": {"wake_at": 5.0}}
    tuned = POINT.model_copy(update={"thresholds": given})
    for name, rule in RULES.items():
        own, plain = rule(LINE, tuned), rule(LINE, POINT)
        for threshold in rule.thresholds:
            expected = given.get(name, {}).get(threshold, getattr(plain, threshold))
            assert getattr(own, threshold) == expected
            lo, hi = way_of(name, threshold)
            assert lo <= getattr(plain, threshold) <= hi
    assert "standby after 1.25 times" in RULES["timeout"](LINE, tuned)._why
    assert "standby after 1 times" in RULES["timeout"](LINE, POINT)._why


@pytest.mark.parametrize("name", ["timeout", "opportunity"])
def test_a_search_judges_as_the_loop_drives(name: str) -> None:
    shift = Shift("machining_line", 4, 8.0, utilisation=0.8, engine="auto")
    point = baseline("machining_line", JUDGED.plant, 0.8, "nominal").point
    driven = objective_eur(kpis_from_record(play(Episode(shift, name))["kpi"]))
    judged = JUDGED.driven(4, RULES[name](LINE, point)).drawn_eur_per_part
    orders = round(0.8 * float(JUDGED.plant.demand.capacity_good_parts_per_h) * 8.0)
    assert judged * orders == pytest.approx(driven, rel=2e-3)  # of it, noise and guard


class _Here:
    """Costs at once and in this process: a valley whose floor is known."""

    def __init__(self, _workers: int, *_given: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(
        self, _of: object, tasks: list[tuple[str, int, TunedPoint]], chunksize: int
    ) -> list[Outcome]:
        assert chunksize > 0
        return [costing(valley(point.thresholds.get(rule, {}))) for rule, _, point in tasks]


def costing(energy_eur: float) -> Outcome:
    return Outcome(5.0, 0.0, True, 4.0, 1.0 + energy_eur, 0.0, 5.0)


def valley(thresholds: Mapping[str, float]) -> float:
    floor = {"rests": 4.0, "even_share": 0.9, "gain_s": 3.0, "reset_s": 3000.0}
    return sum((value / floor[name] - 1.0) ** 2 for name, value in thresholds.items())


@pytest.mark.parametrize("rule", ["timeout", "pi"])
def test_the_search_finds_the_floor_of_a_valley(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "forked", _Here)
    best, log = tune_rule(rule, "machining_line", 0.8, "nominal", POINT)
    assert valley(best.thresholds) < 0.01
    assert log[0].thresholds == {n: getattr(RULES[rule], n) for n in RULES[rule].thresholds}
    assert len({tuple(one.thresholds.items()) for one in log}) == len(log) < 100
    _, few = tune_rule(rule, "machining_line", 0.8, "nominal", POINT, evaluations=5)
    assert few == log[:5]


def test_thresholds_lie_between_their_ends_and_parts_are_whole() -> None:
    assert threshold_at("upstream", "wake_at", 0.5) == 3.0
    for rule, its in RULES.items():
        for name in its.thresholds:
            ends = (threshold_at(rule, name, -1.0), threshold_at(rule, name, 2.0))
            assert ends == way_of(rule, name)


def test_an_n_policy_is_never_searched_where_it_is_the_upstream_rule() -> None:
    assert way_of("upstream", "wake_at")[0] == 1.0
    assert min(threshold_at("n_policy", "wake_at", x / 100.0) for x in range(101)) == 2.0
