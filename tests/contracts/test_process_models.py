"""Every process model that ships keeps the contract, and the check finds those that do not."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from twin.processes import Kind, ProcessModel, ProcessModelError, available, load
from twin.processes.check import check_process_model

BUILT_IN = ["cutting", "fixed_cycle", "moulding", "oven"]
VARIANTS = [f"{name}.{variant.name}" for name in BUILT_IN for variant in load(name).variants]

PLUG_IN = """
import sys

from twin.processes import Kind, ProcessModel, Quantity, per_part_outputs, positions
from twin.processes import maths_numbers as xp


def cycle(x, u, d, p):
    pressed_s = stroke_s(u[U.speed_m_per_s], p)
    return pressed_s, 5.0 * pressed_s / 3600.0, RESULT, 0.01, 0.0


def stroke_s(speed, p):
    return 4.0 + xp.sqrt(p[P.stroke_m]) / speed


MVS = (Quantity("speed_m_per_s", "m/s", 0.1, 2.0, 1.0, "assumption"),)
PARAMETERS = (Quantity("stroke_m", "m", 0.1, 1.0, 0.4, "assumption"),)
U, P = positions(MVS), positions(PARAMETERS)
MODEL = ProcessModel(
    "press", Kind.PER_PART, (), MVS, (), PARAMETERS, per_part_outputs(), sys.modules[__name__]
)
"""


@pytest.fixture
def plug_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> ModuleType:
    """A third party's model file; the test may say what its material output returns."""
    result = getattr(request, "param", "1.5")
    name = f"press_{result.encode().hex()}"
    path = tmp_path / f"{name}.py"
    path.write_text(PLUG_IN.replace("RESULT", result))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [*BUILT_IN, *VARIANTS])
def test_a_shipped_model_keeps_the_contract(name: str) -> None:
    check_process_model(load(name))


def test_all_built_in_models_are_listed() -> None:
    assert set(BUILT_IN) <= set(available())


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_constant_names_a_source(name: str) -> None:
    model = load(name)
    for quantity in (*model.parameters, *model.mvs, *model.dvs):
        assert len(quantity.source) >= len("derived"), quantity.name
        assert not re.search(r"\.md\b", quantity.source)


def test_a_plug_in_is_compiled_and_checked_like_a_built_in(plug_in: ModuleType) -> None:
    model: ProcessModel = plug_in.MODEL
    check_process_model(model)
    assert model.numbers()(*model.point())[0] == pytest.approx(4.0 + 0.4**0.5)


@pytest.mark.parametrize("plug_in", ["xp.log(-p[0])"], indirect=True)
def test_a_model_that_returns_nan_is_refused(plug_in: ModuleType) -> None:
    with pytest.raises(ProcessModelError, match=r"reference point: ValueError|is not finite"):
        check_process_model(plug_in.MODEL)


@pytest.mark.parametrize("plug_in", ["float(repr(1.5))"], indirect=True)
def test_a_model_that_numba_cannot_compile_is_named(plug_in: ModuleType) -> None:
    with pytest.raises(
        ProcessModelError, match=r"'press' cannot be compiled by numba.*SimPy engine"
    ):
        check_process_model(plug_in.MODEL)


def test_outputs_that_are_not_declared_are_found(plug_in: ModuleType) -> None:
    model: ProcessModel = plug_in.MODEL
    more = replace(model, outputs=(*model.outputs, load("moulding").outputs[-1]))
    with pytest.raises(ProcessModelError):
        check_process_model(more)


def test_a_step_that_is_too_long_is_found() -> None:
    with pytest.raises(ProcessModelError, match="declare a smaller step_s"):
        check_process_model(replace(load("oven"), step_s=600.0))


def test_a_per_part_model_has_no_steps() -> None:
    model = load("cutting")
    assert model.kind is Kind.PER_PART
    with pytest.raises(ProcessModelError, match="per part"):
        model.stepper()
