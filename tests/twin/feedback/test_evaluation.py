"""Many paired shifts: the oracle, the ceiling, and rows that say no more than the intervals allow."""

from __future__ import annotations

from typing import Any

import pytest

from tests.twin.feedback.evaluations import episode
from twin.cycle import Kpi
from twin.feedback import Kpis, kpi_record
from twin.feedback.compare import student_t
from twin.feedback.evaluation import cells_of, objective_eur, rows_of
from twin.feedback.report.evaluation import (
    GAS,
    columns_of,
    render_markdown,
    render_page,
    table_rows,
)

EPISODES = [
    *(episode("fixed", n, 100.0 + n, 1.0 + 0.01 * n) for n in (1, 2, 3, 4)),
    *(episode("mpc", n, 98.0 + n, 0.9 + 0.01 * n) for n in (1, 2, 3, 4)),
    *(episode("hindsight", n, 99.0 if n == 2 else 92.0 + n, 0.85) for n in (1, 2, 3, 4)),
]


def row(controller: str) -> dict[str, Any]:
    return next(one for one in rows_of(EPISODES) if one["controller"] == controller)


def test_the_oracle_is_the_cheapest_of_each_shift() -> None:
    held = cells_of(EPISODES)["nominal", 0.8, "nominal"]
    assert set(held) == {"fixed", "mpc", "oracle"}
    costs = {seed: objective_eur(kpis) for seed, kpis in held["oracle"].kpis.items()}
    assert costs == {1: 93.0, 2: 99.0, 3: 95.0, 4: 96.0}
    for seed, cost in costs.items():
        assert all(cost <= objective_eur(shifts.kpis[seed]) for shifts in held.values())


def test_the_ceiling_is_what_the_oracle_saves_against_fixed() -> None:
    assert row("fixed")["ceiling_share"] == 0.0
    assert row("oracle")["ceiling_share"] == 1.0
    # 2 EUR of 410 a shift each; the oracle saves 101 + 102 + 103 + 104 - (93 + 99 + 95 + 96).
    assert row("mpc")["ceiling_share"] == pytest.approx(8.0 / 27.0)


def test_means_have_students_interval_and_differences_are_paired() -> None:
    found = row("mpc")["kpi"]["energy_settled_kwh_per_good_part"]
    spread = 0.01 * (5.0 / 3.0) ** 0.5
    assert found["mean"] == pytest.approx(0.925)
    assert found["half_width"] == pytest.approx(student_t(3) * spread / 2.0)
    versus = row("mpc")["versus"]["fixed"]
    assert versus["diff_pct"] == pytest.approx(-100.0 * 0.1 / 1.025)
    assert versus["lo_pct"] == pytest.approx(versus["hi_pct"])  # each shift differs by as much
    assert versus["verdict"] == "better"
    assert row("fixed")["versus"]["mpc"]["verdict"] == "worse"
    assert (row("mpc")["fallbacks"], row("mpc")["not_closed"]) == (8, 0)
    assert row("mpc")["decision_ms"] == {
        "median": pytest.approx(3.0),
        "p99": None,  # of lines that were written before it was
        "longest": pytest.approx(40.0),
    }
    assert set(row("mpc")["controller_ms"].values()) == {None}  # of such lines too


def test_of_decisions_that_nobody_made_nothing_is_said() -> None:
    oracle = row("oracle")
    for name in ("decisions_clipped", "fallbacks", "not_closed", "deadlines_missed"):
        assert oracle[name] is None
    assert set(oracle["decision_ms"].values()) == {None}
    assert set(oracle["controller_ms"].values()) == {None}


def test_gas_has_its_columns_where_any_is_burnt() -> None:
    def told(in_short: bool = False, **changed: float) -> dict[str, list[str]]:
        lines = [
            *(episode("fixed", n, 100.0, 1.0, idle_energy_share=0.25, **changed) for n in (1, 2)),
            *(
                episode("mpc", n, 98.0, 0.9, **changed | {GAS: 1.1 * changed.get(GAS, 0.0)})
                for n in (1, 2)
            ),
        ]
        report = {"rows": rows_of(lines)}
        ((_, rows),) = table_rows(report, in_short=in_short)
        return dict(
            zip(columns_of(report, in_short=in_short), zip(*rows, strict=True), strict=True)
        )

    assert not any("gas" in title for title in told())
    burnt = told(**{GAS: 8.0})
    assert burnt["kWh gas a good part"] == ("8 ± 0", "8.8 ± 0")
    assert burnt["gas against fixed"] == ("–", "+10 % [+10, +10] worse")
    assert burnt["against fixed"][1].endswith("inconclusive")  # paid for with gas
    assert burnt["idle"] == ("0.25 ± 0", "–")
    assert (burnt["clipped"], burnt["fell back"]) == (("2", "2"), ("4", "4"))
    assert not {"idle", "clipped"} & set(told(in_short=True))


def test_expected_figures_and_cost_against_fixed_are_shown_where_they_are_known() -> None:
    def lines(**truth: Any) -> list[dict[str, Any]]:
        return [episode(name, n, 90.0, 0.8) | truth for name in ("fixed", "mpc") for n in (1, 2)]

    report = {"rows": rows_of(lines(truth={"expected_scrap_share": 0.019}))}
    columns = columns_of(report)
    assert [columns["expected scrap"](row) for row in report["rows"]] == ["0.019 ± 0"] * 2
    assert not [title for title in columns_of({"rows": rows_of(lines())}) if "expected" in title]
    assert "expected EUR of tools" not in columns
    tools = {"expected_tool_cost_eur_per_good_part": 0.2}
    edges = {"rows": rows_of(lines(truth=tools))}
    assert columns_of(edges)["expected EUR of tools"](edges["rows"][0]) == "0.2 ± 0"
    assert "EUR against fixed" in columns
    assert "EUR against fixed" not in columns_of(report, in_short=True)


@pytest.mark.parametrize(("levels", "verdict"), [((0.8,), "better"), ((0.8, 0.6), "inconclusive")])
def test_the_more_cells_are_asked_the_surer_each_saving_has_to_be(
    levels: tuple[float, ...], verdict: str
) -> None:
    made = []
    for u in levels:
        for n in (1, 2, 3, 4):
            # 2 % at 0.8, of which p is 0.03; at 0.6 nothing but luck.
            kwh = 0.98 + 0.0089 * (-1) ** n if u == 0.8 else 1.0 + 0.02 * (-1) ** n
            made += [episode("fixed", n, 100.0, 1.0, u), episode("mpc", n, 100.0, kwh, u)]
    found = [
        one for one in rows_of(made) if (one["controller"], one["utilisation"]) == ("mpc", 0.8)
    ]
    versus = found[0]["versus"]["fixed"]
    assert versus["figures"]["energy_settled_kwh_per_good_part"]["p"] == pytest.approx(
        0.03, abs=0.001
    )
    assert versus["hi_pct"] < 0.0
    assert versus["verdict"] == verdict


def test_without_hindsight_there_is_no_ceiling_and_cells_stay_apart() -> None:
    some = [one for one in EPISODES if one["controller"] != "hindsight"]
    others = [episode("fixed", n, 90.0, 0.8, u=0.6) for n in (1, 2)]
    rows = rows_of([*some, *others])
    assert [(one["controller"], one["utilisation"], one["shifts"]) for one in rows] == [
        ("fixed", 0.6, 2),
        ("fixed", 0.8, 4),
        ("mpc", 0.8, 4),
    ]
    assert all(one["ceiling_share"] is None for one in rows)


def bound(seed: int, eur: float) -> dict[str, Any]:
    kpis = Kpis((Kpi("objective_eur", eur, "EUR", 0, 1),))
    return {**episode("bound", seed, 0.0, 0.0), "kpi": kpi_record(kpis)}


def test_who_knows_the_luck_makes_the_oracle_and_the_bound_does_not() -> None:
    knowing = [episode("mpc_true", n, 91.0 if n == 1 else 99.0, 0.8) for n in (1, 2, 3, 4)]
    bounds = [bound(n, 80.0 + n) for n in (1, 2, 3, 4)]
    rows = {one["controller"]: one for one in rows_of([*EPISODES, *knowing, *bounds])}
    assert list(rows) == ["fixed", "mpc", "oracle", "bound"]
    assert rows["oracle"]["cheapest"] == {"hindsight": 3, "mpc_true": 1}
    assert rows["oracle"]["kpi"]["objective_eur"]["mean"] == (91.0 + 99.0 + 95.0 + 96.0) / 4.0
    least = rows["bound"]
    assert set(least["kpi"]) == {"objective_eur"}
    assert least["kpi"]["objective_eur"]["mean"] == 82.5
    assert least["versus"] == {}
    assert all("bound" not in one["versus"] for one in rows.values())
    # 20 EUR a shift at most; the oracle saves 10 + 3 + 8 + 8.
    assert least["ceiling_share"] == pytest.approx(80.0 / 29.0)
    text = render_markdown({
        "plant": "p", "plant_hash": "0", "seeds": [1, 4], "shift_h": 8.0, "doubts": [],
        "rows": list(rows.values()),
    })  # fmt: skip
    assert "| bound |" + " – |" * 9 + " 82.5 ± 2.054 | – | 275.9 % |" + " – |" * 5 in text
    assert "No course of the\nline can cost less" in text


def test_a_bound_that_does_not_hold_has_no_row() -> None:
    none = [
        {**bound(n, 0.0), "kpi": kpi_record(Kpis((), {"objective_eur": "why"}))} for n in (1, 2)
    ]
    assert {one["controller"] for one in rows_of([*EPISODES, *none])} == {"fixed", "mpc", "oracle"}


def test_reports_say_the_same_in_text_and_on_the_page() -> None:
    report = {
        "plant": "p", "plant_hash": "0123", "seeds": [1, 4], "shift_h": 8.0,
        "doubts": ["nobody has tuned this <plant>"], "rows": rows_of(EPISODES),
    }  # fmt: skip
    text, page = render_markdown(report), render_page(report)
    for word in (
        "3 / – / 40 | – |",
        "−9.756 % [−9.756, −9.756] better",
        "29.63 %",
        "seeds: 1 to 4",
    ):
        assert word in text
    assert "−9.756 % [−9.756, −9.756] better" in page
    assert "nobody has tuned this &lt;plant&gt;" in page
    assert page.count("<svg") == 1
    assert render_page(report) == page
