"""The whole loop and the compiled batch, driven by the same actions, give the same numbers: not one bit apart."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from controllers.env.single import LineEnv
from controllers.env.vector import LineVectorEnv
from controllers.env.worlds import Kind, Randomisation
from twin.config import Plant, find_plant, load_plant
from twin.config.errors import KeyPath
from twin.config.revise import Change, revised_plant
from twin.feedback import evaluate
from twin.feedback.evaluation import objective_eur

KEPT = 5
"""Decisions for which an action stands: long enough for slow setpoints to arrive."""


def drive(plant: str | Plant, scenario: str, world: Kind, seed: int, decisions: int) -> None:
    """Both environments through the same shift, compared at every decision."""
    rule = Randomisation(utilisation=(0.6, 0.9))
    one = LineEnv(plant, scenario, world=world, randomisation=rule, engine="compiled")
    many = LineVectorEnv(2, plant, scenario, world=world, randomisation=rule, worlds=None)
    seen, _ = one.reset(seed=seed)
    seen_all, _ = many.reset(seed=seed)
    assert (seen == seen_all[0]).all()
    rng = np.random.default_rng(seed)
    clips, beyond, ended = 0, 0, False
    asked = np.zeros(one.action_space.shape, dtype=np.float32)
    for n in range(decisions):
        if n % KEPT == 0:
            asked = rng.uniform(-1.0, 1.0, asked.shape).astype(np.float32)
        seen, reward, tripped, ended, told = one.step(asked)
        seen_all, rewards, trips, ends, told_all = many.step(np.stack([asked, asked]))
        last = told_all["final_obs"][0] if trips[0] or ends[0] else seen_all[0]
        assert (seen == last).all(), [
            (field.name, seen[m], last[m])
            for m, field in enumerate(one.schema.observation)
            if seen[m] != last[m]
        ]
        assert (np.clip(one.shown(), -1.0, 1.0) == seen).all()
        if not (trips[0] or ends[0]):
            assert (one.shown() == many.shown()[0]).all()
        beyond += int((np.abs(one.shown()) > 1.0).sum())
        assert (reward, tripped, ended) == (rewards[0], trips[0], ends[0])
        assert told["filter_active"] == told_all["filter_active"][0]
        assert told["constraint_cost"] == told_all["constraint_cost"][0]
        assert (told["applied_action"] == told_all["applied_action"][0]).all()
        assert all(told["kpi"][name] == told_all["kpi"][name][0] for name in told["kpi"])
        clips += told["filter_active"]
    assert ended == (decisions == one.setting.decisions)
    assert clips > 0, "the guard had nothing to do: the test shows less than it says"
    assert beyond > 0, "nothing was beyond its limits: the same"


@pytest.mark.parametrize(
    ("plant", "scenario", "world", "seed", "decisions"),
    [
        ("machining_line", "nominal", "true", 1, 479),
        ("machining_line", "failure_burst", "randomised", 2, 240),
        ("machining_line", "mismatch", "nominal", 3, 120),
        ("molding_cell", "material_shift", "true", 4, 180),
        ("molding_cell", "sensor_faults", "randomised", 5, 60),
        ("paint_cure_line", "nominal", "true", 6, 60),
        ("paint_cure_line", "sensor_faults", "randomised", 7, 60),
    ],
)
def test_both_environments_agree_to_the_last_bit(
    plant: str, scenario: str, world: Kind, seed: int, decisions: int
) -> None:
    drive(plant, scenario, world, seed, decisions)


@pytest.mark.parametrize(("period_s", "decision_s"), [(45.0, 45.0), (7.0, 63.0)])
def test_they_agree_where_no_whole_turns_make_a_minute(period_s: float, decision_s: float) -> None:
    """A shift that is no whole number of decisions has a shorter last one, which counts as one."""
    turns: dict[KeyPath, Change] = {
        ("shift_h",): 0.5,
        ("control", "period_s"): period_s,
        ("control", "line_period_s"): 10.0 * period_s,
        ("control", "deadline_s"): 1.0,
    }
    plant = revised_plant(load_plant("machining_line"), turns)
    made = LineVectorEnv(1, plant, world="nominal").setting
    assert made.decision_s == decision_s
    assert made.decisions == math.ceil(1800.0 / decision_s) - 1
    drive(plant, "nominal", "randomised", 8, made.decisions)


def test_the_simpy_engine_shows_the_same_as_the_compiled_one() -> None:
    envs = [LineEnv(world="true", engine=engine) for engine in ("simpy", "compiled")]
    rng = np.random.default_rng(1)
    starts = [env.reset(seed=9)[0] for env in envs]
    assert (starts[0] == starts[1]).all()
    for _ in range(20):
        asked = rng.uniform(-1.0, 1.0, envs[0].action_space.shape).astype(np.float32)
        (seen, reward, *_), (other, same, *_) = (env.step(asked) for env in envs)
        assert (seen == other).all()
        assert reward == same


@pytest.mark.parametrize(
    ("plant", "shift_h"), [("machining_line", 8), ("molding_cell", 8), ("paint_cure_line", 1)]
)
def test_the_rewards_of_a_shift_add_up_to_the_objective_of_its_books(
    plant: str, shift_h: int, tmp_path: Path
) -> None:
    place = tmp_path / "line.yaml"
    text = find_plant(plant).read_text("utf-8")
    place.write_text(text.replace("shift_h: 8", f"shift_h: {shift_h}"), "utf-8")
    truth = find_plant(plant).with_name(f"{plant}.truth.yaml")
    shutil.copyfile(truth, tmp_path / "line.truth.yaml")
    env = LineEnv(str(place), world="true", engine="compiled", correction_eur=0.0)
    env.reset(seed=11)
    total, over, told = 0.0, False, {}
    hold = np.zeros(env.action_space.shape, dtype=np.float32)
    hold[[field.name.endswith("standby") for field in env.schema.action]] = -1.0
    while not over:
        _, reward, tripped, over, told = env.step(hold)
        assert not tripped
        total += reward * env.eur_per_reward
    assert total == pytest.approx(-told["kpi"]["objective_eur"], rel=1e-12)
    env.loop.ledger.book(env.plc.reading())  # the turn that would come now
    kpis = evaluate(env.loop.ledger)
    assert told["kpi"]["energy_kwh"] == pytest.approx(kpis["energy_kwh"], rel=1e-12)
    assert told["kpi"]["peak_kw"] == pytest.approx(kpis["peak_kw"], rel=1e-12)
    assert told["kpi"]["good_parts"] == kpis["good_parts"]
    if "gas_kwh" in kpis:
        assert told["kpi"]["gas_kwh"] == pytest.approx(kpis["gas_kwh"], rel=1e-12)
    # The books of the loop read worn edges and hot zones by instruments; those of the environment know them.
    worn_eur = told["kpi"]["tool_cost_eur"] - kpis["tool_cost_eur"]
    factor = plant_factor(env, told["kpi"]["tool_cost_eur"], told["kpi"]["good_parts"])
    assert told["kpi"]["objective_eur"] == pytest.approx(
        objective_eur(kpis) + factor * worn_eur, abs=1e-6 + 5.0 * heat_sd_eur(env)
    )


def plant_factor(env: LineEnv, tools_eur: float, good: float) -> float:
    """How much an edge more costs: nothing below the budget, the excess factor above."""
    tooling = env.loop.line.plant.tooling
    if tooling is None:
        return 0.0
    budget_eur = float(tooling.budget_eur_per_part) * good
    return tooling.excess_factor if tools_eur > budget_eur else 0.0


def heat_sd_eur(env: LineEnv) -> float:
    """By how much instruments misread what the heat of all zones is worth, at the begin of a shift and at its end."""
    common = env._books.layout.common
    sensors = [station.sensors.get("zone_temp_c") for station in env.loop.line.plant.stations]
    noise_k = max((sensor.noise_sd for sensor in sensors if sensor is not None), default=0.0)
    kwh_per_k = common.stores[:, 2] / 3600.0 / common.stores[:, 3]
    gas_eur_per_kwh = common.prices[0] * 1e-3
    return noise_k * gas_eur_per_kwh * math.sqrt(2.0 * float((kwh_per_k**2).sum()))


def test_a_line_without_its_critical_inputs_for_too_long_is_given_up_on_both_sides() -> None:
    """Temperatures of the oven are critical; with three in four samples lost the guard sheds soon."""
    plant = load_plant("paint_cure_line")
    faulty = plant.scenarios["sensor_faults"].model_copy(update={"dropout": 0.2})
    blind = plant.model_copy(update={"scenarios": {**plant.scenarios, "sensor_faults": faulty}})
    one = LineEnv(blind, "sensor_faults", world="nominal", engine="compiled")
    many = LineVectorEnv(1, blind, "sensor_faults", world="nominal")
    seed = next(seed for seed in range(50) if closed_by_the_first_decision(one, seed))
    many.reset(seed=seed)
    asked = np.zeros(one.action_space.shape, dtype=np.float32)
    for _ in range(200):
        seen, reward, tripped, ended, told = one.step(asked)
        _, rewards, trips, ends, told_all = many.step(asked[np.newaxis])
        assert (tripped, ended) == (trips[0], ends[0])
        if tripped:
            break
        assert math.isclose(reward, rewards[0], abs_tol=0.0)
    assert tripped
    assert "critical" in told["given_up"]
    assert reward == rewards[0]
    assert (seen == told_all["final_obs"][0]).all()
    assert reward < -1.0  # what is still to be made is owed at once


def closed_by_the_first_decision(env: LineEnv, seed: int) -> bool:
    env.reset(seed=seed)
    return env.loop.mode in ("CLOSED", "HOLD")
