from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest

from twin import processes
from twin.processes import ProcessModelError, Quantity, load, positions

ROOT = Path(processes.__file__).parents[2]


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return done.stdout.strip()


def test_importing_the_models_imports_neither_numba_nor_casadi() -> None:
    code = (
        "import sys; from twin.processes import load;"
        "[load(n) for n in ('cutting', 'fixed_cycle', 'moulding', 'oven')];"
        "print([m for m in ('numba', 'casadi') if m in sys.modules])"
    )
    assert run(code) == "[]"


def test_numbers_do_not_import_casadi_and_symbols_do_not_import_numba() -> None:
    numbers = "import sys; from twin.processes import load; load('fixed_cycle').numbers()"
    symbols = "import sys; from twin.processes import load; load('fixed_cycle').symbols()"
    assert run(f"{numbers}; print('casadi' in sys.modules)") == "False"
    assert run(f"{symbols}; print('numba' in sys.modules)") == "False"


@pytest.mark.parametrize(
    ("name", "compiled"),
    [("cutting", "numbers()"), ("oven", "stepper()"), ("moulding", "writer()")],
    ids=["numbers", "stepper", "writer"],
)
def test_a_second_process_takes_the_machine_code_from_the_disk(name: str, compiled: str) -> None:
    code = (
        f"from twin.processes import load; f = load({name!r}).{compiled};"
        "print(sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values()))"
    )
    run(code)
    assert run(code) == "1 0"


def test_all_models_fit_into_one_table_of_function_pointers() -> None:
    from numba import njit, typeof, types

    writers = [load(name).writer() for name in ("cutting", "fixed_cycle", "moulding")]
    vector = types.Array(types.float64, 1, "C")
    pointer = types.FunctionType(types.void(vector, vector, vector, vector, vector))

    @njit(types.float64(pointer, vector, vector, vector, vector, vector))
    def cycle_time(write, x, u, d, p, out):  # type: ignore[no-untyped-def]
        write(x, u, d, p, out)
        return out[0]

    times = []
    for name, write in zip(("cutting", "fixed_cycle", "moulding"), writers, strict=True):
        model = load(name)
        times.append(cycle_time(write, *model.point(), np.zeros(len(model.outputs))))
    assert typeof(times[0]) == types.float64
    assert times == [52.0, 45.0, 36.0]


@pytest.mark.parametrize("target", ["twin.processes.cutting:MODEL", "twin.processes.cutting"])
def test_an_entry_point_may_name_the_model_or_its_module(
    monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    offered = EntryPoints([EntryPoint("planing", target, processes.ENTRY_POINT_GROUP)])
    monkeypatch.setattr(processes, "entry_points", offered.select)
    assert load("planing") is load("cutting")
    assert load("planing.milling").name == "cutting.milling"
    assert "planing" in processes.available()


def test_an_entry_point_that_is_no_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = EntryPoints([EntryPoint("planing", "math:pi", processes.ENTRY_POINT_GROUP)])
    monkeypatch.setattr(processes, "entry_points", offered.select)
    with pytest.raises(ProcessModelError, match="must name a ProcessModel"):
        load("planing")


def test_an_unknown_model_or_variant_is_named_with_the_known_ones() -> None:
    with pytest.raises(ProcessModelError, match="'planing'; known are cutting, fixed_cycle"):
        load("planing")
    with pytest.raises(ProcessModelError, match="turning, milling, drilling"):
        load("cutting.planing")


@pytest.mark.parametrize("value", [float("nan"), 1e9, -1.0])
def test_a_value_off_limits_is_refused_by_name(value: float) -> None:
    with pytest.raises(ProcessModelError, match=r"feed_mm = .* mm is outside 0.15 to 0.38"):
        load("cutting").point(feed_mm=value)


def test_an_unknown_quantity_and_a_wrong_length_are_refused() -> None:
    model = load("cutting")
    with pytest.raises(ProcessModelError, match="no quantity"):
        model.point(spindle=1.0)
    with pytest.raises(ProcessModelError, match="takes 2 values"):
        model.refuse_bad(model.point()._replace(u=np.zeros(3)))


@pytest.mark.parametrize(
    "given",
    [
        {"name": "two words"},
        {"unit": ""},
        {"source": ""},
        {"lo": 3.0},
        {"hi": float("nan")},
        {"default": 9.0},
        {"default": float("nan")},
    ],
    ids=str,
)
def test_a_quantity_without_meaning_is_refused(given: dict[str, object]) -> None:
    good: dict[str, object] = {
        "name": "speed", "unit": "m/s", "lo": 0.0, "hi": 2.0, "default": 1.0, "source": "assumption",
    }  # fmt: skip
    with pytest.raises(ProcessModelError, match="quantity"):
        Quantity(**{**good, **given})  # type: ignore[arg-type]


def test_positions_follow_the_declared_order() -> None:
    model = load("cutting")
    at = positions(model.mvs)
    assert (at.cutting_speed_m_per_min, at.feed_mm) == (0, 1)


def _offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """As if a package offered this module as the process model ``press``."""
    (tmp_path / "offered_press.py").write_text(text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "offered_press", raising=False)
    point = EntryPoint("press", "offered_press", processes.ENTRY_POINT_GROUP)
    monkeypatch.setattr(processes, "entry_points", lambda **_: EntryPoints([point]))


PRESS = """
import sys
from twin.processes import Kind, ProcessModel, Quantity, per_part_outputs

def cycle(x, u, d, p):
    return {results}

MODEL = ProcessModel(
    name="press", kind=Kind.PER_PART, states=(), mvs=(), dvs=(),
    parameters=(Quantity("t_s", "s", 1.0, 9.0, 4.0, "assumption"),),
    outputs=per_part_outputs(), module=sys.modules[__name__],
)
"""


@pytest.mark.parametrize(
    ("results", "word"),
    [
        ("p[0], 0.1, 0.0, 0.0", "returns 4 outputs"),
        ("-p[0], 0.1, 0.0, 0.0, 0.0", "cycle_time_s"),
        ("p[0], 0.1 / 0.0, 0.0, 0.0, 0.0", "ZeroDivisionError"),
        ("p[0], 0.1, 0.0, 5.0, 0.0", "defect_probability"),
        ("p[0], float('nan'), 0.0, 0.0, 0.0", "not finite"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused_when_it_is_loaded(
    results: str, word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _offered(monkeypatch, tmp_path, PRESS.format(results=results))
    with pytest.raises(ProcessModelError, match=word):
        load("press")


def test_a_model_that_makes_sense_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _offered(monkeypatch, tmp_path, PRESS.format(results="p[0], 0.1, 0.0, 0.0, 0.0"))
    assert load("press").name == "press"


def test_a_package_that_cannot_be_imported_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _offered(monkeypatch, tmp_path, "import no_such_package")
    with pytest.raises(ProcessModelError, match=r"'press'.*cannot be imported.*no_such_package"):
        load("press")
