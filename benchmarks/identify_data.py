"""Recorded data of other people's machines, fitted by what `twin identify` is made of."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from twin.analyze.identification.sensors import SensorFit, fit_sensor
from twin.analyze.identification.wear import fit_wear_law, force_per_mm

FORCES = ("F_c_MEAN", "F_f_MEAN")
"""Cutting and feed force."""
RECORDED_MM = 1e-3
"""The recording has wear in micrometres."""
STAGE_1 = (0, 2, 3, 4, 6, 8, 9, 10, 12, 13, 14)
"""Places of measurement of the extrusion line that mostly work."""
FAILED = 0.0
"""What a failed measurement of that line reads."""


def turning(folder: Path | None) -> dict[str, Any]:
    """The wear law of ten recorded tools, each predicted by the other nine."""
    path = folder / "turning_wear" / "turning_10tools.parquet" if folder else None
    if path is None or not path.is_file():
        return {"skipped": "give --data DIR, the folder with turning_wear"}
    columns = _columns(path, ("tool", "Vb", *FORCES))
    tool, wear_mm = columns["tool"], RECORDED_MM * columns["Vb"]
    errors, constant, tools = [], [], {}
    for one in np.unique(tool):
        held = tool == one
        law = fit_wear_law({name: columns[name][~held] for name in FORCES}, wear_mm[~held])
        forces = np.column_stack([columns[name][held] for name in FORCES])
        error = np.abs(law.wear_mm(forces) - wear_mm[held])
        errors.append(error)
        constant.append(np.abs(np.median(wear_mm[~held]) - wear_mm[held]))
        tools[str(int(one))] = 1e3 * float(error.mean())
    growth = force_per_mm(columns["F_c_MEAN"], wear_mm, tool)
    left_out = []
    for one in np.unique(tool):
        held = tool == one
        others = force_per_mm(columns["F_c_MEAN"][~held], wear_mm[~held], tool[~held])
        own = fit_wear_law({"F": columns["F_c_MEAN"][held]}, wear_mm[held])
        # A new tool differs from the mean of n by sqrt(n + 1) times that mean's own error.
        half = (others.hi - others.estimate) * (others.observations + 1) ** 0.5
        left_out.append(abs(float(own.slope[0] / own.start[0]) - others.estimate) <= half)
    every, plain = np.concatenate(errors), np.concatenate(constant)
    return {
        "tools": len(tools),
        "rows": int(tool.size),
        "mae_um": 1e3 * float(every.mean()),
        "mae_um_by_tool_left_out": tools,
        "mae_um_of_a_constant": 1e3 * float(plain.mean()),
        "r2": 1.0 - float((every**2).sum() / ((wear_mm - wear_mm.mean()) ** 2).sum()),
        "wear_force_per_mm": [growth.lo, growth.estimate, growth.hi],
        "tools_left_out_inside_their_interval": fmean(left_out),
    }


def extrusion(folder: Path | None) -> dict[str, Any]:
    """Noise, dropout and drift of eleven recorded gauges; then of a copy made from those numbers."""
    path = folder / "liveline" / "liveline_first70.parquet" if folder else None
    if path is None or not path.is_file():
        return {"skipped": "give --data DIR, the folder with liveline"}
    names = [f"Stage1.Output.Measurement{n}.U.Actual" for n in STAGE_1]
    columns = _columns(path, names)
    found = {}
    inside: dict[str, list[bool]] = {"noise": [], "dropout": [], "drift_per_h": []}
    for n, name in enumerate(names):
        y = columns[name]
        time_s = np.arange(y.size, dtype=np.float64)
        fit = fit_sensor(time_s, y, FAILED)
        again = fit_sensor(time_s, _copy(time_s, y, fit, seed=n), FAILED)
        for key, hits in inside.items():
            own, copied = getattr(fit, key), getattr(again, key)
            hits.append(copied.lo <= own.estimate <= copied.hi)
        half = y.size // 2
        first, second = (fit_sensor(time_s[part], y[part], FAILED) for part in (
            slice(0, half), slice(half, None)))  # fmt: skip
        found[name] = {
            "noise_um": _numbers(fit.noise, 1e3),
            "dropout": _numbers(fit.dropout, 1.0),
            "drift_um_per_h": _numbers(fit.drift_per_h, 1e3),
            "held_share": fit.held_share,
            "noise_second_half_over_first": second.noise.estimate / first.noise.estimate,
            "dropout_second_half_less_first": second.dropout.estimate - first.dropout.estimate,
            "noise_over_that_about_a_running_median": fit.noise.estimate / _about_median(y),
        }
    return {
        "gauges": len(names),
        "copies_that_cover_the_number_they_were_made_with": {
            k: fmean(v) for k, v in inside.items()
        },
        "by_gauge": found,
    }


def _copy(time_s: Any, y: Any, fit: SensorFit, seed: int) -> Any:
    """A signal with this noise, dropout and drift, held as often as the recorded one."""
    rng = np.random.default_rng(seed)
    level = np.median(y[y != FAILED])
    slow = level + fit.drift_per_h.estimate * (time_s - time_s.mean()) / 3600.0
    made = slow + fit.noise.estimate * rng.standard_normal(y.size)
    for n in np.flatnonzero(rng.random(y.size) < fit.held_share):
        made[n] = made[n - 1] if n else made[n]
    return np.where(rng.random(y.size) < fit.dropout.estimate, FAILED, made)


def _about_median(y: Any) -> float:
    """Scatter of new samples about the centred median of 61 s, as an independent measure."""
    valid = np.where(y == FAILED, np.nan, y)
    wide = np.lib.stride_tricks.sliding_window_view(np.pad(valid, 30, mode="edge"), 61)
    known = np.isfinite(wide).sum(axis=1) > 10
    off = valid[known] - np.nanmedian(wide[known], axis=1)
    off = off[np.isfinite(off)]
    return 1.4826 * float(np.median(np.abs(off - np.median(off))))


def _numbers(interval: Any, factor: float) -> list[float]:
    return [factor * end for end in (interval.lo, interval.estimate, interval.hi)]


def _columns(path: Path, names: tuple[str, ...] | list[str]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=list(names))
    return {name: np.asarray(table[name], dtype=np.float64) for name in names}
