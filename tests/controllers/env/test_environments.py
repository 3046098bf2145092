from __future__ import annotations

import re
from typing import Any

import gymnasium
import numpy as np
import pytest

import controllers.env
from benchmarks.writes import HOSTILE, PLANTS, POLICIES, actions, outside, shift
from controllers.env.single import LineEnv
from controllers.env.vector import LineVectorEnv
from controllers.env.worlds import Lot, Randomisation, Worlds, setting_of
from tests.docs.pages import DOCS, blocks_of
from twin.config import PlantError, load_plant
from twin.kernels.limits import granted
from twin.line.model import build_line

ID = controllers.env.ID
TWICE = 2 * 479 + 3


def vector(n: int = 3, **asked: Any) -> LineVectorEnv:
    return LineVectorEnv(n, **asked)


def test_gymnasiums_own_check_passes() -> None:
    from gymnasium.utils.env_checker import check_env

    env = gymnasium.make(ID, plant="machining_line", scenario="nominal", engine="compiled")
    check_env(env.unwrapped, skip_render_check=True)


def test_stable_baselines_own_check_passes() -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(LineEnv(engine="compiled"), warn=True)


def test_gymnasium_makes_the_vector_environment() -> None:
    env = gymnasium.make_vec(ID, num_envs=2, vectorization_mode="vector_entry_point")
    assert isinstance(env.unwrapped, LineVectorEnv)
    seen, told = env.reset(seed=3)
    assert env.observation_space.contains(seen)
    assert set(told) == {"kpi"}
    assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP


def test_a_shift_that_ends_is_followed_by_the_next_at_once() -> None:
    env = vector(2)
    first, _ = env.reset(seed=5)
    asked = np.zeros(env.action_space.shape, dtype=np.float32)
    ends = 0
    for n in range(1, 480):
        seen, _, tripped, ended, told = env.step(asked)
        assert not tripped.any()
        assert ended.all() == (n == 479)
        if ended.any():
            ends += 1
            assert (told["_final_obs"] == ended).all()
            assert (told["final_obs"][:, 0] == -1.0).all()  # nothing of the shift is left
            assert (seen[:, 0] > 0.99).all()
            assert (told["final_info"]["kpi"]["good_parts"] > 0.0).all()
    assert ends == 1
    fresh, _ = vector(2).reset(seed=7)  # seeds 5 and 6 are over
    assert (seen == fresh).all()
    assert not (seen == first).all()


def test_reset_tells_nothing_of_the_shift_before() -> None:
    one: Any = LineEnv(engine="compiled")
    many: Any = vector(2)
    for env in (one, many):
        _, fresh = env.reset(seed=3)
        env.step(np.full(env.action_space.shape, 1.0))
        *_, told = env.step(np.full(env.action_space.shape, -1.0))  # cutting speeds have rates
        assert np.all(told["kpi"]["energy_kwh"] > 0.0)
        assert np.all(told["constraint_cost"] > 0.0)
        _, again = env.reset(seed=3)
        assert str(again) == str(fresh)
        assert all(np.all(value == 0.0) for value in again["kpi"].values())


def test_same_seed_same_numbers() -> None:
    courses = []
    for _ in range(2):
        env = vector(4, randomisation=Randomisation(scenarios=("nominal", "failure_burst")))
        env.reset(seed=17)
        rng = np.random.default_rng(0)
        course = []
        for _ in range(30):
            asked = rng.uniform(-1.0, 1.0, env.action_space.shape).astype(np.float32)
            seen, rewards, *_ = env.step(asked)
            course.append((seen.tobytes(), rewards.tobytes()))
        courses.append(course)
    assert courses[0] == courses[1]


def test_a_line_does_not_depend_on_who_runs_beside_it() -> None:
    narrow, wide = vector(1), vector(5)
    narrow.reset(seed=21)
    wide.reset(seed=21)
    rng = np.random.default_rng(2)
    for _ in range(25):
        asked = rng.uniform(-1.0, 1.0, wide.action_space.shape).astype(np.float32)
        seen, rewards, *_ = narrow.step(asked[:1])
        seen_all, rewards_all, *_ = wide.step(asked)
        assert (seen[0] == seen_all[0]).all()
        assert rewards[0] == rewards_all[0]


def shifts(scenario: str, takt_s: float, n: int = 24) -> dict[str, Any]:
    """Figures of ``n`` whole shifts of the true machining line at one takt, all else as in the recipe."""
    plant = load_plant("machining_line")
    env = vector(n, plant="machining_line", scenario=scenario, world="true", correction_eur=0.0)
    env.reset(seed=300)
    starts = {"line.takt_s": takt_s}
    for station in plant.stations:
        starts |= {f"{station.name}.{name}": spec.start for name, spec in station.setpoints.items()}
    shares = [
        (2.0 * starts.get(field.name, 0.0) - field.lo - field.hi) / (field.hi - field.lo)
        for field in env.schema.action
    ]
    asked = np.tile(np.array(shares, dtype=np.float32), (n, 1))
    for _ in range(479):
        *_, ended, told = env.step(asked)
    assert ended.all()
    return dict(told["final_info"]["kpi"])


@pytest.mark.parametrize("scenario", load_plant("machining_line").scenarios)
def test_two_takts_meet_the_same_luck(scenario: str) -> None:
    """Paired, the difference of two takts 5 % apart scatters a tenth as much as unpaired, at most."""
    first, second = shifts(scenario, 72.0), shifts(scenario, 75.6)
    a, b = (kpi["energy_kwh"] / kpi["good_parts"] for kpi in (first, second))
    assert (a - b).any()
    assert (a.var() + b.var()) / (a - b).var() >= 10.0


def test_two_identical_controllers_differ_by_nothing() -> None:
    first, second = shifts("nominal", 72.0, 8), shifts("nominal", 72.0, 8)
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("number", range(len(PLANTS) * len(POLICIES)))
def test_policies_that_know_no_limits_write_nothing_outside_of_them(number: int) -> None:
    """Each plant under each policy; `python -m benchmarks.writes` does this for a thousand shifts."""
    found = shift(number, decisions=20)
    assert found["writes"] > 10
    assert found["outside"] == []


def without_limits(
    asked: float,
    active: float,
    limits: Any,
    rate_per_s: float,
    elapsed_us: int,
    discrete: bool,
) -> tuple[float, int]:
    """A guard's formula that knows of rates alone."""
    free = np.array([-np.inf, np.inf] * 3)
    value, why = granted(asked, active, free, rate_per_s, elapsed_us, discrete)
    return float(value), int(why)


def test_a_guard_without_limits_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By policies that ask beyond the limits; those that the environment scales cannot."""
    monkeypatch.setattr("twin.act.guard.granted", without_limits)
    for policy in POLICIES:
        number = len(PLANTS) * POLICIES.index(policy)
        assert bool(shift(number, decisions=3)["outside"]) == (policy in HOSTILE), policy


def test_a_guard_that_takes_what_is_no_number_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.act.guard.is_number", lambda _: True)
    monkeypatch.setattr("twin.act.guard.granted", lambda asked, *_: (asked, 0))
    found = shift(len(PLANTS) * POLICIES.index("no_number"), decisions=3)
    assert any("is no number" in said for said in found["outside"])


def test_a_write_outside_would_be_found() -> None:
    env = LineEnv(engine="compiled")
    env.reset(seed=1)
    env.step(next(actions(POLICIES[1], env.action_space.shape[0], 1)))
    assert outside(env) == []
    written = env.plc.written[0]
    far = type(written)(written.time_us, 1, written.signal, 1e9, 0.0, written.result)
    env.plc.written.append(far)
    assert len(outside(env)) == 4


def test_training_and_what_is_held_out_never_meet() -> None:
    line = build_line(load_plant("machining_line"))
    spec = line.plant.stations[0]
    lo, hi = spec.power.idle_kw.range or (0.0, 0.0)
    margin = 0.1 * (hi - lo)
    for number in range(50):
        inner = Lot(Randomisation("training"), number).truth(line).stations["turning"]
        outer = Lot(Randomisation("held_out"), number).truth(line).stations["turning"]
        assert lo + margin <= float(inner.idle_kw or 0.0) <= hi - margin
        assert not lo + margin < float(outer.idle_kw or 0.0) < hi - margin


def test_randomised_worlds_differ_in_what_a_plant_file_leaves_open() -> None:
    setting = setting_of(
        "molding_cell", kind="randomised", scenario="nominal", variant="nominal", utilisation=None,
        decision_s=60.0, worlds=4,
        randomisation=Randomisation(scenarios=("nominal", "tariff_day"), utilisation=(0.6, 0.9)),
    )  # fmt: skip
    made = Worlds(setting)
    worlds = [made.world(made.number(episode)) for episode in range(4)]
    assert len({world.line.c for world in worlds}) == 4
    assert len({world.rows[6] for world in worlds}) == 4  # orders
    assert made.world(made.number(5)) is worlds[1]


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"decision_s": 45.0}, ValueError, "give a multiple"),
        ({"scenario": "no_such"}, PlantError, "no scenario"),
        ({"plant": "no_such_plant"}, PlantError, "no_such_plant"),
        ({"plant": load_plant("molding_cell"), "world": "true"}, ValueError, "truth file"),
    ],
)
def test_what_cannot_be_is_refused(
    asked: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=re.escape(said)):
        vector(1, **asked)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_actions_that_are_no_numbers_are_refused(bad: float) -> None:
    env = vector(2)
    env.reset(seed=1)
    asked = np.zeros(env.action_space.shape)
    asked[1, 0] = bad
    with pytest.raises(ValueError, match="finite"):
        env.step(asked)
    with pytest.raises(ValueError, match="finite"):
        env.step(asked[:1])


def test_the_adapter_gives_stable_baselines_what_it_wants() -> None:
    pytest.importorskip("stable_baselines3")
    from controllers.env.stable_baselines import LineVecEnv

    env = LineVecEnv(vector(3))
    env.seed(31)
    seen = env.reset()
    bare, _ = vector(3).reset(seed=31)
    assert (seen == bare).all()
    for n in range(1, 480):
        env.step_async(np.zeros((3, env.action_space.shape[0]), dtype=np.float32))
        seen, rewards, over, infos = env.step_wait()
        assert rewards.dtype == np.float32
        assert [bool(info) for info in infos] == [n == 479] * 3
    assert over.all()
    assert all(info["TimeLimit.truncated"] for info in infos)
    assert infos[0]["terminal_observation"][0] == -1.0
    assert infos[0]["kpi"]["good_parts"] > 0.0


@pytest.mark.parametrize("page", ["how-to/train-a-policy.md", "reference/environment.md"])
def test_the_pages_on_environments_run(page: str) -> None:
    """They need the extra, so they are run here and not with all other pages."""
    blocks = [block for block in blocks_of(DOCS / page) if block.language == "python"]
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        if "stable_baselines" in block.text:
            pytest.importorskip("stable_baselines3")
        exec(compile("\n" * (block.line - 1) + block.text, page, "exec"), names)  # noqa: S102
    assert blocks


def test_every_key_and_every_field_of_the_line_is_in_the_reference() -> None:
    page = (DOCS / "reference/environment.md").read_text("utf-8")
    env = vector(1)
    env.reset(seed=1)
    *_, told = env.step(np.zeros(env.action_space.shape))
    keys = {*told, *told["kpi"], "given_up", "final_obs", "final_info"}
    fields = {f.name for f in env.schema.observation if f.name.startswith("line.")}
    stations = {f.name.partition(".")[2] for f in env.schema.observation if ".is_" in f.name}
    names = {*keys, *(fields - {f.name for f in env.schema.action})}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    assert [name for name in sorted(stations) if f".{name}`" not in page] == []


def test_a_line_can_be_looked_at() -> None:
    for make in (lambda mode: LineEnv(render_mode=mode), lambda mode: vector(1, render_mode=mode)):
        env: Any = make("ansi")
        env.reset(seed=1)
        assert re.match(r"00:01  0 of 338  takt 72 s  infeed \d", env.render())
        env = make("rgb_array")
        env.reset(seed=1)
        picture = env.render()
        assert picture.dtype == np.uint8
        assert picture.shape == (72, 5 * 24, 3)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 2
