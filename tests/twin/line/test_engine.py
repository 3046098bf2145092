"""The choice of an engine, and what the compiled one takes and tells."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.anchor_lines import SATURATED, Machine, serial_plant
from benchmarks.store_line import store_line
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.compiled import CompiledSimulator, as_arrays
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.kernel import SCANNED
from twin.line.model import Line, build_line
from twin.line.simulator import Simulator
from twin.processes.model import ProcessModelError


def serial(n: int, law: str | None = "exponential") -> Line:
    return build_line(serial_plant([Machine(5.0, law, 100.0, 9.0)] * n, [2] * (n - 1)))


def test_auto_is_compiled_and_a_name_is_obeyed() -> None:
    line = serial(2)
    assert isinstance(engine(line, SATURATED), CompiledSimulator)
    assert isinstance(engine(line, SATURATED, "simpy"), Simulator)
    with pytest.raises(ValueError, match="steam"):
        engine(line, SATURATED, "steam")


def test_what_cannot_be_compiled_is_named_and_stays_on_simpy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def cannot(model: object) -> None:
        raise ProcessModelError(f"process model {model.name!r} cannot be compiled by numba")  # type: ignore[attr-defined]

    monkeypatch.setattr("twin.line.compiled.addresses", cannot)
    with caplog.at_level(logging.WARNING):
        assert isinstance(engine(serial(2), SATURATED), Simulator)
    assert "fixed_cycle.inspection" in caplog.text
    with pytest.raises(ProcessModelError, match="fixed_cycle"):
        engine(serial(2), SATURATED, "compiled")


@pytest.mark.parametrize("law", [None, "exponential"])
@pytest.mark.parametrize("n", [1, 5, SCANNED + 10])
def test_all_three_agree_on_every_departure(n: int, law: str | None) -> None:
    """Both engines, and a model of generators and stores that knows nothing of them; scan and tree."""
    machines, room = [Machine(5.0, law, 100.0, 9.0)] * n, [2] * (n - 1)
    line, until_s = serial(n, law), 2000.0
    witness, stations = store_line(machines, room, seed=7)
    witness.run(until=until_s)
    courses = []
    for choice in ("simpy", "compiled"):
        state = initial_state(line, 7, PLANT)
        simulator = engine(line, SATURATED, choice)
        simulator.prime(state)
        courses.append(simulator.advance(state, {}, until_s).rows)
    assert courses[0] == courses[1]
    for e, station in enumerate(stations, start=1):
        left = [r[0] for r in courses[0] if r[1] == e and r[3] == s.IDLE]
        assert left == station.departures
        assert len(left) > 100


def test_a_journal_longer_than_the_desk_is_told_whole() -> None:
    line = serial(5)
    rows = []
    for choice in ("simpy", "compiled"):
        state = initial_state(line, 1, PLANT)
        simulator = engine(line, SATURATED, choice)
        simulator.prime(state)
        rows.append(simulator.advance(state, {}, 10_000.0).rows)
    assert len(rows[1]) > 10_000
    assert rows[0] == rows[1]


def test_many_states_run_as_each_alone() -> None:
    line = serial(3)
    many = CompiledSimulator(line, SATURATED, tells=False)
    states = [as_arrays(initial_state(line, seed, PLANT)) for seed in range(4)]
    for state in states:
        many.prime(state)
    floats = np.array([state.floats for state in states])
    ints = np.array([state.ints for state in states])
    nows_s = np.zeros(4)
    many.advance_all(nows_s, floats, ints, {"m1.standby": 1.0}, 300.0)
    many.advance_all(nows_s, floats, ints, {"m1.standby": 0.0}, 900.0)
    for n, state in enumerate(states):
        many.advance(state, {"m1.standby": 1.0}, 300.0)
        many.advance(state, {"m1.standby": 0.0}, 900.0)
        assert np.array(state.floats).tobytes() == floats[n].tobytes()
        assert list(state.ints) == list(ints[n])
    assert len({tuple(row) for row in floats.tolist()}) == 4
    assert nows_s.tolist() == [900.0] * 4


def test_an_engine_with_a_journal_takes_one_state_at_a_time() -> None:
    line = serial(2)
    telling = CompiledSimulator(line, SATURATED)
    floats, ints = np.zeros((2, line.n_floats)), np.zeros((2, line.n_ints), dtype=np.int64)
    with pytest.raises(ValueError, match="one state"):
        telling.advance_all(np.zeros(2), floats, ints, {}, 1.0)


@pytest.mark.parametrize("choice", ["simpy", "compiled"])
def test_bad_calls_leave_the_state_as_it_was(choice: str) -> None:
    line = serial(2)
    simulator = engine(line, SATURATED, choice)
    state = initial_state(line, 1, PLANT)
    simulator.prime(state)
    simulator.advance(state, {}, 100.0)
    before = state.copy()
    with pytest.raises(ValueError, match="back"):
        simulator.advance(state, {}, 99.0)
    with pytest.raises(ValueError, match="back"):
        simulator.advance(state, {}, float("nan"))
    with pytest.raises(KeyError, match="m9"):
        simulator.advance(state, {"m9.standby": 1.0}, 200.0)
    with pytest.raises(ValueError, match="finite"):
        simulator.advance(state, {"line.takt_s": float("nan")}, 200.0)
    assert state == before


_MAKES_AN_ENGINE = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
from benchmarks.anchor_lines import SATURATED, Machine, serial_plant
from twin.line.engine import engine
from twin.line.model import build_line
simulator = engine(build_line(serial_plant([Machine(5.0)], [])), SATURATED, "compiled")
hits = simulator._advance.stats.cache_hits
print("hits", sum(hits.values()))
"""


@pytest.mark.long
def test_a_second_process_loads_what_the_first_one_compiled(tmp_path: Path) -> None:
    def told() -> str:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", _MAKES_AN_ENGINE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    first, second = told(), told()
    assert "compiling the engine" in first
    assert "hits 0" in first
    assert "compiling" not in second
    assert "hits 1" in second
