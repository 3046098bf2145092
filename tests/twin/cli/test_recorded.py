from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from tests.twin.cli.shell import LIVELINE, STEEL, twin
from twin.cli.shift import Shift
from twin.config import PlantError, load_plant
from twin.kernels import draws
from twin.line.scenario import build_table
from twin.store.recorded import read_recorded

PLANT = load_plant("machining_line")
COLUMN = 3  # site_load_kw among the plant's disturbances
WIDTH = len(PLANT.disturbances) + 2


def written(path: Path, query: str) -> Path:
    kind = "parquet" if path.suffix == ".parquet" else "csv, header"
    duckdb.sql(f"copy ({query}) to '{path}' (format {kind})")
    return path


@pytest.mark.parametrize("suffix", ["parquet", "csv", "CSV"])
def test_a_column_reaches_its_disturbance(suffix: str, tmp_path: Path) -> None:
    query = "select i * 1.5 as Usage_kWh, 'x' as other from range(10) t(i)"
    path = written(tmp_path / f"load.{suffix}", query)
    found = read_recorded([path], PLANT)
    assert list(found) == ["site_load_kw"]
    assert np.array_equal(found["site_load_kw"], np.arange(10) * 1.5)
    table = build_table(PLANT, 1, draws.PLANT, 0.05, recorded=found)
    assert table[COLUMN::WIDTH][0] == 0.0
    assert max(table[COLUMN::WIDTH]) <= 9 * 1.5 * 4


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select 1.0 as usage", "no column 'Usage_kWh'"),
        ("select 'low' as Usage_kWh", "not numbers"),
        ("select unnest([1.0, null, 3.0, null]) as Usage_kWh", "in row 2 and 1 more"),
        ("select unnest([1.0, 'nan'::double]) as Usage_kWh", "in row 2"),
        ("select unnest(['inf'::double, 1.0]) as Usage_kWh", "in row 1"),
        ("select 1.0 as Usage_kWh where false", "no rows"),
    ],
)
def test_what_cannot_be_replayed_is_refused(query: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path / "load.parquet", query)
    with pytest.raises(PlantError, match=said) as caught:
        read_recorded([path], PLANT)
    assert caught.value.file == str(path)
    assert caught.value.hint


def test_other_files_and_doubled_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match=r"are \.parquet or \.csv files"):
        read_recorded([tmp_path / "load.xlsx"], PLANT)
    (tmp_path / "load.parquet").write_bytes(b"PAR1 and not much else")
    with pytest.raises(PlantError, match="cannot read the file"):
        read_recorded([tmp_path / "load.parquet"], PLANT)
    path = written(tmp_path / "load.csv", "select 1.0 as Usage_kWh")
    with pytest.raises(PlantError, match="two of the files"):
        read_recorded([path, path], PLANT)


def test_a_plant_without_recorded_disturbances_says_so(tmp_path: Path) -> None:
    changes = {n: d.model_copy(update={"recorded": None}) for n, d in PLANT.disturbances.items()}
    plant = PLANT.model_copy(update={"disturbances": changes})
    with pytest.raises(PlantError, match="no recorded disturbance"):
        read_recorded([written(tmp_path / "a.csv", "select 1 as a")], plant)


def test_the_command_line_shows_the_error(tmp_path: Path) -> None:
    path = written(tmp_path / "load.csv", "select 1.0 as usage")
    arguments = ["--in-process", "--controller", "rules", "--disturbances", path]
    code, out, err = twin(
        "run", "--plant", "machining_line", *arguments, "--out", tmp_path / "runs"
    )
    assert (code, out) == (2, "")
    assert f"--> {path}" in err


@pytest.mark.needs_data
@pytest.mark.skipif(not STEEL.is_file(), reason="the steel data are not there")
def test_a_steel_plant_becomes_the_load_of_the_site() -> None:
    shift = Shift("machining_line", hours=2.0, disturbances=(STEEL,))
    plc = shift.plc()
    recorded = shift.recorded()
    assert recorded is not None
    raw = duckdb.read_parquet(str(STEEL)).fetchnumpy()["Usage_kWh"]
    assert np.array_equal(recorded["site_load_kw"], raw)
    reading = plc.reading()
    at = plc.tags.index["env.site_load_kw"]
    assert reading.values[at] == pytest.approx(4.0 * raw[0])
    later = build_table(shift.plant, 1, draws.PLANT, 2.0, recorded=recorded)
    column = list(shift.plant.disturbances).index("site_load_kw")
    per_row = len(later) // 121
    loads = later[column::per_row]
    assert loads[:31] == pytest.approx(
        [*([4.0 * raw[0]] * 15), *([4.0 * raw[1]] * 15), 4.0 * raw[2]]
    )


@pytest.mark.needs_data
@pytest.mark.skipif(not LIVELINE.is_file(), reason="the recording of the line is not there")
def test_an_extruders_air_and_lots_become_those_of_the_moulding_cell() -> None:
    shift = Shift("molding_cell", hours=2.0, disturbances=(LIVELINE, STEEL))
    recorded = shift.recorded()
    assert recorded is not None
    assert set(recorded) == {"ambient_c", "humidity_pct", "viscosity_rel", "site_load_kw"}
    table = build_table(shift.plant, 1, draws.PLANT, 2.0, recorded=recorded)
    per_row = len(table) // 121
    for name in ("ambient_c", "humidity_pct", "viscosity_rel"):
        spec = shift.plant.disturbances[name]
        column = list(shift.plant.disturbances).index(name)
        raw = recorded[name]
        standard = float(spec.mean) + spec.sd * (raw - raw.mean()) / raw.std()
        minutes = standard[: 120 * 60].reshape(120, 60).mean(axis=1)
        assert table[column::per_row][:120] == pytest.approx(minutes.tolist())
        assert minutes.std() > 0.0
