"""The pictures of a report: states, buffers, manipulated and controlled variables, energy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from twin.feedback.report.canvas import (
    ALARM,
    BAND,
    INK,
    OWN,
    QUIET,
    RULE,
    WARNING,
    figure,
    svg,
    time_axis,
)
from twin.feedback.report.courses import (
    QUARTER_S,
    Stretch,
    after_first,
    changes,
    from_previous,
    metered,
    quarter_means,
    stretches_of_events,
    stretches_of_samples,
    thinned,
)
from twin.feedback.report.data import ReportData, Series
from twin.feedback.report.labels import caption, number
from twin.line import schema as s
from twin.signals import Limits, Role, Signal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATE_COLOURS = {
    s.PROCESSING: "#87919a",
    s.IDLE: "#d3d8dc",
    s.WARM_UP: "#b3c3d1",
    s.STANDBY: "#eef1f3",
    s.OFF: "#ffffff",
    s.TOOL_CHANGE: "#4c545c",
    s.SETUP: "#6a6f8c",
    s.SERVICE: "#57718a",
    s.WAITING: "#c9b7d6",
    s.BLOCKED: WARNING,
    s.DOWN: ALARM,
}
_DASHES: Sequence[tuple[int, tuple[float, ...]]] = (
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 1.5, 1.5, 1.5)),
    (0, (3, 1)),
)
WIDE = 1000.0
"""Limits further apart than this ratio are drawn on a logarithmic scale."""


def window(run: ReportData) -> tuple[float, float]:
    """The stretch of plant time that the courses cover, seconds."""
    ends = [(t[0], t[-1]) for t, _ in run.series.values() if t.size]
    if not ends:
        return 0.0, 0.0
    return float(min(begin for begin, _ in ends)), float(max(end for _, end in ends))


def state_chart(run: ReportData) -> str:
    """Which station was in which state when."""
    from_s, until_s = window(run)
    names = [station.name for station in run.plant.stations]
    courses = {name: list(_stretches(run, name, from_s, until_s)) for name in names}
    if not any(courses.values()):
        return ""
    drawn = figure(0.85 + 0.36 * len(names))
    axes = drawn.subplots()
    for row, name in enumerate(names):
        for state in range(s.N_STATES):
            _bars(axes, row, courses[name], state)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    time_axis(axes, from_s, until_s, run.plant.energy.starts_at_h)
    _state_legend(drawn, {state for course in courses.values() for _, _, state in course})
    return svg(drawn, "states", "States of the stations over time")


def _stretches(run: ReportData, name: str, from_s: float, until_s: float) -> Iterable[Stretch]:
    if any(event.entity == name for event in run.events):
        return stretches_of_events(run.events, name, from_s, until_s)
    return stretches_of_samples(run.series.get(f"{name}.state", (np.empty(0), np.empty(0))))


def _bars(axes: Axes, row: int, course: Iterable[Stretch], state: int) -> None:
    """All stretches of one state as one path: thousands of them stay a small drawing."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    spans = [(begin, end) for begin, end, code in course if code == state]
    if not spans:
        return
    low, high = row + 0.36, row - 0.36
    corners = [
        corner
        for begin, end in spans
        for corner in ((begin, low), (begin, high), (end, high), (end, low), (begin, low))
    ]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(spans)
    edge = RULE if state in (s.OFF, s.STANDBY) else "none"
    path = Path(np.array(corners), codes)
    patch = PathPatch(path, facecolor=STATE_COLOURS[state], edgecolor=edge, linewidth=0.4)
    axes.add_patch(patch)


def _state_legend(drawn: Figure, present: set[int]) -> None:
    from matplotlib.patches import Patch

    order = (
        *(s.PROCESSING, s.IDLE, s.BLOCKED, s.WAITING, s.DOWN, s.TOOL_CHANGE, s.SETUP, s.SERVICE),
        *(s.WARM_UP, s.STANDBY, s.OFF),
    )
    handles = [
        Patch(
            facecolor=STATE_COLOURS[state],
            edgecolor=QUIET,
            linewidth=0.4,
            label=s.STATES[state].replace("_", " "),
        )
        for state in order
        if state in present
    ]
    drawn.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        handlelength=1.2,
        columnspacing=1.6,
    )


def buffer_chart(run: ReportData) -> str:
    """How full the buffers were; amber where there was no room left."""
    buffers = [b for b in run.plant.buffers if _is_known(run.series.get(f"{b.name}.level"))]
    buffers = [b for b in buffers if float(b.capacity) > 0.0]  # others never hold a part
    if not buffers:
        return ""
    drawn = figure(0.45 + 0.62 * len(buffers))
    grid = drawn.subplots(len(buffers), 1, sharex=True, squeeze=False)[:, 0]
    for axes, buffer in zip(grid, buffers, strict=True):
        times_s, level = changes(run.series[f"{buffer.name}.level"])
        capacity = float(buffer.capacity)
        # Steps as corners: a full stretch is then as wide as it was, however few its points.
        corners_s, level = np.repeat(times_s, 2)[1:], np.repeat(level, 2)[:-1]
        axes.fill_between(corners_s, level, color="#b9c1c8", linewidth=0)
        full = np.where(level >= capacity, level, np.nan)
        axes.fill_between(corners_s, full, color=WARNING, linewidth=0)
        axes.axhline(capacity, color=QUIET, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.set_ylim(0, capacity * 1.08)
        axes.set_yticks([0, capacity], ["0", number(capacity)])
        axes.set_ylabel(
            buffer.name.replace("_", " "), rotation=0, ha="right", va="center", labelpad=4
        )
    time_axis(grid[-1], *window(run), run.plant.energy.starts_at_h)
    return svg(drawn, "buffers", "Parts in each buffer over time, with its capacity")


def moved(run: ReportData, role: Role) -> list[Signal]:
    """The signals of a role that took more than one value."""
    found = []
    for signal in run.signals:
        series = run.series.get(signal.name)
        if signal.role is role and series is not None and _varies(series):
            found.append(signal)
    return found


def _varies(series: Series) -> bool:
    known = series[1][np.isfinite(series[1])]
    return known.size > 0 and bool((known != known[0]).any())


def setpoint_chart(run: ReportData) -> str:
    """The setpoints in force, each within what the operator allows."""
    signals = [signal for signal in moved(run, Role.MV) if not _is_switch(signal)]
    courses = [(signal, run.series[signal.name]) for signal in signals]
    return _panels(run, courses, "setpoints", "Setpoints in force and operator limits")


def switch_chart(run: ReportData) -> str:
    """When each switch was on."""
    switches = [signal for signal in moved(run, Role.MV) if _is_switch(signal)]
    if not switches:
        return ""
    drawn = figure(0.45 + 0.3 * len(switches))
    axes = drawn.subplots()
    for row, signal in enumerate(switches):
        for begin, end, on in stretches_of_samples(run.series[signal.name]):
            if on:
                axes.barh(row, end - begin, left=begin, height=0.6, color=OWN)
    axes.set_ylim(len(switches) - 0.4, -0.6)
    axes.set_yticks(range(len(switches)), [caption(x.name, x.unit) for x in switches])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    time_axis(axes, *window(run), run.plant.energy.starts_at_h)
    return svg(drawn, "switches", "When each switch was on")


def quality_chart(run: ReportData) -> str:
    """The controlled variables in their bands, from the first part on that was measured."""
    courses = []
    for signal in moved(run, Role.CV):
        station, _, quantity = signal.name.partition(".")
        count = run.series.get(f"{station}.op_count")
        sensor = run.plant.station(station).sensors.get(quantity)
        delay_s = sensor.delay_s if sensor is not None else 0.0
        course = run.series[signal.name]
        courses.append((signal, course if count is None else after_first(course, count, delay_s)))
    return _panels(run, courses, "quality", "Controlled variables and bands")


def outside_chart(run: ReportData) -> str:
    """What came from outside. A reading shows what was in force up to its instant."""
    courses = [(signal, from_previous(run.series[signal.name])) for signal in moved(run, Role.DV)]
    courses = [(signal, course) for signal, course in courses if _varies(course)]
    return _panels(run, courses, "outside", "Disturbances")


def _is_switch(signal: Signal) -> bool:
    return signal.discrete and signal.operator == Limits(0.0, 1.0)


def _is_known(series: Series | None) -> bool:
    return series is not None and bool(np.isfinite(series[1]).any())


def _panels(
    run: ReportData, courses: Sequence[tuple[Signal, Series]], name: str, title: str
) -> str:
    """Small pictures of equal size, two in a row, on one time axis."""
    if not courses:
        return ""
    rows = math.ceil(len(courses) / 2)
    drawn = figure(0.25 + 1.35 * rows)
    grid = drawn.subplots(rows, 2, squeeze=False).ravel()
    for axes, (signal, course) in zip(grid, courses, strict=False):
        _panel(axes, signal, course)
        time_axis(axes, *window(run), run.plant.energy.starts_at_h, most=7)
    for axes in grid[len(courses) :]:
        axes.set_visible(False)
    return svg(drawn, name, title)


def _panel(axes: Axes, signal: Signal, series: Series) -> None:
    times_s, values = changes(thinned(changes(series)))
    limits = signal.operator
    axes.step(times_s, values, where="post", color=OWN, linewidth=0.9)
    axes.set_title(caption(signal.name, signal.unit))
    axes.margins(y=0.12)
    axes.grid(visible=False)
    if limits is None:
        return
    axes.axhspan(limits.lo, limits.hi, color=BAND, linewidth=0, zorder=0)
    for edge in (limits.lo, limits.hi):
        axes.axhline(edge, color=QUIET, linewidth=0.7, linestyle=(0, (4, 2)))
    outside = (values < limits.lo) | (values > limits.hi)
    axes.plot(times_s[outside], values[outside], "o", color=ALARM, markersize=2.2)
    if limits.lo > 0.0 and limits.hi / limits.lo > WIDE:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
        axes.minorticks_off()


def energy_chart(run: ReportData) -> str:
    """Electricity so far, and mean grid power of each quarter of an hour, against the baselines."""
    runs = [(run.controller, run.series)]
    runs += [
        (name, run.baseline_series[name]) for name in run.baselines if name in run.baseline_series
    ]
    runs = [(name, series) for name, series in runs if _is_known(series.get("line.energy_kwh"))]
    if not runs:
        return ""
    starts_at_h = run.plant.energy.starts_at_h
    drawn = figure(4.4)
    upper, lower = drawn.subplots(2, 1, sharex=True)
    highest_kw = 0.0
    for n, (name, series) in reversed(list(enumerate(runs))):
        own = name == run.controller
        colour, width = (OWN, 1.8) if own else (QUIET, 1.1)
        dash = "solid" if own else _DASHES[(n - 1) % len(_DASHES)]
        times_s, kwh = thinned(metered(series["line.energy_kwh"]), 400)
        upper.plot(times_s, kwh, color=colour, linewidth=width, linestyle=dash, label=name)
        begins_s, mean_kw = quarter_means(
            series["line.energy_kwh"], series.get("env.site_load_kw"), starts_at_h
        )
        if mean_kw.size:
            edges_s = np.append(begins_s, begins_s[-1] + QUARTER_S)
            lower.stairs(
                mean_kw, edges_s, baseline=None, color=colour, linewidth=width, linestyle=dash
            )
            highest_kw = max(highest_kw, float(mean_kw.max()))
            if own:
                _mark_peak(lower, begins_s, mean_kw)
    upper.set_title("electricity of the line so far (kWh)")
    lower.set_title("mean grid power of each quarter of an hour, site load included (kW)")
    upper.set_ylim(bottom=0.0)
    lower.set_ylim(0.0, 1.18 * highest_kw if highest_kw > 0.0 else None)
    for axes in (upper, lower):
        axes.grid(visible=True, axis="y")
    time_axis(lower, *window(run), starts_at_h)
    handles, labels = upper.get_legend_handles_labels()
    upper.legend(handles[::-1], labels[::-1], loc="upper left")
    return svg(drawn, "energy", "Electricity and mean grid power over time")


def _mark_peak(
    axes: Axes,
    begins_s: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    mean_kw: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    highest = int(mean_kw.argmax())
    axes.annotate(
        f"peak {number(float(mean_kw[highest]))} kW",
        (float(begins_s[highest]) + QUARTER_S / 2.0, float(mean_kw[highest])),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
        color=INK,
    )
