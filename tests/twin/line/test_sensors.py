"""What instruments make of the truth: noise that repeats, exact delays, losses, drift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.anchor_lines import serial_plant
from tests.twin.line.small_lines import changed, fixed
from twin.config import load_plant
from twin.kernels.draws import PLANT, TWIN
from twin.line.model import build_line
from twin.line.sensors import Sensors
from twin.line.tags import CONTROL_TAGS, TagReader
from twin.signals import Quality

SECOND_US = 1_000_000
POWER = "m0.power_kw"


class Bench:
    """Instruments on a made-up line; the truth is given by hand."""

    def __init__(
        self,
        scenario: dict[str, Any] | None = None,
        seed: int = 1,
        world: int = PLANT,
        **sensor: Any,
    ) -> None:
        plant = changed(
            serial_plant(fixed(5.0, 5.0), [2]),
            {
                "stations.0.sensors": {"power_kw": sensor},
                "disturbances": {
                    "ambient_c": {
                        "unit": "Cel",
                        "kind": "constant",
                        "mean": 20.0,
                        "validity": (-10.0, 45.0),
                        "noise_sd": 0.5 if sensor.get("noise_sd") else 0.0,
                    }
                },
                "scenarios.event": {"title": "event", **(scenario or {})},
            },
        )
        self.reader = TagReader(build_line(plant))
        self.sensors = Sensors(self.reader, seed, world, plant.scenarios["event"])
        self.size = len(self.reader.signals)

    def show(self, second: float, true: float = 10.0) -> tuple[float, int, int]:
        """Value, source time (microseconds) and status of the power of the first station."""
        at = self.reader.index[POWER]
        values, source_us, status = self.all(second, true)
        return float(values[at]), int(source_us[at]), int(status[at])

    def all(
        self, second: float, true: float = 10.0
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        truth = np.arange(self.size, dtype=np.float64)
        truth[self.reader.index[POWER]] = true
        return self.sensors.measure(round(second * SECOND_US), truth)


def test_without_instruments_the_truth_is_shown() -> None:
    bench = Bench()
    values, source_us, status = bench.all(5.0, true=3.0)
    expected = np.arange(bench.size, dtype=np.float64)
    expected[bench.reader.index[POWER]] = 3.0
    np.testing.assert_array_equal(values, expected)
    assert (source_us == 5 * SECOND_US).all()
    assert (status == Quality.GOOD).all()
    assert bench.size > len(CONTROL_TAGS)


def test_noise_repeats_with_the_seed_and_touches_nothing_else() -> None:
    one, again, other = Bench(noise_sd=0.1), Bench(noise_sd=0.1), Bench(noise_sd=0.1, seed=2)
    shown = [one.show(second)[0] for second in range(200)]
    assert [again.show(second)[0] for second in reversed(range(200))] == shown[::-1]
    assert not set(shown) & {other.show(second)[0] for second in range(200)}
    assert not set(shown) & {Bench(noise_sd=0.1, world=TWIN).show(n)[0] for n in range(20)}
    assert np.mean(shown) == pytest.approx(10.0, abs=0.03)
    assert np.std(shown) == pytest.approx(0.1, rel=0.2)
    values, _, _ = one.all(7.0)
    truth = np.arange(one.size, dtype=np.float64)
    truth[one.reader.index[POWER]] = 10.0
    noisy = set(np.flatnonzero(values != truth))
    assert noisy == {one.reader.index[POWER], one.reader.index["env.ambient_c"]}


def test_the_same_instant_read_twice_shows_the_same() -> None:
    bench = Bench(noise_sd=0.1, delay_s=3.0)
    assert bench.show(4.0) == bench.show(4.0)


def test_a_delay_shows_what_was_true_that_long_ago() -> None:
    bench = Bench(delay_s=3.0)
    shown = [bench.show(float(second), true=100.0 + second) for second in range(8)]
    values, source_us, _ = zip(*shown, strict=True)
    assert values == (100.0, 100.0, 100.0, 100.0, 101.0, 102.0, 103.0, 104.0)
    assert [us // SECOND_US for us in source_us] == [0, 0, 0, 0, 1, 2, 3, 4]
    # Between samples the last one that is old enough: of 4 s at 7.9 s, of 5 s at 8 s.
    assert bench.show(7.9, true=0.0)[0] == 104.0
    assert bench.show(8.0, true=0.0)[0] == 105.0


def test_a_lost_sample_is_not_a_number_and_bad() -> None:
    bench = Bench(dropout=0.2)
    shown = [bench.show(float(second)) for second in range(2000)]
    lost = [value for value, _, status in shown if status == Quality.BAD]
    assert np.isnan(lost).all()
    assert len(lost) / 2000 == pytest.approx(0.2, abs=0.04)
    assert all(value == 10.0 for value, _, status in shown if status == Quality.GOOD)
    again = Bench(dropout=0.2)
    assert [again.show(float(n))[2] for n in range(2000)] == [status for *_, status in shown]


def test_a_scenario_loses_more_and_drifts() -> None:
    lossy = Bench({"dropout": 0.5}, dropout=0.1)
    lost = [lossy.show(float(second))[2] == Quality.BAD for second in range(1000)]
    assert np.mean(lost) == pytest.approx(0.5, abs=0.07)
    drifting = Bench({"sensor_drift_per_h": 0.01})
    assert [drifting.show(3600.0 * h)[0] for h in (0, 1, 5)] == pytest.approx([10.0, 10.1, 10.5])


def test_a_quality_value_keeps_its_noise_until_the_next_part() -> None:
    plant = load_plant("machining_line")
    reader = TagReader(build_line(plant))
    sensors = Sensors(reader, 1, PLANT, plant.scenarios["nominal"])
    value, counter = reader.index["milling.cutting_power_kw"], reader.index["milling.op_count"]
    truth = np.ones(len(reader.signals))
    shown = []
    for second, parts in ((0, 1), (30, 1), (60, 1), (90, 2), (120, 2)):
        truth[counter] = parts
        shown.append(float(sensors.measure(second * SECOND_US, truth)[0][value]))
    assert shown[0] == shown[1] == shown[2] != shown[3] == shown[4]
