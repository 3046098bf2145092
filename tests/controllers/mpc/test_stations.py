"""What the MPC refuses of per-part stations, and what it takes where nothing is told."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controllers.mpc.stations import cells_of, prices_of, refuse_idle_moves
from tests.twin.analyze.in_step import nominal
from twin.config import PlantError
from twin.cycle import Situation
from twin.objective import Objective


def test_a_setpoint_that_no_output_depends_on_is_refused_by_name() -> None:
    line = nominal("machining_line")
    cells = cells_of(line)
    refuse_idle_moves(line, cells)
    turning = next(cell for cell in cells if cell.name == "turning")
    model = SimpleNamespace(
        states=turning.model.states, numbers=lambda: lambda _x, u, _d, _p: (float(u[0]), 1.0)
    )
    deaf = replace(turning, model=cast("Any", model))
    with pytest.raises(PlantError, match=r"'turning': no output .* depends on feed_mm") as refused:
        refuse_idle_moves(line, (deaf,))
    assert refused.value.key_path == ("stations", 0, "setpoints", "feed_mm")
    fixed = replace(deaf, hi=deaf.lo)
    refuse_idle_moves(line, (fixed,))


def test_an_unknown_price_is_the_usual_one_of_the_plant() -> None:
    objective = Objective.of(nominal("machining_line").plant)
    seen = SimpleNamespace(observation={"env.price_eur_per_mwh": math.nan})
    prices = prices_of(objective, cast("Situation", seen), 3.8, 0.0)
    assert prices.energy_eur_per_kwh == objective.usual_eur_per_mwh * 1e-3
    tariff = nominal("machining_line").plant.energy
    day = tariff.tariffs_eur_per_mwh[tariff.tariff]
    usual = math.fsum(day) / 24.0 + float(tariff.adders_eur_per_mwh)
    assert objective.usual_eur_per_mwh == pytest.approx(usual)
