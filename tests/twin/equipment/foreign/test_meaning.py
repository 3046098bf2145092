from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from twin.equipment.foreign.bound import epoch_before
from twin.equipment.foreign.interpretation import Echo
from twin.equipment.foreign.meaning import (
    Encoding,
    Meaning,
    NotWritable,
    StatusRules,
    counted,
    fitted,
)
from twin.equipment.units import conversion, unece_id, unit_of
from twin.signals import Limits, Quality


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
        (Meaning(bit=2), 4.0),
        (Meaning(bit=0), True),
        (Meaning(bit=0), "1"),
        (Meaning(bit=0), datetime(2026, 1, 5, tzinfo=UTC)),
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


@pytest.mark.parametrize(
    ("encoding", "asked", "raw"),
    [
        (Encoding("Int16", validity=Limits(0.4, 10.6)), 10.6, 10),  # the nearest is 11
        (Encoding("Int16", validity=Limits(0.6, 10.6)), 0.6, 1),
        (Encoding("Int16", validity=Limits(0.4, 10.6)), 0.4, 1),
        (Encoding("Int16", -0.1, validity=Limits(0.16, 1.06)), 1.06, -10),
        (Encoding("Int16", -0.1, validity=Limits(0.14, 1.06)), 0.14, -2),
        (Encoding("Int16", 0.1, 5.0, validity=Limits(5.0, 6.0)), 6.0, 10),
    ],
)
def test_a_value_is_rounded_into_validity_never_out_of_it(encoding, asked, raw):
    assert encoding.raw(asked) == raw
    assert encoding.holds(encoding.gain * raw + encoding.offset, asked)


def test_where_no_integer_lies_inside_validity_nothing_is_written():
    with pytest.raises(NotWritable, match=r"no Int16 near 0\.5 lies inside \[0\.4, 0\.6\]"):
        Encoding("Int16", validity=Limits(0.4, 0.6)).raw(0.5)
    with pytest.raises(NotWritable, match="Byte"):
        Encoding("Byte", validity=Limits(255.4, 256.0)).raw(255.45)


@given(st.integers(-3000, 3000), st.floats(0.3, 50.0), st.integers(0, 1000))
def test_what_leaves_lies_inside_validity_whatever_the_type(lo, width, share):
    limits = Limits(lo, lo + width)
    asked = limits.clip(lo + share / 1000.0 * width)
    for kind, gain in (("Int16", 0.1), ("Int32", -0.25), ("Float", 1.0)):
        raw = Encoding(kind, gain, validity=limits).raw(asked)
        assert lo - 1e-8 <= gain * raw <= limits.hi + 1e-8
        assert Encoding(kind, gain, validity=limits).holds(gain * raw, asked)


def test_an_echo_is_the_latest_number_sent_that_looks_like_it():
    early = Echo(3, 256, 200)
    assert [early.unwound(n) for n in (199.0, 250.0)] == [199.0, 250.0]  # another's is left
    late = Echo(3, 256, 515)  # written as 3
    assert [late.unwound(n) for n in (3.0, 2.0, 255.0)] == [515.0, 514.0, 511.0]
    assert math.isnan(late.unwound(math.nan))
    assert Echo(3, None, 515).unwound(3.0) == 3.0


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
