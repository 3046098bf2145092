"""A model that drifts is told from one that is noisy; a sound line raises no alarm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.twin.analyze.in_step import PLANTS, drive, loop_of, nominal, observed, plant_of, true
from twin.analyze.monitoring import (
    ALARM_SD,
    DRIFT_SHARE,
    SETTLED,
    Monitor,
    Watched,
    least_scatter,
    standing,
)
from twin.analyze.offset import Offset
from twin.cycle import Mode
from twin.equipment.plc import Plc
from twin.kernels import draws
from twin.line.initial import initial_state
from twin.line.scenario import build_table, scenario_of

QUALITY = "molding_1.shrinkage_pct"


def sums(innovations: list[float]) -> list[float]:
    watched, found = Watched(), []
    for innovation in innovations:
        watched.note(innovation)
        found.append(watched.sum_sd)
    return found


def test_noise_alone_raises_no_alarm_and_a_lasting_shift_does() -> None:
    noise = np.random.default_rng(7).normal(size=20_000)
    assert max(sums(noise.tolist())) < ALARM_SD
    for sign in (-1.0, 1.0):
        shifted = sums((sign * 3.0 + noise[:60]).tolist())
        alarm = next(n for n, total in enumerate(shifted, start=1) if total > ALARM_SD)
        assert 8 <= alarm <= 20


def test_one_wild_measurement_is_no_drift() -> None:
    assert max(sums([1e6, *[0.0] * 50])) < ALARM_SD
    assert sums([1e6, *[0.0] * 50])[-1] == 0.0


def told(offset: Offset, memory: dict[str, Watched], **shown: float) -> dict[str, str]:
    line = nominal("molding_cell")
    seen = observed(line, initial_state(line, 1, draws.TWIN), **shown)
    return Monitor(line).update(seen, {QUALITY: offset}, memory)


def test_an_alarm_is_raised_once_and_again_if_it_goes_on() -> None:
    memory: dict[str, Watched] = {}
    offset, raised = Offset(0.0, 1.0), []
    for n in range(1, 31):
        offset.innovation, offset.times = 4.0, n
        raised.append(bool(told(offset, memory)))
    assert raised.index(True) == 8  # 9 parts at 4 less 1
    assert raised.count(True) == 3


def test_a_correction_out_of_all_reason_is_doubted_while_it_grows_and_not_forever() -> None:
    memory: dict[str, Watched] = {}
    lo, hi = plant_of("molding_cell").stations[0].sensors["shrinkage_pct"].band or (0.0, 0.0)
    sound, odd = Offset(0.4 * (hi - lo), 1.0), Offset(0.6 * (hi - lo), 1.0)
    assert told(sound, memory) == {}
    assert "out of all reason" in told(odd, memory)[QUALITY]
    assert told(odd, memory) == {}
    assert list(standing(memory)) == [QUALITY]
    line = nominal("molding_cell")
    health = Monitor(line).health({QUALITY: odd}, memory)[QUALITY]
    assert (health.trust, "reason" in health.doubt) == (0.0, True)
    assert Monitor(line).health({QUALITY: sound}, memory)[QUALITY].trust == pytest.approx(0.2)


def test_what_goes_on_drifting_is_told_though_it_is_in_doubt_already() -> None:
    memory: dict[str, Watched] = {}
    lo, hi = plant_of("molding_cell").stations[0].sensors["shrinkage_pct"].band or (0.0, 0.0)
    odd, raised = Offset(0.6 * (hi - lo), 1.0), []
    for n in range(1, 19):
        odd.innovation, odd.times = 4.0, n
        raised.append("above" in told(odd, memory).get(QUALITY, ""))
        assert list(standing(memory)) == [QUALITY]
    assert [n for n, new in enumerate(raised, start=1) if new] == [9, 18]


def test_a_slow_drift_is_told_though_no_part_is_a_surprise() -> None:
    """From where the correction had settled, wherever that was; what it learned before is no drift."""
    memory: dict[str, Watched] = {}
    lo, hi = plant_of("molding_cell").stations[0].sensors["shrinkage_pct"].band or (0.0, 0.0)
    shares = [*np.linspace(0.0, 0.15, SETTLED), *np.linspace(0.15, -0.1, 40)]
    found = []
    for n, share in enumerate(shares, start=1):
        found.append(told(Offset(share * (hi - lo), 1.0, 0.0, n), memory).get(QUALITY, ""))
    first = next(n for n, doubt in enumerate(found) if doubt)
    assert shares[first] == pytest.approx(0.15 - DRIFT_SHARE, abs=0.01)
    assert "has drifted by -0.04" in found[first]
    back = told(Offset(0.1 * (hi - lo), 1.0, 0.0, 99), memory)
    assert back == {}
    assert standing(memory) == {}


@pytest.mark.parametrize(("moved_s", "is_told"), [(1.0, True), (3.0, False)])
def test_a_model_that_is_wrong_about_a_move_has_not_drifted(moved_s: float, is_told: bool) -> None:
    """Its correction settles anew once the setpoints stand elsewhere, by more than a tenth of their limits."""
    memory: dict[str, Watched] = {}
    lo, hi = plant_of("molding_cell").stations[0].sensors["shrinkage_pct"].band or (0.0, 0.0)
    raised = []
    for n in range(1, 4 * SETTLED):
        is_moved = n > 2 * SETTLED
        share = 1.2 * DRIFT_SHARE if is_moved else 0.0
        shown = {"molding_1__cooling_time_s": 24.0 + moved_s * is_moved}
        offset = Offset(share * (hi - lo), 1.0, 0.0, n)
        raised.append(told(offset, memory, **shown).get(QUALITY, ""))
    assert any("has drifted" in doubt for doubt in raised) is is_told


def test_a_doubt_that_stands_is_not_settled_by_moving_a_setpoint() -> None:
    memory: dict[str, Watched] = {}
    lo, hi = plant_of("molding_cell").stations[0].sensors["shrinkage_pct"].band or (0.0, 0.0)
    for n in range(1, SETTLED + 1):
        told(Offset(0.0, 1.0, 0.0, n), memory)
    gone = Offset(1.2 * DRIFT_SHARE * (hi - lo), 1.0, 0.0, SETTLED + 1)
    assert "has drifted" in told(gone, memory)[QUALITY]
    for n in range(SETTLED + 2, 4 * SETTLED):
        gone.times = n
        told(gone, memory, molding_1__cooling_time_s=29.0)
        assert list(standing(memory)) == [QUALITY]


def test_a_factor_is_doubted_on_both_sides() -> None:
    line = nominal("molding_cell")
    name, memory = "molding_1.last_energy_kwh", {"molding_1.last_energy_kwh": Watched()}
    trust = {
        value: Monitor(line).health({name: Offset(value, 1.0)}, memory)[name].trust
        for value in (1.0, 1.5, 1.0 / 1.5, 2.5, 0.3, -1.0)
    }
    assert trust[1.0] == 1.0
    assert 0.0 < trust[1.5] < 1.0
    assert trust[1.5] == pytest.approx(trust[1.0 / 1.5])
    assert trust[2.5] == trust[0.3] == trust[-1.0] == 0.0


@pytest.mark.parametrize(("phi", "share"), [(0.0, 1.0), (0.9, 0.19)])
def test_least_scatter_is_what_is_new_in_each_part(phi: float, share: float) -> None:
    new = np.random.default_rng(3).normal(size=4000)
    y = [0.0]
    for value in new:
        y.append(phi * y[-1] + value)
    assert least_scatter(y[1:]) == pytest.approx(share, abs=0.05)


def test_too_few_parts_tell_nothing_of_scatter() -> None:
    assert math.isnan(least_scatter([1.0, 2.0] * 10))
    assert math.isnan(least_scatter([1.0] * 100))


def shift(name: str, scenario: str, hours: float) -> list[str]:
    """A closed loop with rules over some hours; the modes and reasons in their order."""
    plant = plant_of(name)
    table = build_table(plant, 11, draws.PLANT, hours, scenario=scenario)
    plc = Plc(true(name), table, 11, scenario_of(plant, scenario))
    cycles = drive(
        plc, loop_of("rules", line=nominal(name)), int(hours * 3600.0 / plant.control.period_s)
    )
    found: list[str] = []
    for cycle in cycles:
        said = f"{cycle.decision.mode}: {'; '.join(cycle.decision.reasons)}"
        if not found or found[-1] != said:
            found.append(said)
    return found


@pytest.mark.parametrize("name", PLANTS)
def test_a_sound_line_keeps_its_loop_closed(name: str) -> None:
    assert not any("doubt" in said for said in shift(name, "nominal", 2.0))


def test_drifting_sensors_take_the_loop_back_to_advice() -> None:
    said = shift("molding_cell", "sensor_faults", 8.0)
    doubted = next(n for n, text in enumerate(said) if "the model is in doubt" in text)
    assert said[doubted].startswith(Mode.ADVISORY)
    assert "shrinkage_pct" in said[doubted]
    assert not any(text.startswith(Mode.CLOSED) for text in said[doubted:])


def test_the_estimate_carries_the_health() -> None:
    loop = loop_of("rules", line=nominal("molding_cell"))
    plant = plant_of("molding_cell")
    table = build_table(plant, 11, draws.PLANT, 1.0)
    plc = Plc(true("molding_cell"), table, 11, scenario_of(plant, "nominal"))
    drive(plc, loop, 60)
    assert set(loop.health) >= {QUALITY, "molding_1.last_energy_kwh"}
    assert all(0.0 < one.trust <= 1.0 for one in loop.health.values())
