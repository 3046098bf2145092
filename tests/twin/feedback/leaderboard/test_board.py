"""The leaderboard of lines made by hand, of which every figure is known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.twin.feedback.evaluations import episode
from twin.feedback.compare import ENERGY_COST, GAS
from twin.feedback.leaderboard import standings
from twin.feedback.report.leaderboard import render_leaderboard

SEEDS = (1, 2, 3, 4)
LEVELS = (0.6, 0.8)
SAVED = {"rl:1": (2.0, 6.0), "rl:2": (4.0, 8.0), "rl:3": (9.0, 9.0), "rl:7": (-5.0, 1.0)}
"""What each training seed saves in a shift, at the two utilisations; the oracle saves 10 in both."""


def lines(**changed: float) -> list[dict[str, Any]]:
    found = []
    for cell, u in enumerate(LEVELS):
        for n in SEEDS:
            fixed, luck = 100.0 + n, 0.001 * n
            found += [
                episode("fixed", n, fixed, 1.0 + luck, u, peak_kw=30.0),
                episode("mpc", n, fixed - 4.0 + (-1) ** n, 0.95 + 2.0 * luck, u),
                episode("hindsight", n, fixed - 10.0, 0.8, u),
                episode("mpc_true", n, fixed - 9.0, 0.8, u),
                episode("bound", n, fixed - 30.0, 0.5, u),
            ]
            for k, (name, saved) in enumerate(SAVED.items()):
                kwh = 0.90 + 0.01 * k + luck**2
                figures = {"peak_kw": 30.0 + 0.1 * (-1) ** n, **changed}
                line = episode(name, n, fixed - saved[cell], kwh, u, **figures)
                seed = int(name.partition(":")[2])
                line["policy"] = {
                    "path": f"{seed}.policy",
                    "training_seeds": [seed],
                    "sha256": f"{seed}" * 64,
                    "training_cpu_h": 0.25,
                }
                line |= {"violations": {"times": 1, "seconds": 30.0}, "shift_h": 8.0, "stood_in": k}
                line["timing"] |= {"decision_p99_s": 0.005, "deadlines_missed": k}
                line["timing"] |= {"controller_median_s": 1e-5, "controller_longest_s": 4e-5}
                line["timing"]["controller_p99_s"] = 3e-5
                found.append(line)
    return found


@pytest.fixture(scope="module")
def board() -> dict[str, Any]:
    return standings(lines())


def row(board: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in board["rows"] if one["controller"] == name)
    return found


def test_controllers_are_ranked_by_score_and_every_training_seed_has_a_row(
    board: dict[str, Any],
) -> None:
    names = [one["controller"] for one in board["rows"]]
    assert names == ["rl", "mpc", "fixed", "rl:1", "rl:2", "rl:3", "rl:7"]
    assert [one["row"] for one in board["rows"]] == list(range(1, 8))
    assert board["cells_scored"] == 2
    policies = row(board, "rl")["policies"]
    assert [one["training_seeds"] for one in policies] == [[1], [2], [3], [7]]
    assert [one["sha256"][0] for one in policies] == ["1", "2", "3", "7"]
    assert [one["score"] for one in policies] == pytest.approx([0.4, 0.6, 0.9, -0.2])
    assert row(board, "fixed")["policies"] == []


def test_the_score_is_the_middle_half_of_training_seeds_and_cells(board: dict[str, Any]) -> None:
    # -0.5, 0.1, | 0.2, 0.4, 0.6, 0.8, | 0.9, 0.9: a quarter is cut off at each end.
    score = row(board, "rl")["score"]
    assert score["iqm"]["value"] == pytest.approx(0.5)
    assert score["iqm"]["low"] < 0.5 < score["iqm"]["high"]
    assert score["optimality_gap"]["value"] == pytest.approx(1.0 - 3.4 / 8.0)
    # Of 32 shifts the worst tenth are 3.2, four of which score -0.5.
    assert score["tail"]["value"] == pytest.approx(-0.5)
    assert score["profile"]["0.0"] == pytest.approx(7 / 8)
    assert score["profile"]["0.75"] == pytest.approx(3 / 8)
    fixed = row(board, "fixed")["score"]["iqm"]
    assert (fixed["value"], fixed["low"], fixed["high"]) == (0.0, 0.0, 0.0)


def test_luck_of_training_widens_what_luck_of_shifts_leaves_sure(board: dict[str, Any]) -> None:
    alone = row(board, "rl:3")["score"]["iqm"]
    assert (alone["low"], alone["high"]) == pytest.approx((0.9, 0.9))
    versus = row(board, "rl")["versus"]["fixed"]["energy_settled_kwh_per_good_part"]
    single = row(board, "rl:3")["versus"]["fixed"]["energy_settled_kwh_per_good_part"]
    assert versus["hi_pct"] - versus["lo_pct"] > 3.0 * (single["hi_pct"] - single["lo_pct"])
    assert versus["verdict"] == single["verdict"] == "better"
    assert versus["holm_lo_pct"] < versus["lo_pct"] < versus["hi_pct"] < versus["holm_hi_pct"] < 0.0


def test_improvement_is_the_share_of_shifts_that_cost_less(board: dict[str, Any]) -> None:
    # mpc saves 3 in even shifts and 5 in odd ones: who saves 4 beats it in half of them.
    won = row(board, "rl")["improvement"]["mpc"]
    assert won["value"] == pytest.approx(4.5 / 8.0)
    assert won["low"] < won["value"] < won["high"]
    assert row(board, "mpc")["improvement"]["rl"]["value"] == pytest.approx(1.0 - won["value"])
    assert set(row(board, "rl:1")["improvement"]) == {"fixed", "mpc"}


def test_a_saving_that_scrap_paid_for_is_none() -> None:
    found = row(standings(lines(scrap_share=0.03)), "rl")
    energy = found["versus"]["fixed"]["energy_settled_kwh_per_good_part"]
    assert energy["hi_pct"] < 0.0
    assert found["verdict"] == energy["verdict"] == "inconclusive"
    assert energy["reason"] == "not shown to be non-inferior: scrap_share"


def test_a_saving_that_was_paid_for_in_one_cell_is_none_in_the_mean() -> None:
    """A tenth less at one of four levels, by 3 % fewer parts there: in the mean output is within its margin."""
    made = []
    for u in (0.6, 0.7, 0.8, 0.9):
        for n in SEEDS:
            here = {"throughput_parts_per_h": 12.5 * 0.97} if u == 0.9 else {}
            kwh = 0.9 + 0.001 * n if here else 1.0
            made += [episode("fixed", n, 100.0, 1.0, u), episode("rl", n, 100.0, kwh, u, **here)]
    energy = row(standings(made), "rl")["versus"]["fixed"]["energy_settled_kwh_per_good_part"]
    assert -3.0 < energy["lo_pct"] < energy["hi_pct"] < -2.0
    reason = "shown to be inferior in one of the cells: throughput_parts_per_h"
    assert (energy["verdict"], energy["reason"]) == ("inconclusive", reason)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"kwh": 1.019, "cost": 1.017}, "non-inferior: "),
        ({"kwh": 0.9, "cost": 1.021}, "inferior: cost_eur_per_good_part"),
        ({"kwh": 1.021, "cost": 0.9}, "inferior: energy_settled_kwh_per_good_part"),
        ({"kwh": 1.0, "cost": 1.0, GAS: 0.1}, f"inferior: {GAS}"),
        ({"kwh": 1.0, "cost": 1.0, ENERGY_COST: 0.103}, f"inferior: {ENERGY_COST}"),
        ({"kwh": 1.0, "cost": 1.0, "scrap_share": 0.022}, "inferior: scrap_share"),
        ({"kwh": 1.0, "cost": 1.0, "throughput_parts_per_h": 12.0}, "inferior: throughput_parts_per_h"),
        ({"kwh": 1.0, "cost": 1.0, "scatter": 0.05}, "not shown: cost_eur_per_good_part"),
    ],
    ids=["within", "dearer", "hungrier", "gas", "bill", "scrap", "slower", "scattered"],
)  # fmt: skip
def test_who_may_stand_in_for_the_mpc(changed: dict[str, float], verdict: str) -> None:
    kwh, cost, scatter = (changed.pop(name, 0.0) for name in ("kwh", "cost", "scatter"))
    made = []
    for n in SEEDS:
        own = {"cost_eur_per_good_part": cost + scatter * (-1) ** n, **changed}
        made += [
            episode("mpc", n, 100.0, 1.0, cost_eur_per_good_part=1.0),
            episode("rl", n, 100.0, kwh, **own),
        ]
    board = standings(made)
    found = row(board, "rl")["non_inferior_to_mpc"]
    assert f"{found['verdict']}: {found['reason']}" == verdict
    assert verdict.removesuffix(": ") in render_leaderboard(board, "p", "0")
    assert row(board, "mpc")["non_inferior_to_mpc"] is None


def test_what_the_machine_took_stands_apart(board: dict[str, Any]) -> None:
    found = row(board, "rl")
    assert found["timing"]["deadlines_missed"] == (0 + 1 + 2 + 3) * 8
    assert found["timing"]["decision_ms"]["p99"] == pytest.approx(5.0)
    assert found["timing"]["controller_ms"]["p99"] == pytest.approx(0.03)
    assert found["violations_per_100_h"] == {"times": 12.5, "seconds": 375.0}
    assert found["interventions_share"] == pytest.approx(0.1)
    assert row(board, "mpc")["violations_per_100_h"] is None  # lines that do not say


def test_a_row_says_how_often_a_policy_was_not_the_one_that_drove(board: dict[str, Any]) -> None:
    """Of ten decisions a shift, beside what the MPC says of its own solver."""
    shares = {one["controller"]: one["stood_in_share"] for one in board["rows"]}
    of_seeds = {f"rl:{seed}": 0.1 * k for k, seed in enumerate((1, 2, 3, 7))}
    assert shares == pytest.approx({"rl": 0.15, "mpc": None, "fixed": None, **of_seeds})
    page = render_leaderboard(board, "p", "0")
    (mpc,) = [line for line in page.splitlines() if line.startswith("| 2 | mpc | – |")]
    assert "| – | 10 | – |" in mpc, mpc


def test_lines_from_before_that_was_counted_leave_it_open() -> None:
    made = [{key: one[key] for key in one if key != "stood_in"} for one in lines()]
    board = standings(made)
    assert row(board, "rl")["stood_in_share"] is None
    assert "| 12.5 | 10 | – |" in render_leaderboard(board, "p", "0")


def test_without_a_ceiling_controllers_are_ranked_by_cost() -> None:
    some = [one for one in lines() if one["controller"] in ("fixed", "mpc")]
    board = standings(some)
    assert [one["controller"] for one in board["rows"]] == ["mpc", "fixed"]
    assert board["rows"][0]["score"] is None
    assert "| – |" in render_leaderboard(board, "p", "0")


@pytest.mark.parametrize(
    ("trainings", "says"),
    [
        (1, ["rl has one training seed: its row is of this policy, not of the method"]),
        (4, ["rl has 4 training seeds: so few say little of how much trainings differ"]),
        (5, []),
    ],
)
def test_few_trainings_are_a_doubt_and_one_is_of_its_policy_alone(
    trainings: int, says: list[str]
) -> None:
    made = [one for one in lines() if one["controller"] == "fixed"]
    for seed in range(1, trainings + 1):
        for one in (one for one in lines() if one["controller"] == "rl:3"):
            policy = {**one["policy"], "training_seeds": [seed]}
            made.append({**one, "controller": f"rl:{seed}", "policy": policy})
    board = standings(made)
    assert [any(doubt.startswith(say) for say in says) for doubt in board["doubts"]] == [
        True for _ in says
    ]
    assert row(board, "rl")["verdict"] == "better"
    page = render_leaderboard(board, "p", "0")
    assert all(f"- {doubt}\n" in page for doubt in board["doubts"])
    ranked = next(line for line in page.splitlines() if line.startswith("| 1 | rl |"))
    assert (f"| {trainings} × 8, this policy | better |" in ranked) == (trainings == 1)


def test_nobody_may_leave_out_shifts() -> None:
    with pytest.raises(ValueError, match="rl:7 did not drive all shifts: the others drove 8"):
        standings(lines()[:-1])


def test_the_page_follows_from_the_lines_and_from_nothing_else(board: dict[str, Any]) -> None:
    page = render_leaderboard(board, "machining_line", "0123")
    again = standings([json.loads(json.dumps(one)) for one in lines()])
    assert render_leaderboard(again, "machining_line", "0123") == page
    assert page.startswith("# Leaderboard of machining_line\n")
    (first,) = [line for line in page.splitlines() if line.startswith("| 1 | rl | 111111111111, 2")]
    for cell in ("| 0.5 [", "| 12.5 | 10 | 15 |", "| 48 | 1 | 4 × 8 | better |", " better |"):
        assert cell in first, first
    assert "## Every training seed" in page
    assert "| 7 | rl:7 | 777777777777 | −0.2 [−0.2, −0.2] |" in page
    assert "P(cheaper than mpc)" in page
