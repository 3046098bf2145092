from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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
        ("select unnest([null, 'low']) as Usage_kWh", "holds 'low' in row 2, not a number"),
        ("select true as Usage_kWh", "holds 'True' in row 1, not a number"),
        ("select null::integer as Usage_kWh", "in row 1"),
        ("select unnest([1.0, 1e308]) as Usage_kWh", r"holds 1e\+308 in row 2: nothing"),
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


@pytest.mark.parametrize("kind", ["decimal(9, 2)", "smallint", "ubigint", "float", "hugeint"])
def test_every_kind_of_number_is_one(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path / "load.parquet", f"select unnest([3, 5])::{kind} as Usage_kWh")
    assert read_recorded([path], PLANT)["site_load_kw"].tolist() == [3.0, 5.0]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Usage_kWh\n1.5\n2\n", [1.5, 2.0]),
        ("\ufeffUsage_kWh;when\r\n1.5;a,b\r\n 2 ;c\r\n\r\n\r\n", [1.5, 2.0]),
        ('"a, b"\tUsage_kWh\n"x\ny"\t-1e3\n', [-1000.0]),
        ("a,a,Usage_kWh\n1,2,3\n", [3.0]),
    ],
    ids=["one column", "semicolons and a mark", "tabs and quotes", "others called the same"],
)
def test_csv_files_of_many_hands_are_read(text: str, values: list[float], tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    path.write_bytes(text.encode())
    assert read_recorded([path], PLANT)["site_load_kw"].tolist() == values


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "the file is empty"),
        (b"\nUsage_kWh\n1\n", "the first line is empty"),
        (b"Usage_kWh\n", "column 'Usage_kWh' has no rows"),
        (b"Usage_kWh\n1\nlow\n", "column 'Usage_kWh' holds 'low' in row 2, not a number"),
        (b"Usage_kWh;a\n1,5;2\n", "column 'Usage_kWh' holds '1,5' in row 1, not a number"),
        (b"Usage_kWh\n1_000\n", "column 'Usage_kWh' holds '1_000' in row 1, not a number"),
        (b"Usage_kWh\n1e308\n", "column 'Usage_kWh' holds 1e+308 in row 1: nothing is that large"),
        (b"a,Usage_kWh\n1,2\n1,\n", "column 'Usage_kWh' has no finite number in row 2"),
        (b"Usage_kWh\n1\n\n2\n", "row 2 is empty"),
        (b"a,Usage_kWh\n1,2\n1\n", "row 2 has 1 cells, and the line of names 2"),
        (b"a,Usage_kWh\n1,2,3\n", "row 1 has 3 cells, and the line of names 2"),
        (b"Usage_kWh,Usage_kWh\n1,2\n", "two columns are called 'Usage_kWh'"),
        (b'Usage_kWh,a\n1,"b\n', "the file is no CSV: unexpected end of data"),
        (bytes(range(256)) * 8, "the file is not UTF-8 text"),
        (b"\x1b[2J\n1\n", "there is no column 'Usage_kWh'"),
    ],
)
def test_a_csv_file_that_cannot_be_replayed_is_told_in_one_message(
    raw: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "load.csv"
    path.write_bytes(raw)
    with pytest.raises(PlantError) as caught:
        read_recorded([path], PLANT)
    assert caught.value.message == said
    assert caught.value.file == str(path)
    assert caught.value.hint.isprintable()
    assert caught.value.hint


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_name_stands_for_that_file_alone(suffix: str, tmp_path: Path) -> None:
    written(tmp_path / f"load1.{suffix}", "select 1.0 as Usage_kWh")
    named = written(tmp_path / f"load[1]'*?.{suffix}".replace("'", "''"), "select 2.0 as Usage_kWh")
    named = named.with_name(named.name.replace("''", "'"))
    assert read_recorded([named], PLANT)["site_load_kw"].tolist() == [2.0]
    with pytest.raises(PlantError, match="cannot read the file"):
        read_recorded([tmp_path / f"*.{suffix}"], PLANT)


def test_two_columns_of_one_name_in_a_parquet_file_are_refused(tmp_path: Path) -> None:
    columns = [pa.array([1.0]), pa.array([2.0])]
    pq.write_table(pa.table(columns, names=["Usage_kWh"] * 2), tmp_path / "load.parquet")
    with pytest.raises(PlantError, match="two columns are called 'Usage_kWh'"):
        read_recorded([tmp_path / "load.parquet"], PLANT)


def test_a_recording_that_overflows_once_mapped_is_refused_with_its_row() -> None:
    recorded = {"site_load_kw": np.array([1.0, 1e308])}
    with pytest.raises(PlantError, match="no finite number in row 2 once mapped") as caught:
        build_table(PLANT, 1, draws.PLANT, 0.05, recorded=recorded)
    assert caught.value.line > 0


def test_other_files_and_doubled_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match=r"are \.parquet or \.csv files"):
        read_recorded([tmp_path / "load.xlsx"], PLANT)
    (tmp_path / "load.parquet").write_bytes(b"PAR1 and not much else")
    with pytest.raises(PlantError, match="damaged, or no Parquet file"):
        read_recorded([tmp_path / "load.parquet"], PLANT)
    with pytest.raises(PlantError, match="cannot read the file: No such file"):
        read_recorded([tmp_path / "other.csv"], PLANT)
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
