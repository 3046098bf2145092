"""What stations take of compressed air and the like follows from times and parts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twin.feedback.books import plant
from tests.twin.line.small_lines import changed
from twin.config import Plant, PlantError
from twin.cycle import Reading
from twin.feedback import Kpis, Ledger, evaluate
from twin.feedback.account import Account
from twin.feedback.utilities import station_use
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import build_line
from twin.line.scenario import build_table
from twin.line.simulator import Simulator
from twin.line.tags import NO_CONTROL, TagReader

AIR = {
    "title": "compressed air", "unit": "m3",
    "kwh_per_unit": {"value": 0.12}, "eur_per_unit": {"value": 0.025},
}  # fmt: skip
USES = {
    "working_per_h": {"value": 9.0}, "ready_per_h": {"value": 3.5},
    "asleep_per_h": {"value": 0.2}, "per_part": {"value": 0.03},
}  # fmt: skip


def with_air() -> Plant:
    return changed(
        plant(), {"utilities": {"air": AIR}, "stations.0.uses": {"air": USES},
                  "stations.3.uses": {"air": {"ready_per_h": {"value": 1.0}}}}
    )  # fmt: skip


def shift(of: Plant, until_s: float = 7200.0) -> Account:
    """The books of a shift, read every minute without any noise."""
    line = build_line(of)
    reader, simulator = TagReader(line), Simulator(line, build_table(of, 3, PLANT, 8.0))
    state, books = initial_state(line, 3, PLANT), Ledger(of, reader.signals)
    simulator.prime(state)
    good = np.zeros(len(reader.signals), dtype=np.int64)
    for n in range(int(until_s / 60.0) + 1):
        simulator.advance(state, {"turning.standby_after_s": 10.0}, 60.0 * n)
        time_us = 60_000_000 * n
        books.book(Reading(time_us, 0, reader.read(state, NO_CONTROL), good + time_us, good))
    return books.account()


def test_use_is_that_of_the_hours_and_the_parts() -> None:
    account = shift(with_air())
    hours = {state: account.growth(f"turning.time_{state}_s") / 3600.0 for state in s.STATES}
    asleep = hours["off"] + hours["standby"]
    assert asleep > 0.0
    expected = (
        9.0 * hours["processing"]
        + 0.2 * asleep
        + 3.5 * (2.0 - hours["processing"] - asleep)
        + 0.03 * account.growth("turning.op_count")
    )
    assert station_use(account, "turning", "air") == pytest.approx(expected)
    found: Kpis = evaluate(account)
    ready_h = 2.0 - sum(
        account.growth(f"wash.time_{state}_s") / 3600.0
        for state in ("processing", "standby", "off")
    )
    assert found["utility.air"] == pytest.approx(expected + ready_h)
    per_part = found["utility.air"] / found["good_parts"]
    assert found["utility.air_per_good_part"] == pytest.approx(per_part)
    assert found["utility.energy_kwh_per_good_part"] == pytest.approx(0.12 * per_part)
    assert found["utility.cost_eur_per_good_part"] == pytest.approx(0.025 * per_part)


def test_nothing_else_moves_and_a_plant_without_utilities_has_no_such_figure() -> None:
    without, having = evaluate(shift(plant())), evaluate(shift(with_air()))
    assert not any(kpi.name.startswith("utility.") for kpi in without.values)
    assert {kpi.name: kpi.value for kpi in without.values} == {
        kpi.name: kpi.value for kpi in having.values if not kpi.name.startswith("utility.")
    }


def test_a_use_of_what_nobody_supplies_is_refused() -> None:
    with pytest.raises(PlantError, match="compressed"):
        changed(plant(), {"utilities": {"air": AIR}, "stations.0.uses": {"compressed": USES}})
