from __future__ import annotations

from pathlib import Path

import pytest
import typer

from tests.twin.cli.shell import twin
from twin.cli import options
from twin.cli.problems import Problem


@pytest.mark.parametrize(
    ("text", "hours"),
    [("8h", 8.0), ("30m", 0.5), ("90s", 0.025), ("1h30m", 1.5), ("0.5h", 0.5), ("1d", 24.0)],
)
def test_durations(text: str, hours: float) -> None:
    assert options.hours(text) == pytest.approx(hours, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["", "8", "h", "nan", "nanh", "inf", "-8h", "+8h", "0h", "8 h", "1e3h", "8x", "9999d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        options.hours(text)


def test_what_cannot_be_written_is_refused_and_a_folder_only_where_a_file_is_meant(
    tmp_path: Path,
) -> None:
    options.refuse_unwritable(tmp_path, is_folder=True)
    options.refuse_unwritable(tmp_path / "new", is_folder=True)
    for path in (tmp_path, tmp_path / "none" / "file"):
        with pytest.raises(Problem):
            options.refuse_unwritable(path)
    assert list(tmp_path.iterdir()) == []


def test_a_bare_number_is_hours_only_where_the_option_says_hours() -> None:
    assert options.bare_hours("8") == options.bare_hours("8h") == 8.0
    with pytest.raises(typer.BadParameter):
        options.bare_hours("-8")


@pytest.mark.parametrize("text", ["nan", "inf", "-0.5", "0", "1.51", "80%", ""])
def test_what_is_no_utilisation_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        options.utilisation(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--shift", "nan"],
        ["--shift", "-3h"],
        ["--utilisation", "nan"],
        ["--speed", "0"],
        ["--speed", "1e9"],
        ["--seed", "-1"],
        ["--seed", "1.5"],
        ["--disturbances", "no/such/file.csv"],
        ["--endpoint", "opc.tcp://127.0.0.1:99999"],
        ["--no-such-option"],
    ],
)
def test_wrong_values_end_with_2_and_name_the_option(arguments: list[str]) -> None:
    code, out, err = twin("run", "--plant", "machining_line", "--in-process", *arguments)
    assert (code, out) == (2, "")
    assert arguments[0] in err


def test_the_nearest_plant_file_upward_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "line" / "notes"
    below.mkdir(parents=True)
    (tmp_path / "line" / "plant.yaml").write_text("name: x\n")
    monkeypatch.delenv("TWIN_PLANT", raising=False)
    monkeypatch.chdir(below)
    assert options.chosen_plant(None) == str(tmp_path / "line" / "plant.yaml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match=r"no plant\.yaml here"):
        options.chosen_plant(None)
