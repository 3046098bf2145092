from __future__ import annotations

import math
from typing import Any

import pytest

from tests.twin.optim.heated_tank import MODEL
from twin.optim import ProblemError
from twin.optim.task import Aim, Band, Move, TrackingTask

HEATER = Move("heater_kw", 0.0, 80.0)
AIM = (Aim("outlet_c", 1.0),)


def task(**changed: Any) -> TrackingTask:
    given: dict[str, Any] = {"moves": (HEATER,), "aims": AIM, **changed}
    return TrackingTask(MODEL, given.pop("step_s", 10.0), given.pop("horizon", 6), **given)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"aims": (Aim("outlett_c", 1.0),)}, "outlett_c"),
        ({"moves": (Move("heater", 0.0, 1.0),)}, "heater"),
        ({"prices": {"powr_kw": 1.0}}, "powr_kw"),
        ({"moves": ()}, "no MV may be moved"),
        ({"moves": (HEATER, HEATER)}, "heater_kw.* twice"),
        ({"moves": (Move("heater_kw", 50.0, 20.0),)}, "contradictory limits of heater_kw: 50"),
        ({"bands": (Band("outlet_c", 60.0, 50.0),)}, "contradictory limits of outlet_c: 60"),
        ({"moves": (Move("heater_kw", 0.0, 120.0),)}, "beyond 0.0 to 100.0, where the model"),
        ({"moves": (Move("heater_kw", 0.0, math.inf),)}, "unbounded: heater_kw"),
        ({"moves": (Move("heater_kw", 0.0, 80.0, rate_per_s=0.0),)}, "could not move"),
        ({"moves": (Move("heater_kw", 0.0, 80.0, weight=-1.0),)}, "not negative"),
        ({"dead_time_s": math.nan}, "dead_time_s is nan"),
        ({"dead_time_s": -5.0}, "dead_time_s is -5"),
        ({"horizon": 6, "dead_time_s": 60.0}, "60 s is shorter than the dead time of 60 s"),
        ({"horizon": 0}, "at least one step"),
        ({"step_s": math.nan}, "positive seconds"),
        ({"blocks": (4, 4)}, "do not fit 6 steps"),
        ({"blocks": (0, 2)}, "do not fit"),
        ({"aims": ()}, "nothing to follow"),
        ({"aims": (Aim("outlet_c", 0.0),)}, "positive weight"),
        ({"bands": (Band("outlet_c", hi=1.0, rank=0),)}, "rank from 1"),
        ({"prices": {"power_kw": math.nan}}, "power_kw is nan"),
    ],
)
def test_a_task_that_cannot_be_is_refused_with_names(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        task(**changed)


def test_blocks_say_when_setpoints_may_move() -> None:
    assert task().free_steps == (0, 1, 2, 3, 4, 5)
    assert task(blocks=(1, 2, 3)).free_steps == (0, 1, 3)
    assert task(blocks=(1, 1)).free_steps == (0, 1)


def test_prices_decide_the_course_only_where_nothing_is_followed() -> None:
    prices = {"power_kw": 0.1}
    assert task(prices=prices).dynamic_prices == {}
    assert task(prices=prices, aims=()).dynamic_prices == prices
