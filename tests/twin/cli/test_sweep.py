"""``twin sweep`` from the shell, and the task that it spreads."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.twin.cli.shell import twin
from twin.cli.problems import Problem
from twin.cli.shift import Shift
from twin.cli.sweep import _grid
from twin.cli.trial import Trial, figures_of
from twin.feedback.report.sweep import draw_sweep
from twin.feedback.study import interval

SHORT = ("--hours", "1", "--reps", "3", "--seed", "4")


def swept(*arguments: object) -> dict[str, Any]:
    code, out, err = twin("sweep", "machining_line", *SHORT, *arguments, "--json")
    assert code == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


def test_a_point_is_its_shifts_and_is_compared_with_the_recipe_luck_for_luck() -> None:
    told = swept("--set", "line.takt_s=60,120", "--workers", "1")
    assert [point["setpoints"] for point in told["points"]] == [
        {"line.takt_s": 60.0},
        {"line.takt_s": 120.0},
    ]
    shift = Shift("machining_line", hours=1.0)
    for point, given in ((told["recipe"], {}), (told["points"][1], {"line.takt_s": 120.0})):
        own = [figures_of(Trial(shift, seed, given))["good_parts"] for seed in (4, 5, 6)]
        assert point["figures"]["good_parts"] == interval(own).record()
    slow, made = told["points"][1], told["recipe"]["figures"]["good_parts"]["mean"]
    lost = slow["differences"]["good_parts"]["mean"]
    assert lost == pytest.approx(slow["figures"]["good_parts"]["mean"] - made)
    assert lost < 0.0


def test_any_number_of_workers_gives_the_same_bytes() -> None:
    arguments = ("--set", "line.takt_s=60:120:3", "--set", "turning.feed_mm=0.2,0.25")
    alone = swept(*arguments, "--workers", "1")
    assert len(alone["points"]) == 6
    assert swept(*arguments, "--workers", "2") == alone


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_ray_cluster_gives_the_same_bytes(cluster: str) -> None:
    arguments = ("--set", "line.takt_s=60:120:3")
    assert swept(*arguments, "--ray", cluster) == swept(*arguments, "--workers", "1")


def test_a_cluster_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    given = ("--set", "line.takt_s=60", "--ray", "auto")
    code, _, err = twin("sweep", "machining_line", *SHORT, *given)
    assert code == 3
    assert "error[unreachable]: Ray is not installed" in err


def test_a_trial_carries_its_plant_to_where_there_is_no_file() -> None:
    assert twin("init", "demo")[0] == 0
    shift = Shift("demo/plant.yaml", hours=0.5)
    shift.check()  # the file is read
    packed = pickle.dumps(Trial(shift, 3, {"line.takt_s": 80.0}))
    expected = figures_of(Trial(shift, 3, {"line.takt_s": 80.0}))
    Path("demo/plant.yaml").unlink()
    assert figures_of(pickle.loads(packed)) == expected  # noqa: S301  (packed above)


def test_setpoints_go_before_the_fastest_takt() -> None:
    shift = Shift("machining_line", hours=1.0)
    pushed = figures_of(Trial(shift, 1, saturated=True))
    slow = figures_of(Trial(shift, 1, {"line.takt_s": 150.0}, saturated=True))
    assert slow["good_parts"] < pushed["good_parts"]


def test_orders_without_end_have_no_figures_of_orders() -> None:
    told = swept("--set", "line.takt_s=80", "--saturated", "--workers", "1")
    assert "backlog_end" not in told["recipe"]["figures"]
    assert "good_parts" in told["recipe"]["figures"]


@pytest.mark.parametrize(
    "setpoints", [("line.takt_s=60:90:3",), ("line.takt_s=60,90", "milling.feed_mm=0.1:0.18:2")]
)
def test_one_or_two_setpoints_can_be_drawn(setpoints: tuple[str, ...]) -> None:
    given = [word for text in setpoints for word in ("--set", text)]
    code, out, err = twin("sweep", "machining_line", *SHORT, "--workers", "1", *given,
                          "--plot", "map.svg")  # fmt: skip
    assert code == 0, err
    picture = Path("map.svg").read_text("utf-8")
    assert "energy kwh per good part" in picture
    assert "line.takt_s" in picture
    assert "the same luck at each" in out


def test_three_setpoints_have_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one or two"):
        draw_sweep({"a": [1], "b": [1], "c": [1]}, "x", [1.0], [None], tmp_path / "x.svg")


def test_grids() -> None:
    assert _grid(["a.b=1:2:3", "c.d=4"]) == {"a.b": (1.0, 1.5, 2.0), "c.d": (4.0,)}
    assert _grid(["a.b=7:9:1"]) == {"a.b": (7.0,)}


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ((), "nothing to sweep"),
        (("--set", "line.takt_s"), "no setpoint with values"),
        (("--set", "line.takt_s=60:80:0"), "no setpoint with values"),
        (("--set", "line.takt_s=60:80"), "no setpoint with values"),
        (("--set", "line.takt_s=1,60"), "outside"),
        (("--set", "line.takt_s=nan"), "outside"),
        (("--set", "line.speed=1"), "no setpoint 'line.speed'"),
        (("--set", "line.takt_s=60", "--set", "line.takt_s=70"), "given twice"),
        (("--set", "line.takt_s=60:100:99999"), "more than 100000 shifts"),
        (("--set", "line.takt_s=60", "--plot", "x.bmp"), "no picture"),
        (("--set", "line.takt_s=60", "--of", "good_part", "--workers", "1"), "did you mean"),
    ],
)
def test_what_is_wrong_is_told(given: tuple[str, ...], word: str) -> None:
    code, out, err = twin("sweep", "machining_line", *SHORT, *given)
    assert code == 2
    assert word in out + err


def test_a_problem_comes_back_whole_from_another_process() -> None:
    problem = Problem("plant", "locked", "more room", code=3, place="a:1", text="b")
    again = pickle.loads(pickle.dumps(problem))  # noqa: S301  (packed here)
    assert (again.block(), again.code) == (problem.block(), 3)
