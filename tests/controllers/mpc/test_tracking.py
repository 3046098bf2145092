from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.reactors import stirred
from controllers.mpc.tracking import StationAnswer, StationMpc
from tests.twin.optim.heated_tank import MODEL
from twin.analyze.kalman import Noise
from twin.optim import ProblemError
from twin.optim.ladder import Rung
from twin.optim.result import Floats
from twin.optim.task import Aim, Band, Move, TrackingTask
from twin.processes import load

AT = MODEL.point()
MOVES = (
    Move("heater_kw", 0.0, 80.0, rate_per_s=2.0, weight=1e-4, target_weight=1e-3),
    Move("inflow_kg_per_s", 0.3, 0.8, weight=1.0, target_weight=1e-2),
)
TASK = TrackingTask(
    MODEL, 10.0, 12, MOVES, aims=(Aim("outlet_c", 1.0),),
    bands=(Band("outlet_c", hi=75.0, weight=50.0),), prices={"power_kw": 1e-5},
    disturbances=("inlet_c",),
)  # fmt: skip
NOISE = Noise({"outlet_c": 0.02}, {"inlet_c": 0.5}, {})
Plant = Callable[[Floats, int], Floats]


def driven(
    mpc: StationMpc, steps: int, wanted: Callable[[int], float], inlet: Callable[[int], float]
) -> list[tuple[Floats, StationAnswer]]:
    """The tank under control: another inlet and a leak that the model knows nothing of."""
    leaky = MODEL.point(loss_kw_per_k=0.05).p
    x, u, memory, found = AT.x.copy(), AT.u, mpc.begin(AT.x, AT.u), []
    for k in range(steps):
        MODEL.stepper()(x, u, np.array([inlet(k)]), leaky, 10.0, x)
        answer, memory = mpc.decide(memory, x[[1]], u, np.array([wanted(k)]))
        u = np.array(list(answer.setpoints.values()))
        found.append((x.copy(), answer))
    return found


@pytest.mark.parametrize("window", [0, 5])
def test_no_offset_stays_after_a_step_of_the_disturbance(window: int) -> None:
    mpc = StationMpc(TASK, NOISE, window=window)
    assert mpc.offset_free
    course = driven(
        mpc, 140, lambda k: 50.0 if k < 70 else 60.0, lambda k: 20.0 if k < 20 else 27.0
    )
    for k, wanted in ((69, 50.0), (139, 60.0)):
        assert abs(course[k][0][1] - wanted) / 100.0 < 1e-3
    # The second setpoint is not needed: it rests where the heater needs least.
    assert course[-1][1].setpoints["inflow_kg_per_s"] == pytest.approx(0.3, abs=0.02)
    assert {answer.answer.rung for _, answer in course[1:]} == {Rung.HPIPM}


def test_no_offset_stays_on_a_nonlinear_reactor_with_wrong_constants() -> None:
    task = TrackingTask(
        stirred.MODEL, 18.0, 20,
        (Move("feed_per_h", 5.0, 100.0, weight=1e-3), Move("heat_kj_per_h", -8500.0, 0.0, weight=1e-7)),
        aims=(Aim("b_mol_per_l", 100.0), Aim("temperature_c", 0.05)),
        disturbances=("feed_warmer_k", "feed_a"),
    )  # fmt: skip
    noise = Noise(
        {"b_mol_per_l": 0.002, "temperature_c": 0.05}, {"feed_warmer_k": 0.2, "feed_a": 0.01}, {}
    )
    mpc = StationMpc(task, noise)
    at = stirred.MODEL.point(k0_ab=1.34e12, jacket_kj_per_h_m2_k=3800.0)
    x, u, wanted = at.x.copy(), np.array([18.0, -1000.0]), np.array([0.6, 133.0])
    memory = mpc.begin(x, u)
    for k in range(160):
        for _ in range(4):
            stirred.MODEL.stepper()(x, u, np.array([6.0 if k > 40 else 0.0]), at.p, 4.5, x)
        answer, memory = mpc.decide(memory, x[1:3], u, wanted)
        u = np.array(list(answer.setpoints.values()))
    assert abs(x[1] - 0.6) / 2.0 < 1e-3
    assert abs(x[2] - 133.0) / 130.0 < 1e-3


def test_a_moulding_machine_is_followed_from_shot_to_shot() -> None:
    moulding = load("moulding")
    task = TrackingTask(
        moulding, 36.0, 3,
        (
            Move("packing_pressure_bar", 320.0, 500.0, weight=1e-7),
            Move("cooling_time_s", 17.0, 35.0, weight=1e-5),
        ),
        aims=(Aim("weight_pct", 1.0), Aim("shrinkage_pct", 1.0)),
        disturbances=("bias.weight_pct", "bias.shrinkage_pct"),
    )  # fmt: skip
    noise = Noise(
        {"weight_pct": 0.02, "shrinkage_pct": 0.005},
        {"bias.weight_pct": 0.05, "bias.shrinkage_pct": 0.02},
        {},
    )
    mpc = StationMpc(task, noise)
    at = moulding.point(viscosity_rel=1.2, ambient_c=28.0)
    u, memory = at.u, mpc.begin(at.x, at.u)
    for _ in range(40):
        shot = dict(
            zip(moulding.output_names, moulding.numbers()(at.x, u, at.d, at.p), strict=True)
        )
        y = np.array([shot["weight_pct"], shot["shrinkage_pct"]])
        answer, memory = mpc.decide(memory, y, u, np.array([0.0, 1.5]))
        u = np.array(list(answer.setpoints.values()))
    assert abs(y[0]) / 40.0 < 1e-3
    assert abs(y[1] - 1.5) / 12.0 < 1e-3


@pytest.mark.slow
def test_the_zones_of_an_oven_follow_without_offset_in_spite_of_lossy_doors() -> None:
    oven = load("oven")
    zones = [f"zone_{z}_c" for z in (1, 2, 3, 4)]
    task = TrackingTask(
        oven, 60.0, 8,
        tuple(
            Move(f"zone_{z}_setpoint_c", 100.0, 215.0, rate_per_s=0.1, weight=1e-3)
            for z in (1, 2, 3, 4)
        ),
        aims=tuple(Aim(zone, 0.1) for zone in zones),
        bands=(Band("gas_kw", hi=300.0, weight=1.0),),
        blocks=(1, 2, 5), disturbances=tuple(f"bias.{zone}" for zone in zones), substeps=2,
    )  # fmt: skip
    noise = Noise(dict.fromkeys(zones, 0.5), {f"bias.{zone}": 0.1 for zone in zones}, {})
    mpc = StationMpc(task, noise)
    at = oven.point(door_loss_rel=0.3)
    x, u, wanted = at.x.copy(), at.u, np.array([150.0, 182.0, 176.0, 171.0])
    memory = mpc.begin(x, u)
    for _ in range(70):
        for _ in range(6):
            oven.stepper()(x, u, at.d, at.p, 10.0, x)
        answer, memory = mpc.decide(memory, x[:4].copy(), u, wanted)
        u = answer.answer.u
    assert answer.answer.rung is Rung.HPIPM
    assert np.abs(x[:4] - wanted).max() / 270.0 < 1e-3


@pytest.mark.parametrize("window", [0, 4])
def test_an_edge_that_was_changed_is_known_to_be_new(window: int) -> None:
    cutting = load("cutting")
    task = TrackingTask(
        cutting, 60.0, 4,
        (Move("cutting_speed_m_per_min", 200.0, 280.0, weight=1e-5), Move("feed_mm", 0.2, 0.35)),
        bands=(Band("roughness_um", hi=3.2, weight=10.0), Band("cycle_time_s", hi=50.0, rank=2)),
        prices={"energy_kwh": 0.2, "wear_increment": 30.0}, disturbances=("hardness_rel",),
    )  # fmt: skip
    noise = Noise({"energy_kwh": 0.0005}, {"hardness_rel": 0.01}, {"wear_mm": 1e-5})
    mpc = StationMpc(task, noise, window=window)
    at, wear = cutting.point(), 0.0
    u, memory = at.u, mpc.begin(at.x, at.u)
    for k in range(50):
        part = cutting.numbers()(np.array([wear]), u, np.array([1.1]), at.p)
        wear += part[4]
        answer, memory = mpc.decide(memory, np.array([part[1]]), u, np.zeros(0))
        if k == 30:
            wear, memory = 0.0, mpc.known(memory, wear_mm=0.0)
        u = answer.answer.u
    assert memory.belief.x[0] == pytest.approx(wear, abs=0.03)
    assert part[0] == pytest.approx(50.0, abs=0.1)
    with pytest.raises(ProblemError, match="wear_mm = -1"):
        mpc.known(memory, wear_mm=-1.0)


def test_what_is_not_known_of_inputs_is_taken_as_it_was() -> None:
    mpc = StationMpc(TASK, NOISE)
    memory = mpc.begin(AT.x, AT.u)
    answer, memory = mpc.decide(memory, np.array([40.0]), AT.u, np.array([45.0]))
    blind, after = mpc.decide(
        memory, np.array([np.nan]), np.full(3, np.nan), np.array([45.0]), np.array([np.nan])
    )
    assert after.d.tolist() == AT.d.tolist()
    assert abs(blind.answer.u[0] - answer.answer.u[0]) <= 20.0 + 1e-9
    assert blind.answer.optimised
    assert all(np.isfinite(list(blind.setpoints.values())))
    lost, _ = mpc.decide(after, np.array([40.0]), AT.u, np.array([np.nan]))
    assert lost.answer.rung is Rung.SHIFTED
    assert lost.target is None


def test_the_same_course_twice_is_the_same_bit_for_bit() -> None:
    def bits() -> bytes:
        course = driven(StationMpc(TASK, NOISE), 12, lambda _: 50.0, lambda _: 24.0)
        return b"".join(np.array(list(a.setpoints.values())).tobytes() for _, a in course)

    assert bits() == bits()


@pytest.mark.parametrize(
    ("changed", "noise", "said"),
    [
        ({"moves": (*MOVES, Move("lamp_kw", 0.0, 1.0))}, NOISE, "lamp_kw moves none"),
        ({"disturbances": ("lamp_kw",)}, Noise({"outlet_c": 0.1}, {"lamp_kw": 0.1}, {}), "lamp_kw"),
        ({"horizon": 3, "dead_time_s": 60.0}, NOISE, "shorter than the dead time"),
        ({"moves": (Move("heater_kw", 9.0, 3.0),)}, NOISE, "contradictory limits of heater_kw"),
        ({"moves": (Move("heater_kw", 0.0, np.inf),)}, NOISE, "unbounded"),
        ({"disturbances": ("steam_c",)}, NOISE, "steam_c"),
        ({}, Noise({"steam_c": 0.1}, {"inlet_c": 0.1}, {}), "steam_c"),
    ],
)
def test_what_cannot_be_is_refused_at_load_by_name(
    changed: dict[str, Any], noise: Noise, said: str
) -> None:
    with pytest.raises(ProblemError, match=said):
        StationMpc(replace(TASK, **changed), noise)


def test_vectors_of_a_wrong_length_are_refused_by_name() -> None:
    mpc = StationMpc(TASK, NOISE)
    memory = mpc.begin(AT.x, AT.u)
    with pytest.raises(ProblemError, match="measured"):
        mpc.decide(memory, np.zeros(2), AT.u, np.array([45.0]))
    with pytest.raises(ProblemError, match="references"):
        mpc.decide(memory, np.zeros(1), AT.u, np.zeros(0))
