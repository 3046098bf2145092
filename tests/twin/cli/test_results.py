from __future__ import annotations

from twin.cli.results import kpi_file, kpi_table, uncompared
from twin.cycle import Kpi
from twin.feedback import Kpis


def kpis(value: float, until_us: int) -> Kpis:
    return Kpis((Kpi("energy_kwh", value, "kWh", 0, until_us),))


def test_only_controllers_over_the_same_plant_time_are_compared() -> None:
    found = {"a": kpis(1.0, 10), "b": kpis(2.0, 10), "c": kpis(3.0, 20)}
    record = kpi_file({}, 1.0, found)
    assert [row["baseline"] for row in record["comparisons"]] == ["b"]
    assert set(record["controllers"]) == {"a", "b", "c"}
    assert uncompared(found) == [
        "a and c did not run over the same plant time: they are not compared."
    ]
    columns = [list(column.cells) for column in kpi_table(found).columns]
    at = columns[0].index("energy kwh")
    shown = [cells[at] for cells in columns[2:]]
    assert (shown[:2], shown[3:]) == (["1", "2"], ["3", "–"])
    assert "50 %" in shown[2]
