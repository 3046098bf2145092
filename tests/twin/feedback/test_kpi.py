from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.twin.feedback.books import booked, plant, reading, simulated
from twin.cycle import Action as Asked
from twin.cycle import Cycle, Decision, Mode, Reading
from twin.feedback import Kpis, evaluate, kpi_record, kpis_from_record
from twin.feedback.account import Account
from twin.feedback.definitions import LINE_KPIS
from twin.line import schema as s

# Two hours of a line that can be followed by hand.
BEGIN = {
    "line.good_count": 10.0,
    "line.ordered_count": 40.0,
    "line.wip": 5.0,
    "turning.tool_use": 0.5,
    "milling.tool_use": 0.25,
    "drilling.tool_use": 0.0,
    "env.price_eur_per_mwh": 999.0,
} | {f"{station.name}.state": float(s.IDLE) for station in plant().stations}
END = BEGIN | {
    "line.good_count": 90.0,
    "line.scrap_count": 20.0,
    "line.ordered_count": 140.0,
    "line.wip": 8.0,
    "line.material_kg": 400.0,
    "line.scrap_kg": 76.0,
    "line.energy_kwh": 60.0,
    "line.gas_kwh": 8.0,
    "env.price_eur_per_mwh": 200.0,
    "turning.tool_use": 0.75,
    "milling.tool_use": 0.0,
    "drilling.tool_use": 0.5,
    "turning.tool_changes": 3.0,
    "milling.tool_changes": 1.0,
    "wash.state": float(s.STANDBY),
    # Turning: 5,200 s at work for 104 parts of 52 s planned, and the rest of 7,200 s.
    "turning.op_count": 104.0,
    "turning.time_processing_s": 5200.0,
    "turning.time_tool_change_s": 270.0,
    "turning.time_down_s": 330.0,
    "turning.time_blocked_s": 400.0,
    "turning.time_idle_s": 600.0,
    "turning.time_standby_s": 300.0,
    "turning.time_warm_up_s": 100.0,
    # Inspection: 100 parts of 40 s planned in 5,000 s, 20 of them scrap.
    "inspection.op_count": 100.0,
    "inspection.scrap_count": 20.0,
    "inspection.time_processing_s": 5000.0,
    "inspection.time_idle_s": 2200.0,
    "turning.energy_kwh": 60.0,
}
GOOD = 80.0
TOOLS_EUR = 4.0 * (3.25 + 0.75 + 0.5)
CHARGE_EUR = 0.2375 * GOOD  # the budget of 80 good parts, which the edges stay under
RUNNING_EUR = 60.0 * 0.2 + 8.0 * 0.055 + 400.0 * 1.4 - 76.0 * 0.25 + CHARGE_EUR
PART_EUR = 3.8 * 1.4 + 0.5
STOCKS_EUR = 50.0 * 20.0 - 3.0 * PART_EUR + 1.0 * 0.2  # 50 orders missing, WIP 5 to 8, 1 kWh owed

BY_HAND = {
    "good_parts": GOOD,
    "scrap_parts": 20.0,
    "ordered_parts": 130.0,
    "throughput_parts_per_h": 40.0,
    "energy_kwh": 60.0,
    "gas_kwh": 8.0,
    "energy_kwh_per_good_part": 0.75,
    "gas_kwh_per_good_part": 0.1,
    "energy_settled_kwh_per_good_part": (60.0 + 1.0) / GOOD,
    "gas_settled_kwh_per_good_part": 0.1,
    "material_kg_per_good_part": 5.0,
    "scrap_share": 0.2,
    "tool_changes": 4.0,
    "tool_cost_eur": TOOLS_EUR,
    "tool_cost_eur_per_good_part": TOOLS_EUR / GOOD,
    "running_cost_eur": RUNNING_EUR,
    "stock_change_eur": STOCKS_EUR,
    "cost_eur_per_good_part": (RUNNING_EUR + STOCKS_EUR + 30.0 * 119.08 / 500.0) / GOOD,
    "energy_cost_eur_per_good_part": (12.0 + 0.44) / GOOD,
    "energy_cost_settled_eur_per_good_part": (12.0 + 0.44 + 1.0 * 0.2) / GOOD,
    "co2_kg_per_good_part": (60.0 * 0.36 + 8.0 * 0.201) / GOOD,
    "peak_kw": 30.0,
    "demand_charge_eur": 30.0 * 119.08 / 500.0,
    "wip_end": 8.0,
    "backlog_end": 50.0,
    "tool_life_used_end": 1.25,
    "heat_owed_kwh_end": 1.0,
    "gas_owed_kwh_end": 0.0,
    # Of the line: that of turning, which was at work, changed over or repaired for 5,800 s.
    "line.bottleneck_position": 1.0,
    "line.allocation_efficiency": 6200.0 / 7200.0,
    "line.utilization_efficiency": 5200.0 / 6200.0,
    "line.availability": 5200.0 / 7200.0,
    "line.effectiveness": 104.0 * 52.0 / 5200.0,
    "line.quality_ratio": 0.8,
    "line.oee_index": 5200.0 / 7200.0 * 1.04 * 0.8,
    "turning.allocation_efficiency": 6200.0 / 7200.0,
    "turning.utilization_efficiency": 5200.0 / 6200.0,
    "turning.availability": 5200.0 / 7200.0,
    "turning.effectiveness": 1.04,
    "turning.quality_ratio": 1.0,
    "turning.oee_index": 5200.0 / 7200.0 * 1.04,
    "turning.off_share": 0.0,
    "turning.standby_share": 300.0 / 7200.0,
    "turning.warm_up_share": 100.0 / 7200.0,
    "turning.idle_share": 600.0 / 7200.0,
    "turning.processing_share": 5200.0 / 7200.0,
    "turning.blocked_share": 400.0 / 7200.0,
    "turning.down_share": 330.0 / 7200.0,
    "turning.tool_change_share": 270.0 / 7200.0,
    "turning.tool_life_used_end": 0.75,
    "inspection.effectiveness": 100.0 * 40.0 / 5000.0,
    "inspection.quality_ratio": 0.8,
    "inspection.oee_index": 5000.0 / 7200.0 * 0.8 * 0.8,
}


@pytest.fixture
def by_hand() -> Kpis:
    return evaluate(booked([reading(0, BEGIN), reading(7200, END)]))


@pytest.mark.parametrize("name", BY_HAND)
def test_each_figure_by_hand(name: str, by_hand: Kpis) -> None:
    assert by_hand[name] == pytest.approx(BY_HAND[name], rel=1e-12)


def test_gas_that_the_end_owes_is_in_the_settled_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    stocks = Account.stocks_at_end
    monkeypatch.setattr(
        Account, "stocks_at_end", lambda account: replace(stocks(account), gas_owed_kwh=4.0)
    )
    found = evaluate(booked([reading(0, BEGIN), reading(7200, END)]))
    more_eur = 4.0 * 0.055
    name = "energy_cost_settled_eur_per_good_part"
    assert found[name] == pytest.approx(BY_HAND[name] + more_eur / GOOD, rel=1e-12)
    assert found["gas_settled_kwh_per_good_part"] == pytest.approx(12.0 / GOOD, rel=1e-12)


def test_every_figure_of_the_line_has_a_case(by_hand: Kpis) -> None:
    fitted = {"idle_energy_share", "standby_energy_share", "warm_up_energy_share"}
    of_the_twin = {"twin_error_parts", "twin_error_kwh"}  # see test_drift.py
    assert {definition.name for definition in LINE_KPIS} == fitted | of_the_twin | {
        name for name in BY_HAND if "." not in name or name.startswith("line.")
    }


def test_edges_beyond_the_budget_are_dear() -> None:
    dear = END | {"turning.tool_changes": 13.0}
    kpis = evaluate(booked([reading(0, BEGIN), reading(7200, dear)]))
    tools_eur = TOOLS_EUR + 40.0
    assert kpis["tool_cost_eur"] == pytest.approx(tools_eur)
    extra_eur = 10.0 * (tools_eur - CHARGE_EUR)
    assert kpis["running_cost_eur"] == pytest.approx(RUNNING_EUR + extra_eur)


def test_shares_of_energy_by_class() -> None:
    # Half an hour each: making at 10 kW, idle at 4 kW, asleep at 1 kW, warming up at 6 kW.
    states = (("processing", 10.0), ("idle", 4.0), ("standby", 1.0), ("warm_up", 6.0))
    counts = {"turning.energy_kwh": 0.0} | {f"turning.time_{name}_s": 0.0 for name, _ in states}
    readings = [reading(0, counts)]
    for n, (name, power_kw) in enumerate(states):
        for k in range(60):
            counts[f"turning.time_{name}_s"] += 30.0
            counts["turning.energy_kwh"] += power_kw * 30.0 / 3600.0
            readings.append(reading(30.0 * (60 * n + k + 1), counts))
    kpis = evaluate(booked(readings))
    assert kpis["idle_energy_share"] == pytest.approx(4.0 / 21.0)
    assert kpis["standby_energy_share"] == pytest.approx(1.0 / 21.0)
    assert kpis["warm_up_energy_share"] == pytest.approx(6.0 / 21.0)


def test_without_a_good_part_figures_per_part_are_undefined() -> None:
    end = END | {"line.good_count": BEGIN["line.good_count"]}
    kpis = evaluate(booked([reading(0, BEGIN), reading(7200, end)]))
    per_part = {d.name for d in LINE_KPIS if d.name.endswith("_per_good_part")}
    assert per_part <= set(kpis.undefined)
    assert {kpis.undefined[name] for name in per_part} == {"no good part was made"}
    assert kpis["energy_kwh"] == 60.0
    with pytest.raises(KeyError, match="no good part was made"):
        _ = kpis["cost_eur_per_good_part"]
    record = kpi_record(kpis)
    json.dumps(record, allow_nan=False)
    assert record["undefined"]["energy_kwh_per_good_part"] == "no good part was made"


def test_one_reading_defines_little_and_raises_nothing() -> None:
    kpis = evaluate(booked([reading(0, BEGIN)]))
    assert "two readings" in kpis.undefined["throughput_parts_per_h"]
    assert "quarter" in kpis.undefined["peak_kw"]
    assert kpis["wip_end"] == 5.0


def test_the_last_cycle_stands_in_for_a_planned_one() -> None:
    stations = list(plant().stations)
    bare = stations[0].model_copy(update={"parameters": {}})
    of = plant().model_copy(update={"stations": (bare, *stations[1:])})
    begin, end = reading(0, BEGIN), reading(7200, END | {"turning.last_cycle_s": 49.0})
    kpis = evaluate(booked([begin, end], of))
    assert kpis["turning.effectiveness"] == pytest.approx(104.0 * 49.0 / 5200.0)
    kpis = evaluate(booked([begin, reading(7200, END)], of))
    assert "no planned cycle of turning" in kpis.undefined["turning.effectiveness"]


def test_the_record_is_sorted_and_comes_back(by_hand: Kpis) -> None:
    record = kpi_record(by_hand)
    assert list(record["kpis"]) == sorted(record["kpis"])
    assert record["kpis"]["peak_kw"] == {"unit": "kW", "value": 30.0}
    assert (record["from_us"], record["until_us"]) == (0, 7_200_000_000)
    back = kpis_from_record(json.loads(json.dumps(record, allow_nan=False)))
    assert kpi_record(back) == record


def test_a_shift_keeps_the_identities_of_the_standard() -> None:
    _, readings = simulated(8, 7, 90.0)
    kpis = evaluate(booked(readings))
    assert set(kpis.undefined) == {"twin_error_parts", "twin_error_kwh"}  # no loop ran
    assert not kpis.doubts
    for station in [station.name for station in plant().stations]:
        shares = sum(kpis[f"{station}.{state}_share"] for state in s.STATES)
        assert shares == pytest.approx(1.0)
        parts = kpis[f"{station}.allocation_efficiency"] * kpis[f"{station}.utilization_efficiency"]
        assert kpis[f"{station}.availability"] == pytest.approx(parts)
        share = pytest.approx(kpis[f"{station}.processing_share"])
        assert kpis[f"{station}.availability"] == share


def test_recorded_and_live_readings_give_the_same_figures() -> None:
    _, readings = simulated(8, 7, 60.0, "sensor_faults")
    decision = Decision(0, Mode.ADVISORY, (), Asked({}), None, ())
    recorded: list[Reading] = []
    for n, one in enumerate(readings):
        line = Cycle(n, one, (), None, decision).to_json()
        recorded.append(Cycle.inputs_from_json(line)[0])
    live, replayed = evaluate(booked(readings)), evaluate(booked(recorded))
    assert kpi_record(live) == kpi_record(replayed)
