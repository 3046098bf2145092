"""One picture from several instruments: short gaps bridged, the meter weighed against the sensor."""

from __future__ import annotations

import math

import pytest

from tests.twin.sense.readings import (
    AMBIENT,
    ENERGY,
    POWER,
    SINCE,
    SPEED,
    STALE_AFTER_S,
    STATE,
    TEMP,
    Sensing,
    mark,
)
from twin.signals import Quality


def test_a_value_that_is_not_critical_is_carried_over_a_short_gap_only() -> None:
    sensing = Sensing()
    sensing.see(0.0, {AMBIENT: 21.5})
    seen = [sensing.see(30.0 * n, {AMBIENT: math.nan}) for n in range(1, 6)]
    carried = [s[AMBIENT] for s in seen]
    assert carried[:3] == [21.5] * 3
    assert all(math.isnan(value) for value in carried[3:])
    assert [mark(s, AMBIENT) for s in seen[:3]] == [Quality.JUMP] * 3
    assert Quality.MISSING in mark(seen[3], AMBIENT)
    assert STALE_AFTER_S == 90.0


@pytest.mark.parametrize("name", [STATE, TEMP])
def test_a_critical_value_is_never_carried(name: str) -> None:
    sensing = Sensing()
    sensing.see(0.0)
    assert math.isnan(sensing.see(1.0, {name: math.nan})[name])


@pytest.mark.parametrize("value", [math.nan, 11.0])
def test_where_a_setpoint_stands_is_never_carried(value: float) -> None:
    # Rates are counted from there, and one outside its validity must be noticed.
    sensing = Sensing()
    sensing.see(0.0)
    seen = sensing.see(1.0, {SPEED: value})
    assert math.isnan(seen[SPEED])
    expected = Quality.MISSING if math.isnan(value) else Quality.OUT_OF_RANGE
    assert mark(seen, SPEED) == expected


def test_nothing_is_carried_before_anything_was_seen() -> None:
    seen = Sensing().see(0.0, {AMBIENT: math.nan})
    assert math.isnan(seen[AMBIENT])


def test_in_a_lasting_state_the_meter_outweighs_the_sensor() -> None:
    sensing = Sensing()
    sensing.see(0.0, {ENERGY: 100.0, POWER: 10.3})
    seen = sensing.see(36.0, {ENERGY: 100.1, POWER: 11.0})  # 0.1 kWh in 36 s: 10 kW
    assert seen[POWER] == pytest.approx(0.9 * 10.0 + 0.1 * 11.0, rel=1e-12)
    assert not mark(seen, POWER)


def test_a_state_that_has_just_begun_has_no_meter_of_its_own() -> None:
    sensing = Sensing()
    sensing.see(0.0, {ENERGY: 100.0})
    seen = sensing.see(36.0, {ENERGY: 100.1, POWER: 11.0, SINCE: 0.001})
    assert seen[POWER] == 11.0


def test_a_meter_that_was_not_read_has_not_stood_still() -> None:
    sensing = Sensing()
    power = []
    for n, energy in enumerate((100.0, 100.1, math.nan, 100.3, 100.4)):
        told = {ENERGY: energy, POWER: 10.5 + 0.01 * n}
        power.append(sensing.see(36.0 * n, told)[POWER])
    assert power[2:4] == [10.52, 10.53]  # nothing to weigh against
    assert power[4] == pytest.approx(0.9 * 10.0 + 0.1 * 10.54, rel=1e-9)


def test_a_lost_power_sensor_is_carried_by_the_meter() -> None:
    sensing = Sensing()
    sensing.see(0.0, {ENERGY: 100.0, POWER: 10.0})
    seen = sensing.see(36.0, {ENERGY: 100.2, POWER: math.nan})
    assert seen[POWER] == pytest.approx(0.9 * 20.0 + 0.1 * 10.0, rel=1e-9)
    assert mark(seen, POWER) == Quality.JUMP


def test_a_meter_that_begins_anew_tells_no_power() -> None:
    sensing = Sensing()
    power = []
    for n, energy in enumerate((100.0, 100.1, 0.02, 0.12)):
        power.append(sensing.see(36.0 * n, {ENERGY: energy, POWER: 11.0 + 0.01 * n})[POWER])
    assert power[2] == 11.02
    assert power[3] == pytest.approx(0.9 * 10.0 + 0.1 * 11.03, rel=1e-9)
