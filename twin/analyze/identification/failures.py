"""How often a station fails and how long its repairs take, mode by mode.

A line says that a station is down, not which of its failures it has. Stops are told apart by their
length: a mixture of the laws of its modes, begun with the plant file's numbers, which also weigh as
one stop of each mode so that a mode that did not occur stays where it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.analyze.identification.finding import UNKNOWN, Finding, Verdict, finding
from twin.analyze.identification.laws import TimeLaw, between_failures, sigma_of, time_law
from twin.analyze.identification.stays import Stops
from twin.config.plant import FailureSpec, StationSpec

ROUNDS = 50
CV_RANGE = 1.0
"""A scatter of repair times is learned when its interval is narrower than this; assumption."""


def failure_findings(
    station: StationSpec, stops: Stops, labels: Sequence[str] | None = None
) -> tuple[Finding, ...]:
    """Rates and repairs of all modes of a station.

    ``labels`` names the mode of each whole stop, where somebody knows it.
    """
    modes = list(station.failures.items())
    if not modes:
        return ()
    of_mode = _given(modes, labels) if labels is not None else split(station, stops)
    counts = _counts(of_mode, len(modes), stops)
    found: list[Finding] = []
    for n, (mode, spec) in enumerate(modes):
        at = (station.name, "failures", mode)
        exposure_s = stops.calendar_s if spec.clock == "calendar" else stops.operating_s
        between = between_failures(counts[n], exposure_s)
        found.append(
            finding((*at, "mean_between_s"), "s", spec.mean_between_s, between, is_scale=True)
        )
        whole = stops.durations_s[of_mode == n]
        censored = stops.censored_s if _longest(modes) == n else np.array([])
        law = time_law(whole, censored, spec.repair_law, spec.repair_cv)
        note = "" if law.law == spec.repair_law else f"the times look {law.law}"
        found.append(
            finding(
                (*at, "mean_repair_s"), "s", spec.mean_repair_s, law.mean, is_scale=True, note=note
            )
        )
        if law.law != "exponential":
            found.append(_scatter((*at, "repair_cv"), spec, law))
    return tuple(found)


def split(station: StationSpec, stops: Stops) -> NDArray[np.intp]:
    """Which mode each whole stop belongs to, by its length."""
    modes = list(station.failures.values())
    log_s = np.log(np.maximum(stops.durations_s, 1e-3))
    if len(modes) == 1 or not log_s.size:
        return np.zeros(log_s.size, dtype=np.intp)
    sigmas = np.array([sigma_of(_cv(spec)) for spec in modes])
    before = np.array([math.log(_known(spec)) for spec in modes]) - 0.5 * sigmas**2
    rates = np.array([1.0 / float(spec.mean_between_s) for spec in modes])
    prior = rates / rates.sum()
    mu, share = before, prior
    log_of = np.zeros((log_s.size, len(modes)))
    for _ in range(ROUNDS):
        z = (log_s[:, None] - mu) / sigmas
        log_of = np.log(share) - np.log(sigmas) - 0.5 * z * z
        weight = np.exp(log_of - log_of.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        held = weight.sum(axis=0)
        mu = (before + (weight * log_s[:, None]).sum(axis=0)) / (1.0 + held)
        share = (prior + held) / (1.0 + log_s.size)
    labels: NDArray[np.intp] = np.argmax(log_of, axis=1)
    return labels


def _given(modes: Sequence[tuple[str, FailureSpec]], labels: Sequence[str]) -> NDArray[np.intp]:
    names = [name for name, _ in modes]
    return np.array([names.index(label) for label in labels], dtype=np.intp)


def _counts(of_mode: NDArray[np.intp], modes: int, stops: Stops) -> list[int]:
    """Failures of each mode; those of unknown length are counted where most of them belong."""
    counts = [int((of_mode == n).sum()) for n in range(modes)]
    counts[int(np.argmax(counts))] += max(0, stops.count - of_mode.size)
    return counts


def _longest(modes: Sequence[tuple[str, FailureSpec]]) -> int:
    """The mode that a stop which is not over is most likely of: the one with the longest repairs."""
    return max(range(len(modes)), key=lambda n: _known(modes[n][1]))


def _known(spec: FailureSpec) -> float:
    return float(spec.mean_repair_s)


def _cv(spec: FailureSpec) -> float:
    return 1.0 if spec.repair_law == "exponential" else max(spec.repair_cv, 0.05)


def _scatter(path: tuple[str, ...], spec: FailureSpec, law: TimeLaw) -> Finding:
    """The scatter of repair times: kept as declared while the times do not contradict it."""
    found = law.cv if law.cv.is_closed else UNKNOWN
    kept = not math.isnan(law.cv_used) and law.law == spec.repair_law
    whole = finding(path, "1", spec.repair_cv, found, width=CV_RANGE)
    if kept and whole.verdict is not Verdict.LEARNED:
        return whole
    if kept:
        return Finding(
            path, "1", spec.repair_cv, found, None, Verdict.LEARNED, "agrees with the plant file"
        )
    return whole
