from __future__ import annotations

from dataclasses import replace

from tests.twin.feedback.books import booked, reading, signals, simulated
from twin.feedback import evaluate
from twin.feedback.kpi import kpi_record
from twin.runtime import lost_reading

PERIOD_US = 30_000_000


def test_a_line_that_began_anew_is_one_sentence_and_in_full_every_counter() -> None:
    """After 100 readings the line is away for 10 and comes back as it was in its first minutes."""
    _, readings = simulated()
    away = [lost_reading(signals(), (100 + n) * PERIOD_US) for n in range(10)]
    again = [replace(r, time_us=r.time_us + 110 * PERIOD_US) for r in readings[:40]]
    kpis = evaluate(booked([*readings[:100], *away, *again]))
    anew = "The line began anew at 0.93 h: what it counted since its last reading is lost."
    assert kpis.in_short[0] == kpis.doubts[0] == anew
    assert kpis.in_short[1] == "For 300 s the site load was held over or unknown."
    assert "turning.op_count went backwards 1 times: what it counted in between is lost." in (
        kpis.doubts
    )
    assert any(text.startswith("turning.op_count moved 1 times") for text in kpis.doubts)
    assert any("turning.op_count (10)" in text for text in kpis.doubts)
    record = kpi_record(kpis)
    assert record["doubts"] == list(kpis.doubts)
    assert "in_short" not in record


def test_one_counter_that_began_anew_is_not_the_line() -> None:
    _, readings = simulated()
    values = [r.values.copy() for r in readings[:100]]
    at = [signal.name for signal in signals()].index("turning.energy_kwh")
    for row in values[60:]:
        row[at] -= values[59][at]
    changed = [replace(r, values=row) for r, row in zip(readings, values, strict=False)]
    said = booked(changed).account().doubts
    assert said.in_short() == said.in_full()
    assert said.in_full()[0].startswith("turning.energy_kwh went backwards 1 times")


def test_many_holes_are_counted_and_few_are_named() -> None:
    away = lost_reading(signals(), PERIOD_US)
    gone = booked([reading(0.0, {}), away, reading(60.0, {})]).account().doubts
    (short,) = (text for text in gone.in_short() if "readings of" in text)
    assert short.startswith("Up to 1 readings of ")
    assert short.endswith(" signals had no value; the report names them.")
    assert any("turning.op_count (1)" in text for text in gone.in_full())
