from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from twin.equipment.wire import FILETIME_UNIX_US, Undecodable, read_answer

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBERS = {
    ua.VariantType.Boolean: st.booleans(),
    ua.VariantType.SByte: st.integers(-128, 127),
    ua.VariantType.Byte: st.integers(0, 255),
    ua.VariantType.Int16: st.integers(-(2**15), 2**15 - 1),
    ua.VariantType.UInt16: st.integers(0, 2**16 - 1),
    ua.VariantType.Int32: st.integers(-(2**31), 2**31 - 1),
    ua.VariantType.UInt32: st.integers(0, 2**32 - 1),
    ua.VariantType.Int64: st.integers(-(2**53), 2**53),
    ua.VariantType.UInt64: st.integers(0, 2**53),
    ua.VariantType.Float: st.floats(width=32),
    ua.VariantType.Double: st.floats(),
}


def encoded(values: list[ua.DataValue]) -> Buffer:
    response = ua.ReadResponse()
    response.Results = values
    return Buffer(struct_to_binary(response))


@st.composite
def data_values(draw: st.DrawFn) -> ua.DataValue:
    kind = draw(st.sampled_from(sorted(NUMBERS, key=lambda k: k.value)))
    numbers = draw(st.lists(NUMBERS[kind], max_size=4)) if draw(st.booleans()) else None
    variant = ua.Variant(draw(NUMBERS[kind]), kind)
    if numbers is not None:
        variant = ua.Variant(numbers, kind, is_array=True)
    if draw(st.booleans()):
        variant = ua.Variant(None, ua.VariantType.Null)
    stamp = EPOCH + timedelta(microseconds=draw(st.integers(0, 2**51)))
    return ua.DataValue(
        variant,
        ua.StatusCode(draw(st.sampled_from([0, 0x40900000, 0x80140000, 0x00000480]))),
        stamp if draw(st.booleans()) else None,
        stamp if draw(st.booleans()) else None,
    )


@given(st.lists(data_values(), max_size=12))
def test_columns_hold_what_was_sent(values):
    columns = read_answer(encoded(values))
    assert len(columns.values) == len(columns.status) == len(columns.source_us) == len(values)
    for place, sent in enumerate(values):
        held = sent.Value.Value
        if sent.Value.is_array:
            assert list(columns.arrays[place]) == pytest.approx(held, rel=0, abs=0, nan_ok=True)
            held = math.nan
        got = columns.values[place]
        assert got == held or (math.isnan(got) and (held is None or math.isnan(held)))
        assert columns.status[place] == sent.StatusCode.value
        if sent.SourceTimestamp is None:
            assert columns.source_us[place] == -1
        else:
            passed = (sent.SourceTimestamp - EPOCH) // timedelta(microseconds=1)
            assert columns.source_us[place] - FILETIME_UNIX_US == passed


def test_a_text_is_not_taken_for_a_number():
    with pytest.raises(Undecodable, match="value 1 has the type 12"):
        read_answer(encoded([ua.DataValue(ua.Variant(1.0)), ua.DataValue(ua.Variant("1.0"))]))


def test_a_refusal_of_the_whole_request_is_raised():
    response = ua.ReadResponse()
    response.ResponseHeader.ServiceResult = ua.StatusCode(ua.StatusCodes.BadTooManyOperations)
    with pytest.raises(ua.UaStatusCodeError):
        read_answer(Buffer(struct_to_binary(response)))
