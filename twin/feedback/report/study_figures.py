"""The pictures of a study: bottlenecks, intervals as shifts were added, the warm-up."""

from __future__ import annotations

import numpy as np

from twin.feedback.report.canvas import BAND, INK, OWN, QUIET, figure, svg
from twin.feedback.report.labels import caption, number
from twin.feedback.study import Study
from twin.feedback.study.study import SHOWN_OF, running
from twin.feedback.study.warm_up import BATCH

PALE = "#a9c0d4"


def bottleneck_chart(study: Study) -> str:
    """How long each station was the bottleneck, in the order of the plant file."""
    found = study.activity()
    drawn = figure(0.7 + 0.3 * len(found))
    axes = drawn.subplots()
    highest = 0.0
    for row, of in enumerate(found.values()):
        alone, shifting = of["sole_share"].mean * 100.0, of["shifting_share"].mean * 100.0
        axes.barh(row, alone, height=0.6, color=OWN)
        axes.barh(row, shifting, left=alone, height=0.6, color=PALE)
        half = 100.0 * (of["bottleneck_share"].half_width or 0.0)
        if half:
            axes.errorbar(alone + shifting, row, xerr=half, color=INK, linewidth=0.9, capsize=2.5)
        highest = max(highest, alone + shifting + half)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.05 * highest or 1.0)
    axes.set_yticks(range(len(found)), [name.replace("_", " ") for name in found])
    axes.set_xlabel("share of time as the bottleneck (%)")
    axes.tick_params(axis="both", length=0)
    return svg(drawn, "bottlenecks", "Share of time in which each station was the bottleneck")


def convergence_chart(study: Study) -> str:
    """The watched figures' intervals over the number of shifts; nothing for fewer than three."""
    names = study.precision.of if study.precision else SHOWN_OF
    watched = [name for name in names if len(study.values(name)) > 2]
    if not watched:
        return ""
    units = study.units
    drawn = figure(0.3 + 1.5 * len(watched))
    grid = drawn.subplots(len(watched), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(grid, watched, strict=True):
        found = running(study.values(name))
        shifts = np.array([one.shifts for one in found])
        mean = np.array([one.mean for one in found])
        half = np.array([one.half_width or 0.0 for one in found])
        axes.fill_between(shifts, mean - half, mean + half, color=BAND, linewidth=0)
        axes.plot(shifts, mean, color=OWN)
        later = slice(1, None)  # two shifts have an interval that hides all others
        axes.set_ylim((mean - half)[later].min(), (mean + half)[later].max())
        if study.precision is not None:
            for sign in (-1.0, 1.0):
                edge = mean[-1] * (1.0 + sign * study.precision.share)
                axes.axhline(edge, color=QUIET, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.set_title(caption(name, units[name]))
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
    grid[-1].set_xlabel("shifts")
    return svg(
        drawn, "convergence", "Mean and interval of the watched figures as shifts were added"
    )


def warm_up_chart(study: Study) -> str:
    """What the pilot showed, and where it was cut; nothing where there was none."""
    warm_up = study.warm_up
    if not warm_up.series:
        return ""
    drawn = figure(0.3 + 1.2 * len(warm_up.series))
    grid = drawn.subplots(len(warm_up.series), 1, sharex=True, squeeze=False)[:, 0]
    whole = len(warm_up.times_s) // BATCH * BATCH
    ends_h = np.array(warm_up.times_s[:whole]).reshape(-1, BATCH)[:, -1] / 3600.0
    for axes, (name, values) in zip(grid, warm_up.series.items(), strict=True):
        batches = np.array(values[:whole]).reshape(-1, BATCH).mean(axis=1)
        axes.stairs(batches, np.append(0.0, ends_h), baseline=None, color=OWN)
        axes.axvline(warm_up.hours, color=INK, linewidth=0.9)
        axes.set_title(f"{name}, mean at the readings" if "parts" in name else f"{name} a minute")
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
    grid[-1].set_xlabel("hours from the empty line")
    return svg(drawn, "warm-up", "Pilot shifts and the warm-up that was left out")
