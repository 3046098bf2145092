"""Everything that a record tells of a line, station by station."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.cycles import cycle_findings
from twin.analyze.identification.edges import doubted, edge_findings, edges_of
from twin.analyze.identification.evidence import ProcessFit
from twin.analyze.identification.failures import failure_findings
from twin.analyze.identification.finding import Finding, Verdict
from twin.analyze.identification.gains import fit_process
from twin.analyze.identification.instruments import drifting, instrument_findings
from twin.analyze.identification.ovens import fit_oven
from twin.analyze.identification.parts import Parts, parts_of
from twin.analyze.identification.powers import PowerFindings, power_findings, time_findings
from twin.analyze.identification.record import (
    Column,
    Record,
    RecordError,
    outside_validity,
    refuse_foreign,
)
from twin.analyze.identification.stays import stops
from twin.analyze.identification.step_test import StepTest, step_tests
from twin.line import schema as s
from twin.line.model import Line


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What somebody knows of a station beside the record: for a fit to be compared with.

    ``modes`` are the failures of its whole stops in order, ``wear_mm`` the true wear at the
    beginning of each part by its number.
    """

    modes: Sequence[str] | None = None
    wear_mm: Mapping[int, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StationFit:
    """All that was found of one station; None where the record holds nothing of it."""

    name: str
    powers: PowerFindings
    process: ProcessFit | None


@dataclass(frozen=True, slots=True, eq=False)
class Identification:
    """The findings of all stations, what they rest on, and what to try where the record is mute."""

    findings: tuple[Finding, ...]
    stations: tuple[StationFit, ...]
    step_tests: tuple[StepTest, ...]
    notes: tuple[str, ...]
    hours: float

    def of(self, verdict: Verdict) -> tuple[Finding, ...]:
        """The findings with one verdict."""
        return tuple(one for one in self.findings if one.verdict is verdict)


def identify(
    line: Line, record: Record, known: Mapping[str, Known] | None = None
) -> Identification:
    """Estimate every number of the plant file that the record says something of.

    Raises :class:`RecordError` for a record that is not one of this line. What is missing in it is
    left unknown and told in ``notes``.
    """
    refuse_foreign(record, line)
    findings: list[Finding] = []
    fits: list[StationFit] = []
    notes = outside_validity(record, line)
    tests: list[StepTest] = []
    for e in range(1, 1 + len(line.stations)):
        name = line.elements[e].name
        if f"{name}.state" not in record:
            notes.append(f"{name}: the record does not hold its state; nothing was learned of it")
            continue
        found, fit, station_tests = _station(
            line, e, record, (known or {}).get(name, Known()), notes
        )
        findings += found
        fits.append(fit)
        tests += station_tests
    if not findings:
        raise RecordError("the record says nothing of any number", "log the signals of stations")
    return Identification(tuple(findings), tuple(fits), tuple(tests), tuple(notes), record.hours)


def _station(
    line: Line, e: int, record: Record, known: Known, notes: list[str]
) -> tuple[list[Finding], StationFit, list[StepTest]]:
    station, element = line.plant.stations[e - 1], line.elements[e]
    powers = power_findings(station, record)
    findings = [*powers.findings, *time_findings(station, record)]
    seen = stops(record, station.name)
    if seen is None:
        notes.append(f"{station.name}: without its counters of failures these were not looked at")
    else:
        modes = known.modes
        if modes is not None and len(modes) == seen.durations_s.size + seen.censored_s.size:
            modes = modes[: seen.durations_s.size]
        elif modes is not None:  # a stop of unknown length: which of them it is cannot be said
            modes = None
        findings += failure_findings(station, seen, modes)
    process, parts = None, None
    if element.kind == s.CONVEYOR:
        oven = fit_oven(line, e, record, parameters_of(line, e))
        if isinstance(oven, str):
            notes.append(f"{station.name}: its process was not fitted: {oven}")
        else:
            process = oven
            findings += oven.findings
    else:
        process, parts = _process(line, e, record, known, findings, notes)
    notes += _drifts(station.name, process)
    findings += instrument_findings(station, record, powers, process)
    if drift := drifting(station, powers):
        notes.append(drift)
    fit = StationFit(station.name, powers, process)
    tests = step_tests(line, e, findings, process, parts)
    return findings, fit, tests


def _process(
    line: Line, e: int, record: Record, known: Known, findings: list[Finding], notes: list[str]
) -> tuple[ProcessFit | None, Parts | None]:
    """Fit the process model of a station that makes one part after the other."""
    station, element = line.plant.stations[e - 1], line.elements[e]
    model, p = element.process, parameters_of(line, e)
    parts = parts_of(line, e, record)
    if parts is None or not parts.op.size:
        notes.append(f"{station.name}: no part was seen from its beginning to its end")
        return None, None
    x: Column = np.zeros((parts.op.size, len(model.states)))
    handled: frozenset[str] = frozenset()
    if station.tool is not None and x.shape[1] == 1:
        edges = edges_of(station, model, p, parts, record)
        x = edges.wear_mm
        if known.wear_mm is not None:
            wear = [known.wear_mm.get(op, np.nan) for op in parts.op.tolist()]
            x = np.array(wear)[:, None]
        findings += edge_findings(station, model, p, parts, edges.paces)
        name = doubted(station, model, p, parts)
        handled = frozenset([name] if name else [])
    process = fit_process(station, model, p, parts, x, handled)
    if process is None:
        notes.append(f"{station.name}: too few parts to fit {station.model}")
        return None, parts
    findings += process.findings
    findings += cycle_findings(station, model, process.values, parts, x)
    return process, parts


def _drifts(station: str, process: ProcessFit | None) -> list[str]:
    """What moved in the course of the record, in sentences."""
    told = []
    for name, share in process.drifts_per_h.items() if process is not None else ():
        percent = ", ".join(f"{100.0 * end:+.2f}" for end in (share.lo, share.hi))
        told.append(
            f"{station}.{name} moved by {100.0 * share.estimate:+.2f} % an hour ({percent}); "
            "its estimate is that of hour 0"
        )
    return told


def parameters_of(line: Line, e: int) -> Column:
    """The parameters of a station's process model as the line's file has them."""
    ek = s.ELEMENTS_K + e * s.EK
    at = line.k[ek + s.P_C]
    return np.array(line.c[at : at + line.k[ek + s.N_P]])
