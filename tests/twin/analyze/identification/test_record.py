"""Records: impossible ones are refused with a hint, unknown values are kept as unknown; stays."""

from __future__ import annotations

import numpy as np
import pytest

from twin.analyze.identification import Record, RecordError, identify
from twin.analyze.identification.stays import stays_s, stops
from twin.config import load_plant
from twin.line import schema as s
from twin.line.model import build_line

TIMES = np.arange(0.0, 600.0, 30.0)


def test_what_cannot_be_a_record_is_refused() -> None:
    for time_s, word in (
        (TIMES[:5], "5 rows"),
        (np.where(TIMES == 60.0, np.nan, TIMES), "row 3"),
        (np.where(TIMES == 60.0, 30.0, TIMES), "does not grow from row 2"),
    ):
        with pytest.raises(RecordError, match=word):
            Record(time_s, {})
    with pytest.raises(RecordError, match="has 3 rows") as short:
        Record(TIMES, {"a": np.zeros(3)})
    assert short.value.hint
    with pytest.raises(RecordError, match="holds inf in row 1"):
        Record(TIMES, {"a": np.full(TIMES.size, np.inf)})


def test_a_signal_that_was_not_logged_is_unknown() -> None:
    record = Record(TIMES, {"a": np.full(TIMES.size, np.nan)})
    assert np.isnan(record["b"]).all()
    assert "a" not in record
    assert record.whole("a").size == 0


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({}, "no station"),
        ({"wash.state": 3.0, "wash.nonsense": 1.0}, "no signal 'wash.nonsense'"),
        ({"wash.state": 77.0}, "77, which is no state"),
        ({"wash.state": 3.5}, "3.5, which is no state"),
    ],
)
def test_the_record_of_another_line_is_refused(columns: dict[str, float], word: str) -> None:
    line = build_line(load_plant("machining_line"))
    record = Record(TIMES, {k: np.full(TIMES.size, v) for k, v in columns.items()})
    with pytest.raises(RecordError, match=word):
        identify(line, record)


def course(spans: list[tuple[float, float]], until_s: float = 600.0) -> Record:
    """A station that works but for stops ``(from, for)``, read every 30 s."""

    def passed(t: float, a: float, b: float) -> float:
        return min(max(t - a, 0.0), b)

    rows = []
    for t in np.arange(0.0, until_s, 30.0).tolist():
        down = [a for a, b in spans if a <= t < a + b]
        ended = [a + b for a, b in spans if a + b <= t]
        since = down[0] if down else max(ended, default=0.0)
        total = sum(passed(t, a, b) for a, b in spans)
        count = sum(a <= t for a, _ in spans)
        rows.append((s.DOWN if down else s.PROCESSING, since, count, total, t - total))
    names = ("state", "state_since_s", "failure_count", "time_down_s", "time_processing_s")
    columns = {
        f"a.{name}": np.array(column)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    return Record(np.arange(0.0, until_s, 30.0), columns)


def test_stops_are_read_off_the_clocks_to_the_second() -> None:
    found = stops(course([(40.0, 7.0), (100.0, 95.0), (200.0, 61.5), (550.0, 300.0)]), "a")
    assert found is not None
    assert found.count == 4
    assert found.durations_s == pytest.approx([7.0, 95.0, 61.5])
    assert found.censored_s == pytest.approx([20.0])
    assert found.operating_s == pytest.approx(570.0 - 7.0 - 95.0 - 61.5 - 20.0)


def test_stops_between_two_readings_are_counted_and_their_lengths_left_unknown() -> None:
    found = stops(course([(40.0, 5.0), (50.0, 5.0), (200.0, 31.0)]), "a")
    assert found is not None
    assert found.count == 3
    assert found.durations_s == pytest.approx([31.0])
    assert stops(Record(TIMES, {}), "a") is None


def test_a_stay_that_the_record_cuts_is_left_out() -> None:
    state = np.full(TIMES.size, float(s.IDLE))
    state[:3], state[8:10] = s.WARM_UP, s.WARM_UP
    clock = np.cumsum(np.where(state == s.WARM_UP, 30.0, 0.0))
    clock[10:] += 11.0
    record = Record(TIMES, {"a.state": state, "a.time_warm_up_s": clock})
    assert stays_s(record, "a", s.WARM_UP) == pytest.approx([71.0])
