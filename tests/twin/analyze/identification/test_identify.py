"""A whole record: true numbers lie in their intervals, lost samples cost width and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twin.analyze.identification.shifts import logged
from twin.analyze.identification import Identification, Record, Verdict, identify
from twin.analyze.identification.identify import parameters_of
from twin.analyze.identification.proposal import proposal
from twin.config.revise import revised_plant
from twin.line.model import Line, build_line

Shift = tuple[Line, Line, Record, Identification]


@pytest.fixture(scope="module")
def shift() -> Shift:
    line, true, record = logged("machining_line", 4.0, 21)
    return line, true, record, identify(line, record)


def outside(line: Line, true: Line, found: Identification) -> list[str]:
    """Parameters of process models whose true values lie beyond their intervals."""
    missed = []
    for one in found.findings:
        if one.path[1] == "parameters" and one.found.is_closed:
            e = line.element(one.path[0])
            names = [q.name for q in line.elements[e].process.parameters]
            value = parameters_of(true, e)[names.index(one.path[2])]
            if not one.found.lo <= value <= one.found.hi:
                missed.append(one.name)
    return missed


def test_true_parameters_are_recovered(shift: Shift) -> None:
    line, true, _, found = shift
    assert len(outside(line, true, found)) <= 3
    names = {one.name for one in found.of(Verdict.LEARNED)}
    assert {"turning.power.idle_kw", "wash.parameters.power_kw"} <= names
    assert {"turning.parameters.wear_force_per_mm", "turning.sensors.power_kw.noise_sd"} <= names


def test_lost_samples_cost_width_and_nothing_else(shift: Shift) -> None:
    line, true, record, found = shift
    rng = np.random.default_rng(2)
    columns = {
        name: np.where(rng.random(column.size) < 0.05, np.nan, column)
        for name, column in record.columns.items()
    }
    holed = identify(line, Record(record.time_s, columns))
    assert len(outside(line, true, holed)) <= 4
    whole = {one.name: one.found for one in found.findings}
    idle = next(one for one in holed.findings if one.name == "turning.power.idle_kw")
    assert idle.found.observations < whole[idle.name].observations
    silent = next(one for one in holed.findings if one.name == "wash.sensors.power_kw.dropout")
    assert silent.found.lo <= 0.05 <= silent.found.hi


def test_an_instrument_that_stands_still_teaches_nothing(shift: Shift) -> None:
    line, _, record, _ = shift
    names = "wash.power_kw", "wash.state"
    power, state = (record[name] for name in names)
    columns = {**record.columns, names[0]: np.where(np.isfinite(power), 6.2, np.nan)}
    found = {one.name: one for one in identify(line, Record(record.time_s, columns)).findings}
    resting = found["wash.power.idle_kw"]
    assert np.isin(state, (2, 3)).sum() > 100
    assert resting.verdict is Verdict.NOT_INFORMATIVE
    assert "stands still" in resting.note
    assert "wash.sensors.power_kw.noise_sd" not in found


def test_what_was_learned_makes_a_plant_that_holds(shift: Shift) -> None:
    line, _, _, found = shift
    changes = proposal(line, found.findings, "a test")
    assert ("stations", 0, "power", "idle_kw") in changes
    revised = revised_plant(line.plant, changes)
    again = build_line(revised)
    at = line.plant.stations[0].power.idle_kw
    assert float(revised.stations[0].power.idle_kw) != float(at)
    assert again.n_floats == line.n_floats
    mute = {one.path for one in found.of(Verdict.NOT_INFORMATIVE)}
    names = [station.name for station in line.plant.stations]
    assert not {(names[int(path[1])], *path[2:]) for path in changes} & mute


def test_a_shorter_record_learns_less(shift: Shift) -> None:
    line, _, record, found = shift
    rows = slice(0, 40)
    few = Record(record.time_s[rows], {k: v[rows] for k, v in record.columns.items()})
    assert len(identify(line, few).of(Verdict.LEARNED)) < len(found.of(Verdict.LEARNED))
