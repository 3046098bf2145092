from __future__ import annotations

import json

import pytest

from tests.twin.cli.shell import twin
from twin.cli.shift import Shift
from twin.cli.simulate import intervals, simulated


def test_the_same_seed_gives_the_same_figures() -> None:
    arguments = ["simulate", "machining_line", "--hours", "2", "--json"]
    code, out, err = twin(*arguments)
    assert code == 0, err
    assert twin(*arguments)[1] == out
    told = json.loads(out)
    assert told["kpis"]["good_parts"]["mean"] > 0
    assert told["kpis"]["good_parts"]["half_width"] is None
    assert told["truth"] is False


def test_replications_have_an_interval_around_their_mean() -> None:
    shift = Shift("machining_line", seed=5, hours=1.0)
    runs = [
        simulated(Shift("machining_line", seed=n, hours=1.0), saturated=False, truth=False)
        for n in (5, 6, 7)
    ]
    energy = intervals(runs)["energy_kwh"]
    values = [run["energy_kwh"] for run in runs]
    mean = sum(values) / 3
    spread = (sum((v - mean) ** 2 for v in values) / 2) ** 0.5
    assert energy["mean"] == pytest.approx(mean, rel=1e-12)
    assert energy["half_width"] == pytest.approx(4.3026527 * spread / 3**0.5, rel=1e-6)
    _, out, _ = twin("simulate", "machining_line", "--hours", "1h", "--reps", "3", "--seed", "5",
                     "--json")  # fmt: skip
    assert json.loads(out)["kpis"]["energy_kwh"] == energy
    assert shift.seed == 5


def test_a_saturated_line_makes_more_than_a_demanded_one() -> None:
    shift = Shift("machining_line", hours=4.0, utilisation=0.5)
    pushed = simulated(shift, saturated=True, truth=False)
    asked = simulated(shift, saturated=False, truth=False)
    assert pushed["good_parts"] > asked["good_parts"]


def test_the_truth_differs_from_the_model() -> None:
    shift = Shift("machining_line", hours=2.0)
    true = simulated(shift, saturated=False, truth=True)
    assert true["energy_kwh"] != simulated(shift, saturated=False, truth=False)["energy_kwh"]
