from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from io import StringIO
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tests.twin.feedback.books import booked, plant, reading, signals, simulated
from twin.config import Value
from twin.cycle import Clip, Event, Reading
from twin.feedback import evaluate
from twin.feedback.report import (
    ClipAt,
    ModeSince,
    ReportData,
    Series,
    courses,
    figures,
    labels,
    render,
    report_csv,
    wanted_signals,
)
from twin.line import schema as s


def courses_of(readings: tuple[Reading, ...]) -> dict[str, Series]:
    times_s = np.array([one.time_us / 1e6 for one in readings])
    values = np.array([one.values for one in readings])
    place = {signal.name: n for n, signal in enumerate(signals())}
    return {name: (times_s, values[:, place[name]]) for name in wanted_signals(plant(), signals())}


@cache
def run() -> ReportData:
    _, sleepy = simulated(8, 7, 90.0)
    _, awake = simulated(8, 7, 0.0)
    return ReportData(
        plant=plant(),
        signals=signals(),
        controller="rules",
        kpis={"rules": (evaluate(booked(sleepy)),), "always_on": (evaluate(booked(awake)),)},
        series=courses_of(sleepy),
        baseline_series={"always_on": courses_of(awake)},
        events=tuple(event for one in sleepy for event in one.events),
        facts={"seed": "7", "scenario": "nominal", "utilisation": "0.8", "variant": "nominal"},
        versions={"takttwin": "0.1.0"},
        hashes={"plant": plant().config_hash},
        clips=[ClipAt(60.0 * n, Clip("line.takt_s", 50.0 + n, 60.0, "rate")) for n in range(3)],
        modes=(ModeSince(0.0, "ADVISORY", ("start",)), ModeSince(600.0, "HOLD", ("stale",))),
        decisions=960,
        statuses={"solved": 950, "fallback: shifted plan": 10},
        outcomes={"ACCEPTED": 960},
        limitations=("One shift of an emulated line.",),
    )


@cache
def page() -> str:
    return render(run())


def test_the_same_data_give_the_same_bytes() -> None:
    assert render(run()) == page()


def test_another_process_gives_the_same_bytes() -> None:
    code = (
        "import sys; from tests.twin.feedback.test_report import page; "
        "sys.stdout.buffer.write(page().encode())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment
    )
    assert done.stdout.decode() == page()


def test_the_page_asks_for_nothing_from_outside() -> None:
    assert re.search(r"(src|href)\s*=\s*[\"'](?!#)", page()) is None
    assert re.search(r"url\((?!#)", page()) is None
    assert "@import" not in page()
    assert "fetch(" not in page()


def test_identifiers_do_not_recur_and_references_resolve() -> None:
    found = re.findall(r'\bid="([^"]+)"', page())
    assert len(found) == len(set(found))
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', page())) <= set(found)


def test_each_picture_is_well_formed() -> None:
    pictures = re.findall(r"<svg.*?</svg>", page(), flags=re.DOTALL)
    labelled = {ET.fromstring(picture).get("aria-label") for picture in pictures}  # noqa: S314
    assert len(pictures) == len(labelled) == 5


def test_the_page_shows_what_was_asked_for() -> None:
    text = re.sub(r"<[^>]+>", " ", page())
    kpis = run().kpis["rules"][0]
    assert labels.number(kpis["energy_kwh_per_good_part"]) in text
    for word in ("rules", "always_on", plant().config_hash, "HOLD", "stale", "One shift of an"):
        assert word in text
    assert "950" in text
    assert "One shift has no interval" in text
    for station in plant().stations:
        assert station.name in text


def test_what_is_undefined_stands_there_with_its_reason() -> None:
    bare = evaluate(booked([reading(0, {}), reading(7200, {"line.energy_kwh": 5.0})]))
    data = replace(run(), kpis={"rules": (bare,)}, baseline_series={})
    text = re.sub(r"<[^>]+>", " ", render(data))
    assert "no good part was made" in text
    assert "nan" not in text.lower().split()


def test_a_report_without_courses_is_still_one() -> None:
    data = replace(run(), series={}, baseline_series={}, events=(), modes=(), clips=())
    text = render(data)
    assert "<svg" not in text
    assert "Nothing." in text


def test_a_buffer_that_hands_parts_over_is_not_drawn() -> None:
    first, *others = plant().buffers
    none = first.model_copy(update={"capacity": Value(value=0.0)})
    handing = plant().model_copy(update={"buffers": (none, *others)})
    drawn = figures.buffer_chart(replace(run(), plant=handing))
    assert others[0].name.replace("_", " ") in drawn
    assert first.name not in drawn
    assert first.name in figures.buffer_chart(run())
    assert figures.buffer_chart(replace(run(), plant=handing, series={})) == ""


def test_text_from_outside_is_escaped() -> None:
    data = replace(run(), series={}, baseline_series={}, limitations=("<script>alert(1)",))
    assert "<script>alert" not in render(data)
    assert "&lt;script&gt;alert" in render(data)


def test_several_shifts_carry_intervals() -> None:
    kpis = {name: (*shifts, *shifts) for name, shifts in run().kpis.items()}
    text = render(replace(run(), kpis=kpis, series={}, baseline_series={}))
    assert "Means over 2 paired shifts" in text
    assert "inconclusive" in text or "better" in text


def test_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="no figures of 'mpc'"):
        replace(run(), controller="mpc")
    with pytest.raises(ValueError, match="series x"):
        replace(run(), series={"x": (np.zeros(2), np.zeros(3))})


def test_csv_has_every_figure_with_all_its_digits() -> None:
    rows = list(csv.DictReader(StringIO(report_csv(run().kpis))))
    for controller, (kpis,) in run().kpis.items():
        found = {r["name"]: r for r in rows if r["controller"] == controller and r["value"]}
        assert {name: float(r["value"]) for name, r in found.items()} == {
            kpi.name: kpi.value for kpi in kpis.values
        }
        assert found["peak_kw"]["unit"] == "kW"
        assert float(found["peak_kw"]["until_s"]) == 28800.0


def test_csv_says_why_a_figure_is_undefined() -> None:
    bare = evaluate(booked([reading(0, {}), reading(7200, {})]))
    rows = list(csv.DictReader(StringIO(report_csv({"x": (bare,)}))))
    row = next(r for r in rows if r["name"] == "cost_eur_per_good_part")
    assert (row["value"], row["undefined"]) == ("", "no good part was made")


def test_heavy_libraries_are_imported_by_rendering_only() -> None:
    code = (
        "import sys, twin.feedback, twin.feedback.report; "
        "sys.exit(any(m.split('.')[0] in ('matplotlib', 'jinja2') for m in sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0
    )


def test_quarters_of_the_picture_are_those_of_the_books() -> None:
    _, readings = simulated(8, 7, 90.0)
    series = courses_of(readings)
    begins_s, mean_kw = courses.quarter_means(
        series["line.energy_kwh"], series["env.site_load_kw"], plant().energy.starts_at_h
    )
    quarters = booked(readings).account().quarters
    assert begins_s.tolist() == [quarter.from_us / 1e6 for quarter in quarters]
    assert mean_kw == pytest.approx([quarter.mean_kw for quarter in quarters])


def test_stretches_of_events_have_the_times_that_the_station_counted() -> None:
    _, readings = simulated(8, 7, 90.0)
    events = [event for one in readings for event in one.events]
    times = evaluate(booked(readings))
    for station in plant().stations:
        spent_s = dict.fromkeys(range(s.N_STATES), 0.0)
        for begin, end, state in courses.stretches_of_events(events, station.name, 0.0, 28800.0):
            spent_s[state] += end - begin
        shares = {state: times[f"{station.name}.{s.STATES[state]}_share"] for state in spent_s}
        assert {state: t / 28800.0 for state, t in spent_s.items()} == pytest.approx(
            shares, abs=1e-6
        )


def test_stretches_of_samples() -> None:
    codes = np.array([3.0, 3.0, 4.0, np.nan, 4.0, 4.0])
    found = list(courses.stretches_of_samples((np.arange(6.0), codes)))
    assert found == [(0.0, 2.0, 3), (2.0, 3.0, 4), (4.0, 5.0, 4)]
    assert not list(courses.stretches_of_samples((np.empty(0), np.empty(0))))


def test_stretches_begin_with_the_state_before_the_first_event() -> None:
    events = [Event(5_000_000, "a", 3, 4, 0), Event(6_000_000, "b", 3, 6, 0)]
    assert list(courses.stretches_of_events(events, "a", 0.0, 9.0)) == [(0, 5, 3), (5, 9, 4)]


def test_changes_keep_every_step() -> None:
    times_s, values = np.arange(8.0), np.array([1, 1, 2, 2, np.nan, np.nan, 2, 2.0])
    kept_s, kept = courses.changes((times_s, values))
    assert kept_s.tolist() == [0.0, 2.0, 4.0, 6.0, 7.0]
    assert kept[[0, 1, 3, 4]].tolist() == [1.0, 2.0, 2.0, 2.0]


def test_thinning_keeps_extremes() -> None:
    values = np.sin(np.arange(20_000) / 700.0)
    values[12_345] = 9.0
    times_s, kept = courses.thinned((np.arange(20_000.0), values), 200)
    assert kept.size <= 200
    assert kept.max() == 9.0
    assert times_s[kept.argmax()] == 12_345.0


def test_a_meter_in_a_picture_never_falls() -> None:
    times_s, kwh = courses.metered((np.arange(5.0), np.array([7.0, 9.0, np.nan, 1.0, 4.0])))
    assert times_s.tolist() == [0.0, 1.0, 3.0, 4.0]
    assert kwh.tolist() == [0.0, 2.0, 2.0, 5.0]


def test_an_instrument_shows_nothing_before_the_first_part() -> None:
    times_s = np.array([0.0, 30.0, 60.0, 90.0, 120.0])
    made = np.array([0.0, 0.0, 1.0, 1.0, 2.0])
    _, shown = courses.after_first((times_s, np.full(5, 3.0)), (times_s, made), 30.0)
    assert np.isnan(shown).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (12.3456, "12.35"),
        (0.0123456, "0.01235"),
        (-0.5, "−0.5"),
        (1234567.0, "1\u202f234\u202f567"),
        (100.0, "100"),
        (1.5e-9, "1.50e−09"),
        (None, "–"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert labels.number(value) == text


def test_times_of_day() -> None:
    assert labels.clock(0.0, 6.0) == "06:00"
    assert labels.clock(19 * 3600.0, 6.0) == "01:00 +1d"


def test_captions() -> None:
    expected = "turning: cutting speed (m/min)"
    assert labels.caption("turning.cutting_speed_m_per_min", "m/min") == expected
    assert labels.caption("env.price_eur_per_mwh", "EUR/MW.h") == "price (EUR/MWh)"


def test_without_a_home_pictures_are_drawn_without_a_word() -> None:
    code = (
        "from twin.feedback.report.canvas import drawing, figure, svg\n"
        "with drawing(): print(svg(figure(1.0), 'a', 'b')[:4])"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"HOME": "/proc/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "<svg\n", "")
