"""The instruments of a station: how noisy they are, how often they are silent, whether they drift.

At rest a station draws one constant power, and a process model that fits leaves nothing but noise: what
is left over there is the instrument's. Temperatures of an oven's zones are smooth from one reading to
the next, so their noise is taken from neighbouring samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from twin.analyze.identification.evidence import ProcessFit
from twin.analyze.identification.finding import Finding, Interval, finding
from twin.analyze.identification.powers import PowerFindings
from twin.analyze.identification.record import Column, Record
from twin.analyze.identification.sensors import fit_sensor, share
from twin.config.plant import SensorSpec, StationSpec

SILENT_WIDTH = 0.05
"""A share of lost samples is learned when its interval is narrower than this; assumption."""
LEAST = 20
DRIFTS = 5.0
"""Standard errors from which a slope at rest is taken for a drift; assumption."""


def instrument_findings(
    station: StationSpec, record: Record, powers: PowerFindings, process: ProcessFit | None
) -> tuple[Finding, ...]:
    """Noise and lost samples of each instrument that the plant file names and the record holds."""
    found: list[Finding] = []
    for key, spec in station.sensors.items():
        names = _signals(station, record, key)
        if not names:
            continue
        at, unit = (station.name, "sensors", key), _unit(key)
        noise = _noise(record, names, key, powers, process)
        if noise is not None:
            found.append(finding((*at, "noise_sd"), unit, spec.noise_sd, noise))
        found.append(_silent((*at, "dropout"), spec, record, names))
    return tuple(found)


def drifting(station: StationSpec, powers: PowerFindings) -> str:
    """A sentence if what a station draws at rest goes up or down steadily; else nothing."""
    hours, left = powers.residual_time_s / 3600.0, powers.residual_kw
    if left.size < LEAST or float(np.ptp(hours)) < 0.5:
        return ""
    h = hours - hours.mean()
    slope = float(h @ left / (h @ h))
    scatter = math.sqrt(float(((left - slope * h) ** 2).sum()) / (left.size - 2))
    error = scatter / math.sqrt(float(h @ h))
    if error <= 0.0 or abs(slope) < DRIFTS * error:
        return ""
    ends = ", ".join(f"{slope + side * 1.96 * error:+.2g}" for side in (-1.0, 1.0))
    return (
        f"{station.name}.power_kw at rest moves by {slope:+.2g} kW an hour ({ends}): "
        "the instrument drifts, or what it measures does"
    )


def _signals(station: StationSpec, record: Record, key: str) -> list[str]:
    if key == "zone_temp_c":
        names = [f"{station.name}.zone_temp_{n}_c" for n in range(1, 65)]
    else:
        names = [f"{station.name}.{key}"]
    return [name for name in names if name in record]


def _unit(key: str) -> str:
    """The unit in which an instrument of this name shows its value."""
    units = {"_kw": "kW", "_c": "Cel", "_um": "um", "_pct": "%", "_min": "min"}
    return next((unit for ending, unit in units.items() if key.endswith(ending)), "1")


def _noise(
    record: Record,
    names: Sequence[str],
    key: str,
    powers: PowerFindings,
    process: ProcessFit | None,
) -> Interval | None:
    if key == "power_kw":
        return powers.noise_kw if powers.residual_kw.size >= LEAST else None
    if key == "zone_temp_c":
        return _pooled([fit_sensor(record.time_s, record[name]).noise for name in names])
    if process is not None and key in process.residuals:
        return _of_residuals(process.residuals[key], len(process.findings))
    return None


def _of_residuals(left: Column, fitted: int) -> Interval | None:
    from scipy.stats import chi2

    freedom = left.size - fitted
    if freedom < LEAST:
        return None
    squares = float(left @ left)
    lo, hi = (math.sqrt(squares / float(chi2.ppf(q, freedom))) for q in (0.975, 0.025))
    return Interval(math.sqrt(squares / freedom), lo, hi, left.size)


def _pooled(each: Sequence[Interval]) -> Interval | None:
    """The noise of several instruments of one kind."""
    known = [one for one in each if one.is_closed]
    if not known:
        return None
    mean = float(np.mean([one.estimate for one in known]))
    narrower = math.sqrt(len(known))
    lo, hi = (
        mean
        * (float(np.mean([getattr(one, end) / one.estimate for one in known])) - 1.0)
        / narrower
        + mean
        for end in ("lo", "hi")
    )
    return Interval(mean, lo, hi, sum(one.observations for one in known))


def _silent(
    path: tuple[str, ...], spec: SensorSpec, record: Record, names: Sequence[str]
) -> Finding:
    """The share of samples that did not come, over the stretch in which the instrument was logged."""
    lost = of = 0
    for name in names:
        known = np.flatnonzero(np.isfinite(record[name]))
        between = int(known[-1] - known[0]) + 1
        lost, of = lost + between - known.size, of + between
    return finding(path, "1", spec.dropout, share(lost, of), width=SILENT_WIDTH)
