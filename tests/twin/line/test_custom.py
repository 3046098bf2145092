"""An element of another package runs on both engines, is checked, and refused where it does not hold."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from benchmarks.anchor_lines import Machine, serial_plant
from tests.twin.analyze.in_step import course, observed
from tests.twin.line import lift
from tests.twin.line.small_lines import Run, table_of
from twin.analyze.seen import UnseenError
from twin.analyze.synchronise import synchronise
from twin.analyze.whatif import present
from twin.attachment import Attachment
from twin.config import Plant, PlantError
from twin.kernels.draws import TWIN
from twin.line import custom, model
from twin.line import schema as s
from twin.line.check import check_element
from twin.line.compiled import CompiledSimulator
from twin.line.custom import ElementError, ElementKind, load_element
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.simulator import Simulator
from twin.line.tags import NO_CONTROL, TagReader
from twin.processes.model import ProcessModelError

TRAVEL_S = 7.0


@pytest.fixture(autouse=True)
def _offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package with these entry points were installed."""
    kinds = {"lift": lift.ELEMENT}

    def load(name: str) -> ElementKind:
        return kinds[name] if name in kinds else load_element(name)

    monkeypatch.setattr(model, "load_element", load)


def lifted(**changes: Any) -> Plant:
    """Two machines with a lift between them: m0, a buffer, the lift, a buffer, m1."""
    data = serial_plant([Machine(5.0, None), Machine(5.0)], [3]).model_dump(by_alias=True)
    data["buffers"] = [*data["buffers"], {"name": "above", "capacity": {"value": 2.0}}]
    data["stations"][1]["takes_from"] = "above"
    element = {"name": "lift_1", "kind": "lift", "takes_from": "b0", "gives_to": "above"}
    data["elements"] = [{**element, "parameters": {"travel_s": TRAVEL_S}, **changes}]
    plant = Plant.model_validate(data)
    plant.check()
    return plant


def line() -> Line:
    return build_line(lifted())


@pytest.mark.parametrize("choice", ["simpy", "compiled"])
def test_the_lift_sets_the_pace(choice: str) -> None:
    built = line()
    state = initial_state(built, 1, 1)
    simulator = engine(built, table_of(), choice)
    simulator.prime(state)
    rows = simulator.advance(state, {}, 1000.0).rows
    e = built.element("lift_1")
    went_up = [row[0] for row in rows if row[1] == e and row[3] == s.PROCESSING]
    # The first part is ready at 5; then up and down again take 14 s, longer than a part takes.
    assert went_up == [5.0 + 2.0 * TRAVEL_S * n for n in range(len(went_up))]
    assert len(went_up) == 72
    # At 1000 s the last one is still on its way: it left at 999.
    assert state.floats[built.k[s.ELEMENTS_K + e * s.EK + s.OWN_F]] == 71.0
    power = TagReader(built).read(state, NO_CONTROL)
    assert power[TagReader(built).index["line.power_kw"]] >= 3.0


def test_it_passes_the_check() -> None:
    check_element(lift.ELEMENT, line(), table_of(), 3000.0)


def test_a_line_without_the_element_checks_nothing() -> None:
    plain = build_line(serial_plant([Machine(5.0)], []))
    with pytest.raises(ElementError, match="nothing is checked"):
        check_element(lift.ELEMENT, plain, table_of(), 100.0)


@pytest.mark.parametrize("until_s", [12.0, 12.1, 15.0, 26.0, 333.3])
def test_a_twin_that_comes_to_a_lift_under_way_foresees_its_course(until_s: float) -> None:
    built = line()
    plant = Run(built, table_of())
    plant.simulator.prime(plant.state)
    plant.to(until_s)
    twin = initial_state(built, 9, TWIN)
    assert synchronise(built, twin, observed(built, plant.state), 1)
    ahead_s = until_s + 10.0
    foreseen = Simulator(built, present(built, twin)).advance(twin, {}, ahead_s)
    happened = plant.simulator.advance(plant.state, {}, ahead_s)
    assert course(happened)["lift_1"] == course(foreseen)["lift_1"]


def test_a_kind_that_does_not_say_what_is_due_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = ModuleType("silent")
    silent.fire, silent.look = lift.fire, lift.look  # type: ignore[attr-defined]
    kind = ElementKind("lift", silent, lift.ELEMENT.parameters, lift.ELEMENT.columns)
    monkeypatch.setattr(model, "load_element", lambda _name: kind)
    with pytest.raises(UnseenError, match=r"lift_1 \(lift\).*due"):
        Attachment.to(line(), 1)


def test_a_kind_that_says_something_else_is_due_does_not_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lift, "due", lambda *_: (s.FOREVER, s.NOTHING))
    with pytest.raises(ElementError, match=r"lift.*due"):
        check_element(lift.ELEMENT, line(), table_of(), 3000.0)


def test_a_column_by_the_name_of_another_tag_is_refused() -> None:
    with pytest.raises(ElementError, match="rename"):
        ElementKind("lift", lift, columns=("part_id",))


def test_what_numba_cannot_compile_is_named_and_runs_on_simpy_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trips: dict[int, float] = {}

    def fire(e: int, pending: int, now: float, *rest: Any) -> None:
        trips[e] = now
        lift.fire(e, pending, now, *rest)

    talkative = ModuleType("talkative")
    talkative.fire, talkative.look = fire, lift.look  # type: ignore[attr-defined]
    fire.__module__ = "talkative"
    kind = ElementKind("lift", talkative, lift.ELEMENT.parameters, lift.ELEMENT.columns)
    monkeypatch.setattr(model, "load_element", lambda _name: kind)
    built = line()
    with pytest.raises(ProcessModelError, match=r"lift.*SimPy engine alone"):
        CompiledSimulator(built, table_of())
    assert isinstance(engine(built, table_of(), "auto"), Simulator)


def test_a_module_without_its_functions_is_refused() -> None:
    with pytest.raises(ElementError, match="no function fire"):
        ElementKind("empty", sys.modules[__name__])


def test_what_nobody_offers_is_refused_with_its_place() -> None:
    with pytest.raises(PlantError, match="carousel") as refused:
        build_line(lifted(kind="carousel"))
    assert refused.value.key_path == ("elements", 0, "kind")


@pytest.mark.parametrize(
    ("parameters", "word"), [({"speed": 1.0}, "unknown"), ({"travel_s": 0.0}, "out of range")]
)
def test_parameters_are_checked(parameters: dict[str, float], word: str) -> None:
    with pytest.raises(PlantError, match=word):
        build_line(lifted(parameters=parameters))


def test_its_buffers_must_exist() -> None:
    with pytest.raises(PlantError, match="attic"):
        lifted(gives_to="attic")


def test_the_group_has_its_name() -> None:
    assert custom.GROUP == "takttwin.elements"
