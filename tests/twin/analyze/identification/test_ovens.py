"""Ovens: the passage is told from counters, and the true model run along it leaves noise alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twin.analyze.identification.shifts import logged
from twin.analyze.identification import Record
from twin.analyze.identification.identify import parameters_of
from twin.analyze.identification.ovens import _evidence, fit_oven
from twin.analyze.identification.passage import Passage, passage_of
from twin.config import load_plant, load_truth
from twin.line.model import Line

OVEN = 2
Logged = tuple[Line, Line, Record]


@pytest.fixture(scope="module")
def shift() -> Logged:
    return logged("paint_cure_line", 2.0, 11)


def test_the_true_model_along_the_record_leaves_nothing_but_noise(shift: Logged) -> None:
    line, true, record = shift
    way = passage_of(line, OVEN, record)
    assert isinstance(way, Passage)
    assert way.leaves.sum() > 5
    p = parameters_of(true, OVEN)
    evidence = _evidence(line, OVEN, record, way, p)
    model = line.elements[OVEN].process
    evidence.p[p.size :] = [q.default for q in model.states[:8]]
    plant = load_plant("paint_cure_line")
    moved = load_truth("paint_cure_line", plant).stations["oven"].drift_per_h
    names = [q.name for q in model.parameters]
    left = evidence.errors(evidence.p, {names.index(name): v for name, v in moved.items()})
    assert np.abs(left["gas_kwh"]).max() < 0.02
    for name, sensor in (
        ("zone_temp_1_c", "zone_temp_c"),
        ("exit_c", "exit_c"),
        ("power_kw", "power_kw"),
    ):
        noise = plant.stations[1].sensors[sensor].noise_sd
        assert left[name].std() == pytest.approx(noise, rel=0.4), name


def test_what_does_not_allow_a_fit_is_told(shift: Logged) -> None:
    line, _, record = shift
    p = parameters_of(line, OVEN)
    every_other = Record(record.time_s[::2], {k: v[::2] for k, v in record.columns.items()})
    later = Record(record.time_s[600:], {k: v[600:] for k, v in record.columns.items()})
    unknown = Record(record.time_s, {k: v for k, v in record.columns.items() if "phase" not in k})
    for given, word in (
        (every_other, "do not come every 5 s"),
        (later, "not empty when the record began"),
        (unknown, "too few readings"),
    ):
        told = fit_oven(line, OVEN, given, p)
        assert isinstance(told, str)
        assert word in told
