"""The station MPC that a plant file alone asks for: what it is told to do, and what is refused at load."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from controllers.mpc.controller import Mpc
from controllers.mpc.process_layer import process_layers
from controllers.mpc.station_task import station_task
from tests.controllers.mpc import dryer
from tests.controllers.test_reasons import Watched
from tests.twin.analyze.in_step import drive, loop_of, plant_of, plc_of
from tests.twin.line.small_lines import changed
from twin.config import PlantError, untuned
from twin.cycle import Situation
from twin.line import schema as s
from twin.line.model import Line, build_line

BAND = {"exit_c": {"noise_sd": 0.2, "band": (55.0, 75.0)}}
ZONE = {"zone_temp_c": {"noise_sd": 0.05}}
FOLLOW = {"targets": {"zone_temp_1_c": 90.0}}


@pytest.fixture(autouse=True)
def _offered(monkeypatch: pytest.MonkeyPatch) -> None:
    dryer.offer(monkeypatch)


def task(**station: Any):  # type: ignore[no-untyped-def]
    line = build_line(dryer.plant_with(**station))
    return station_task(line, line.element("dryer"))


def test_a_target_becomes_an_aim_with_all_that_follows_from_it() -> None:
    found = task(mpc=FOLLOW)
    stated = found.mpc.task
    assert [aim.output for aim in stated.aims] == ["zone_1_c"]
    assert [move.mv for move in stated.moves] == ["heater_kw", "fresh_air_rel"]
    assert stated.disturbances == ("heater_kw",)
    assert found.mpc.offset_free
    assert found.step_s * stated.horizon >= 270.0  # as long as a carrier takes to pass
    assert stated.prices["power_kw"] == pytest.approx(0.1695 * found.step_s / 3600.0, rel=0.02)
    assert stated.moves[0].rate_per_s == 0.5


def test_a_band_alone_is_kept_at_least_cost() -> None:
    found = task(sensors=ZONE | BAND)
    stated = found.mpc.task
    assert (stated.aims, [band.output for band in stated.bands]) == ((), ["exit_c"])
    assert stated.back_off_sd == 2.0
    assert found.shown == ("exit_c",)
    assert stated.dynamic_prices


def test_a_station_with_nothing_to_follow_or_keep_is_left_alone() -> None:
    line = build_line(dryer.plant_with())
    assert process_layers(line) == ()
    watched = Watched(Mpc(line, untuned(line.plant)))
    drive(plc_of(line), loop_of(watched, line=line), 3)
    assert not any(name.startswith("dryer.heater") for name in watched.asked[-1].setpoints)


def test_an_exit_quality_is_brought_to_its_target_from_carrier_to_carrier() -> None:
    asked = {"targets": {"exit_c": 62.0}, "moves": ("heater_kw",)}
    line = build_line(dryer.plant_with(mpc=asked, sensors=ZONE | BAND))
    true = build_line(
        dryer.plant_with(mpc=asked, sensors=ZONE | BAND, parameters={"carrier_kw_per_k": 0.1})
    )
    watched = Watched(Mpc(line, untuned(line.plant)))
    watched.mpc.worlds = 1  # what the line layer tries is not looked at here
    plc = plc_of(true, hours=3.0, utilisation=1.0)
    cycles = drive(plc, loop_of(watched, line=line), 560)
    at = plc.tags.index["dryer.exit_c"]
    exit_c = np.array([cycle.reading.values[at] for cycle in cycles])
    assert exit_c[-200:].mean() == pytest.approx(62.0, abs=0.2)  # 0.1 % of its range
    assert abs(exit_c[180] - 62.0) > 1.0


@cache
def seen_following() -> tuple[Line, Situation]:
    """A line whose dryer follows a target, and what its controller saw last in a minute."""
    line = build_line(dryer.plant_with(mpc=FOLLOW))
    watched = Watched(Mpc(line, untuned(line.plant)))
    drive(plc_of(line), loop_of(watched, line=line), 12)
    return line, watched.seen[-1]


def test_a_station_that_sleeps_is_left_alone_and_begun_with_anew() -> None:
    line, situation = seen_following()
    (layer,) = process_layers(line)
    assert layer.asked(situation)
    seen = situation.observation
    for state in (float(s.STANDBY), np.nan):
        values = seen.values.copy()
        values[seen.index["dryer.state"]] = state
        asleep = replace(situation, observation=replace(seen, values=values))
        assert layer.asked(asleep) == {}
        assert layer.solve is None
        assert "not at work" in layer.status
    assert layer.asked(situation)
    assert layer.solve is not None
    assert layer.solve.solver == "ipopt"  # the first plan of all


def test_what_is_lost_or_late_never_stops_it() -> None:
    line, situation = seen_following()
    (layer,) = process_layers(line)
    seen, lo, hi = situation.observation, 5.0, 80.0
    values = seen.values.copy()
    for name in ("zone_temp_1_c", "op_count"):
        values[seen.index[f"dryer.{name}"]] = np.nan
    values[seen.index["env.ambient_c"]] = np.nan
    for n, later_s in enumerate((0.0, 15.0, 30.0, 500.0)):
        blind = replace(
            situation,
            time_s=situation.time_s + later_s,
            observation=replace(seen, values=values),
            active={} if n == 2 else situation.active,
        )
        asked = layer.asked(blind)
        assert lo <= asked["dryer.heater_kw"] <= hi


# --- refused at load, by name ---------------------------------------------------------------------


REFUSED: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
    (
        {"mpc": {**FOLLOW, "moves": ("heater_kw", "fresh_air_rel", "lamp_rel")}},
        "lamp_rel is discrete",
        ("mpc", "moves"),
    ),
    ({"mpc": {**FOLLOW, "moves": ("steam_kw",)}}, "steam_kw is no setpoint", ("mpc", "moves")),
    ({"mpc": {**FOLLOW, "learns": {"steam_c": 1.0}}}, "steam_c", ("mpc",)),
    (
        {"mpc": {**FOLLOW, "learns": {"heater_kw": 1.0, "ambient_c": 0.1}}},
        "heater_kw, ambient_c cannot be told apart",
        ("mpc",),
    ),
    ({"mpc": {**FOLLOW, "learns": {"lamp_rel": 1.0}}}, "lamp_rel cannot be told apart", ("mpc",)),
    ({"mpc": {"targets": {"steam_c": 9.0}}}, "'steam_c' is not measured", ("mpc", "targets")),
    (
        {"mpc": {"targets": {"exit_c": 80.0}}, "sensors": BAND},
        "contradictory limits: the target 80 of exit_c lies outside 55 to 75",
        ("mpc", "targets"),
    ),
    (
        {"mpc": {"targets": {"zone_temp_1_c": 190.0}}},
        "contradictory limits: zone_temp_1_c comes to .* at best, with heater_kw, fresh_air_rel",
        ("mpc",),
    ),
    (
        {"sensors": {"exit_c": {"band": (150.0, 170.0)}}},
        "contradictory limits: exit_c comes to",
        ("mpc",),
    ),
    (
        {"mpc": FOLLOW, "sensors": {"zone_temp_c": {"delay_s": 600.0}}},
        "horizon of 300 s is shorter than the dead time of 600 s",
        ("mpc",),
    ),
    ({"mpc": {**FOLLOW, "step_s": 7.0}}, "no whole number of turns", ("mpc", "step_s")),
    ({"mpc": {**FOLLOW, "horizon": 5, "blocks": (3, 3)}}, "do not fit 5 steps", ("mpc",)),
]


@pytest.mark.parametrize(("station", "said", "at"), REFUSED, ids=[said for _, said, _ in REFUSED])
def test_what_cannot_be_is_refused_at_load_by_name(
    station: dict[str, Any], said: str, at: tuple[str, ...]
) -> None:
    line = build_line(dryer.plant_with(**station))
    with pytest.raises(PlantError, match=said) as refused:
        Mpc(line, untuned(line.plant))
    assert refused.value.key_path[: 2 + len(at)] == ("stations", 1, *at)
    assert "'dryer'" in refused.value.message
    assert refused.value.hint


def test_a_model_that_knows_of_no_parts_is_refused_with_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dryer.offer(monkeypatch, "benchmarks.reactors.stirred")
    with pytest.raises(
        PlantError, match="no ambient_c, conveyor_phase, carrier_1_mass_kg, power_kw"
    ):
        build_line(dryer.plant_with())


def test_a_task_is_refused_where_the_layer_has_its_own() -> None:
    for n, said in ((0, "one part after the other"), (1, "is an oven, whose MPC knows its task")):
        plant = changed(plant_of("paint_cure_line"), {f"stations.{n}.mpc": {"horizon": 5}})
        with pytest.raises(PlantError, match=said):
            Mpc(build_line(plant), untuned(plant))


def test_a_tariff_with_gaps_is_refused_by_name() -> None:
    plant = dryer.plant_with(mpc=FOLLOW)
    day = plant.energy.tariffs_eur_per_mwh["solar_day"]
    with pytest.raises(PlantError, match="24 hourly prices, this one 23") as refused:
        changed(plant, {"energy.tariffs_eur_per_mwh.solar_day": day[:-1]})
    assert refused.value.key_path[-1] == "solar_day"


@pytest.mark.parametrize("end", ["operator", "engineering", "validity"])
def test_a_setpoint_without_an_end_is_refused_by_name(end: str) -> None:
    plant = dryer.plant_with(mpc=FOLLOW)
    path = f"stations.1.setpoints.heater_kw.{end}"
    with pytest.raises(ValidationError, match=rf"heater_kw\.{end}") as refused:
        changed(plant, {path: (5.0, math.inf)})
    assert "finite" in str(refused.value)


def test_a_plant_error_travels_whole_between_processes() -> None:
    error = PlantError(("stations", 1, "mpc"), "no", "yes", file="a.yaml", line=3, text="mpc:")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301  (its own)
    assert (str(back), back.text) == (str(error), error.text)
