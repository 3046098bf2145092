from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.twin.optim.heated_tank import MODEL
from twin.optim.shooting import Here
from twin.optim.target import TargetProblem
from twin.optim.task import Aim, Band, Move, TrackingTask

TASK = TrackingTask(
    MODEL, 10.0, 8,
    (Move("heater_kw", 0.0, 80.0, target_weight=0.01), Move("inflow_kg_per_s", 0.3, 0.8)),
    aims=(Aim("outlet_c", 1.0),),
    prices={"power_kw": 0.001},
)  # fmt: skip
AT = MODEL.point()
HERE = Here(AT.x, AT.u, np.array([50.0]), AT.d, np.zeros(0))


def test_setpoints_that_following_does_not_need_rest_where_it_is_cheapest() -> None:
    found = TargetProblem(TASK).solve(HERE)
    assert found.usable
    # Least flow: 0.3 kg/s by 4.2 kJ/(kg K) by 30 K; the price buys an error of less than 0.01 K.
    assert found.u == pytest.approx([37.8, 0.3], abs=0.02)
    assert found.x == pytest.approx([50.0, 50.0], abs=0.01)


def test_where_not_all_bands_can_be_kept_the_lowest_rank_gives_way() -> None:
    kept = Band("outlet_c", lo=60.0, rank=1)
    gives = Band("power_kw", hi=20.0, rank=2, weight=1e6)
    task = replace(TASK, aims=(), bands=(kept, gives))
    found = TargetProblem(task).solve(replace(HERE, references=np.zeros(0)))
    assert found.usable
    assert found.beyond[0] == pytest.approx(0.0, abs=0.01)
    assert found.beyond[1] == pytest.approx(0.3 * 4.2 * 40.0 - 20.0, abs=0.05)
    other = replace(task, bands=(replace(kept, rank=2), replace(gives, rank=1)))
    found = TargetProblem(other).solve(replace(HERE, references=np.zeros(0)))
    assert found.usable
    assert found.beyond[0] == pytest.approx(60.0 - (20.0 + 20.0 / (0.3 * 4.2)), abs=0.05)
    assert found.beyond[1] == pytest.approx(0.0, abs=0.01)


def test_learned_disturbances_move_the_target() -> None:
    task = replace(TASK, disturbances=("heater_kw",))
    found = TargetProblem(task).solve(replace(HERE, w=np.array([-5.0])))
    assert found.u == pytest.approx([42.8, 0.3], abs=0.05)
