"""What comes: many courses, each on a line that may be."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twin.analyze.in_step import nominal, without_luck
from tests.twin.line.small_lines import Run, changed
from twin.analyze.likely import likely_line, likely_lines
from twin.analyze.offset import Offset
from twin.analyze.outlook import FIGURES, look_ahead
from twin.analyze.whatif import ahead, present
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.model import Line, build_line
from twin.line.scenario import build_table, shift_orders
from twin.state import LineState


def begun(line: Line, until_s: float = 3000.0) -> LineState:
    run = Run(line, build_table(line.plant, 4, PLANT, 8.0), 4)
    run.simulator.prime(run.state)
    return run.to(until_s).state


def test_the_same_courses_every_time_and_what_is_begun_with_stays() -> None:
    line = nominal("machining_line")
    state = begun(line)
    before = state.copy()
    lines, table = likely_lines(line, {}, 1, 30), present(line, state)
    found = [look_ahead(lines, table, [state] * 30, {}, 3600.0) for _ in range(2)]
    assert state == before
    for name in FIGURES:
        assert found[0].courses[name].tobytes() == found[1].courses[name].tobytes()
        assert len(set(found[0].courses[name].tolist())) > 5
        lower, upper = found[0].interval(name)
        inside = (found[0].courses[name] >= lower) & (found[0].courses[name] <= upper)
        assert 0.85 <= inside.mean() < 1.0


def test_what_was_learned_moves_the_energy_by_its_factor() -> None:
    line = without_luck("machining_line")
    state = begun(line)
    # Nothing is open: all factors are known.
    known = {
        f"{name}.{what}": Offset(1.0, 0.0)
        for name in (element.name for element in line.stations)
        for what in ("idle_kw", "standby_kw", "warm_up_s", "last_energy_kwh")
    }
    table = present(line, state)
    plain = look_ahead([line] * 3, table, [state] * 3, known, 3600.0)
    twice = known | {"turning.last_energy_kwh": Offset(2.0, 0.0)}
    more = look_ahead([line] * 3, table, [state] * 3, twice, 3600.0)
    assert np.array_equal(plain.courses["good_parts"], more.courses["good_parts"])
    run = Run(line, table, 4)
    run.state = state.copy()
    run.to(state.now_s + 3600.0)
    at = line.k[s.K_LINE_I] + s.RELEASED
    released = run.state.ints[at] - state.ints[at]
    assert plain.courses["good_parts"].mean() == pytest.approx(released, abs=3.0)  # but for scrap
    place = s.E_FLOATS + s.ENERGY_KWH + s.PROCESSING  # turning is the first station
    own_kwh = run.state.floats[place] - state.floats[place]
    apart = more.courses["energy_kwh"] - plain.courses["energy_kwh"]
    # The cycle under way at either end is booked by its power so far; parts vary with wear.
    assert apart.mean() == pytest.approx(own_kwh, rel=0.06)


def test_a_likely_line_lies_in_the_ranges_of_the_plant_file() -> None:
    line = nominal("machining_line")
    lines = [likely_line(line, {}, 1, world) for world in range(60)]
    for e, station in enumerate(line.plant.stations, start=1):
        for column, stated in (
            (s.C_IDLE_KW, station.power.idle_kw),
            (s.C_STANDBY_KW, station.power.standby_kw),
            (s.C_WARM_UP_S, station.warm_up_s),
            (s.C_BETWEEN_S, station.failures["short_stop"].mean_between_s),
            (s.C_REPAIR_S + 1, station.failures["breakdown"].mean_repair_s),
        ):
            drawn = [one.c[e * s.EC + column] for one in lines]
            if stated.range is None:
                assert set(drawn) == {float(stated)}
                continue
            lo, hi = stated.range
            assert lo <= min(drawn) < lo + 0.1 * (hi - lo)
            assert hi - 0.1 * (hi - lo) < max(drawn) <= hi


def test_what_was_learned_takes_the_place_of_the_range() -> None:
    line = nominal("machining_line")
    idle_kw = line.c[s.EC + s.C_IDLE_KW]
    learned = {"turning.idle_kw": Offset(1.2, 0.01**2)}
    drawn = [
        likely_line(line, learned, 1, world).c[s.EC + s.C_IDLE_KW] / idle_kw for world in range(60)
    ]
    assert np.mean(drawn) == pytest.approx(1.2, abs=0.005)
    assert 0.005 < np.std(drawn) < 0.02


def test_an_oven_is_drawn_with_its_heat_and_its_cure() -> None:
    line = nominal("paint_cure_line")
    oven = next(e for e, x in enumerate(line.elements) if x.kind == s.CONVEYOR)
    name, model = line.elements[oven].name, line.elements[oven].model
    assert model is not None
    at = line.k[s.ELEMENTS_K + oven * s.EK + s.P_C]
    names = [q.name for q in model.parameters]
    learned = {
        f"{name}.heat_transfer": Offset(0.9, 0.0),
        f"{name}.exit_cured_min": Offset(-1.0, 0.0),
    }
    one = likely_line(line, learned, 1, 0)
    heat = at + names.index("heat_transfer_w_per_m2_k")
    assert one.c[heat] == pytest.approx(0.9 * line.c[heat])
    least = at + names.index("cured_least_min")
    assert one.c[least] == pytest.approx(line.c[least] + 1.0)


def test_draws_of_one_station_do_not_hang_together() -> None:
    line = nominal("machining_line")
    learned = {"turning.idle_kw": Offset(1.0, 0.1**2)}
    lines = likely_lines(line, learned, 1, 400)
    columns = (s.C_IDLE_KW, s.C_STANDBY_KW, s.C_WARM_UP_S, s.C_BETWEEN_S, s.C_REPAIR_S)
    drawn = np.array([[one.c[s.EC + column] for column in columns] for one in lines])
    drawn[:, 0] = abs(drawn[:, 0] - drawn[:, 0].mean())
    ranks = drawn.argsort(axis=0).argsort(axis=0)
    together = np.corrcoef(ranks.T) - np.eye(len(columns))
    assert abs(together).max() < 0.2


def test_orders_that_come_one_by_one_go_on_coming() -> None:
    plant = changed(nominal("machining_line").plant, {"demand.arrive": "evenly"})
    line = build_line(plant)
    state = begun(line)
    ordered = state.ints[line.k[s.K_LINE_I] + s.ORDERED]
    table = ahead(line, state, 3600.0)
    width = len(line.disturbances) + 2
    orders = table[width - 2 :: width]
    an_hour = shift_orders(plant, plant.demand.utilisation) / plant.shift_h
    assert orders[0] == ordered
    assert orders[-1] - ordered == pytest.approx(an_hour, abs=2.0)
    found = look_ahead(likely_lines(line, {}, 1, 40), table, [state] * 40, {}, 3600.0)
    assert found.courses["good_parts"].mean() > 0.6 * an_hour
