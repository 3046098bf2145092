from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from twin.equipment.foreign.bound import epoch_before
from twin.equipment.foreign.meaning import (
    Encoding,
    Meaning,
    NotWritable,
    StatusRules,
    counted,
    fitted,
)
from twin.equipment.units import conversion, unece_id, unit_of
from twin.signals import Quality


@pytest.mark.parametrize(
    ("meaning", "raw", "value"),
    [
        (Meaning(0.1, -40.0), 600, 20.0),
        (Meaning(), True, 1.0),
        (Meaning(), "12.5", 12.5),
        (Meaning(words={"10": 3.0, "20": 4.0}), 20, 4.0),
        (Meaning(words={"10": 3.0}), 10.0, 3.0),
        (Meaning(words={"Running": 4.0}), "Running", 4.0),
        (Meaning(words={"true": 3.0}), True, 3.0),
        (Meaning(bit=3), 0b1010, 1.0),
        (Meaning(bit=2), 0b1010, 0.0),
    ],
)
def test_what_raw_values_mean(meaning, raw, value):
    assert meaning.value(raw) == pytest.approx(value)


@pytest.mark.parametrize(
    ("meaning", "raw"),
    [
        (Meaning(words={"10": 3.0}), 11),
        (Meaning(bad_values=frozenset({-999.0})), -999),
        (Meaning(), "broken"),
        (Meaning(), None),
        (Meaning(), [1.0]),
    ],
)
def test_what_means_nothing_is_no_number(meaning, raw):
    assert math.isnan(meaning.value(raw))


def test_a_time_of_day_is_seconds_of_plant_time():
    epoch = datetime(2026, 1, 5, 6, tzinfo=UTC)
    meaning = Meaning(epoch_us=ua.datetime_to_win_epoch(epoch) // 10)
    assert meaning.value(datetime(2026, 1, 5, 6, 1, 30, tzinfo=UTC)) == 90.0


def test_plant_time_begins_with_the_last_shift_on_the_plants_clock():
    now = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
    assert epoch_before(now, 6.0, 0.0) == datetime(2026, 1, 4, 6, tzinfo=UTC)
    assert epoch_before(now, 6.0, 2.0) == datetime(2026, 1, 5, 4, tzinfo=UTC)


def test_status_codes_mean_their_severity_unless_told():
    rules = StatusRules.of("bad", {"GoodLocalOverride": "bad", "UncertainInitialValue": "good"})
    codes = ua.StatusCodes
    marks = [
        rules.mark(code)
        for code in (codes.Good, codes.GoodLocalOverride, codes.UncertainLastUsableValue)
    ]
    assert marks == [Quality.GOOD, Quality.BAD, Quality.BAD]
    assert rules.mark(codes.UncertainInitialValue | 0x0480) is Quality.GOOD  # detail is no matter
    assert StatusRules().mark(codes.UncertainLastUsableValue) is Quality.UNCERTAIN
    with pytest.raises(KeyError):
        StatusRules.of("bad", {"GoodEnough": "bad"})


@given(st.floats(-1e6, 1e6), st.sampled_from(["Float", "Double"]))
def test_a_value_is_known_again_after_its_way_through_a_node(asked, kind):
    encoding = Encoding(kind, 0.001, 5.0)
    shown = Meaning(0.001, 5.0).value(encoding.raw(asked))
    assert encoding.holds(shown, asked)


@given(st.floats(-3000.0, 3000.0))
def test_an_integer_node_holds_the_nearest_step(asked):
    encoding = Encoding("Int16", 0.1)
    shown = Meaning(0.1).value(encoding.raw(asked))
    assert abs(shown - asked) <= 0.05 + 1e-9
    assert encoding.holds(shown, asked)
    assert not encoding.holds(shown + 0.11, asked)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(70000, "UInt16"), (-1, "Byte"), (math.nan, "Double"), ("text", "Int32"), (1e39, "Float")],
)
def test_what_a_type_cannot_hold_is_refused(value, kind):
    with pytest.raises(NotWritable):
        fitted(value, kind)


def test_counters_begin_again_where_their_type_ends():
    assert [counted(n, "Byte") for n in (255, 256, 257)] == [255, 0, 1]
    assert counted(2**31, "Int32") == 0
    assert counted(7, "Double") == 7.0


def test_words_of_a_discrete_setpoint():
    encoding = Encoding("Int32", words={0.0: 2, 1.0: 7})
    assert encoding.raw(1.0) == 7
    with pytest.raises(NotWritable, match=r"no word for 0\.5"):
        encoding.raw(0.5)


def test_units_are_converted_where_they_measure_the_same():
    assert conversion("W", "kW") == (1e-3, 0.0)
    gain, offset = conversion("K", "Cel")
    assert gain * 300.0 + offset == pytest.approx(26.85)
    gain, offset = conversion("[degF]", "Cel")
    assert gain * 212.0 + offset == pytest.approx(100.0)
    assert conversion("kW", "s") is None
    assert conversion("EUR", "EUR") == (1.0, 0.0)
    assert [unit_of(unece_id("kW"), ""), unit_of(-1, "°C"), unit_of(-1, "furlong")] == [
        "kW",
        "Cel",
        "",
    ]
