"""The file of an evaluation's shifts, with shifts that nobody has to play."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.twin.cli.shell import twin
from twin.cli import evaluate
from twin.cli.episode import NOT_HELD, Episode
from twin.cli.episodes_file import alone_in, held, refuse_foreign
from twin.cli.problems import Problem
from twin.cli.shift import Shift
from twin.cli.tuned import baseline, code_sha256, inputs_sha256

SHIFT = Shift("machining_line", 1, 0.5)


@pytest.fixture(scope="module")
def inputs() -> str:
    point = baseline(SHIFT.place, SHIFT.plant, SHIFT.demanded, SHIFT.variant).point
    return inputs_sha256(SHIFT, point)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, inputs: str) -> list[int]:
    """The seeds that are played from now on, in place of the line."""
    seeds: list[int] = []

    def play(
        asked: Sequence[Episode], _workers: object, _ray: object, taken: Callable[[Any], None]
    ) -> list[dict[str, Any]]:
        lines = [line_of(one, inputs) for one in asked]
        for one in lines:
            taken(one)
            seeds.append(one["seed"])
        return lines

    monkeypatch.setattr(evaluate, "_spread", play)
    return seeds


def line_of(one: Episode, inputs: str) -> dict[str, Any]:
    names = ("controller", "scenario", "utilisation", "variant", "seed")
    facts = {"plant_hash": one.shift.plant.config_hash, "shift_h": one.shift.hours}
    known = {"code_sha256": code_sha256(), "inputs_sha256": inputs, "policy": None}
    kpi = {"from_us": 0, "until_us": 1, "kpis": {"wip_end": {"unit": "1", "value": 3.0}}}
    told = {"kpi": {**kpi, "undefined": {}, "doubts": []}, "decisions": dict(NOT_HELD)}
    told |= {"timing": {}, "violations": {"times": 0}, "doubt": ""}
    return {**dict(zip(names, one.key, strict=True)), **facts, **known, **told}


def asked(*seeds: int) -> list[Episode]:
    return [Episode(replace(SHIFT, seed=seed), "fixed") for seed in seeds]


def test_a_shift_that_was_cut_off_is_told_and_played_again(
    tmp_path: Path, played: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate._played(asked(1, 2), tmp_path, None, None)
    path = tmp_path / "episodes.jsonl"
    whole = path.read_text()
    path.write_text(whole[:-40])
    capsys.readouterr()
    evaluate._played(asked(1, 2), tmp_path, None, None)
    said = "note: one shift was cut off and is played again\n1 of 2 shifts are there\n"
    assert capsys.readouterr().err == said
    assert (played, path.read_text()) == ([1, 2, 2], whole)


def test_a_shift_that_was_cut_off_is_taken_out_without_touching_the_others(
    tmp_path: Path, played: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate._played(asked(1, 2), tmp_path, None, None)
    path = tmp_path / "episodes.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # nothing can be written any more
    try:
        assert len(held(path, SHIFT)) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == whole
    assert "one shift was cut off" in capsys.readouterr().err


def test_shifts_that_the_report_leaves_out_are_told(
    tmp_path: Path, played: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate._played(asked(1, 2, 3, 4), tmp_path, None, None)
    assert "not asked for" not in capsys.readouterr().err
    assert [one["seed"] for one in evaluate._played(asked(1, 2, 3), tmp_path, None, None)] == [
        1,
        2,
        3,
    ]
    told = f"note: {tmp_path} holds 1 more, not asked for; the report is of these 3\n"
    assert told in capsys.readouterr().err
    assert played == [1, 2, 3, 4]


def test_what_ends_before_the_first_shift_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> list[dict[str, Any]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "_spread", interrupted)
    out = tmp_path / "some" / "where"
    with pytest.raises(KeyboardInterrupt), alone_in(out):
        evaluate._played(asked(1), out, None, None)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), alone_in(tmp_path / "file" / "out"):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["manifest.json", "report.html", "evaluation.json"])
def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    given = ("--controllers", "fixed", "--shifts", 2, "--hours", "0.25", "--out", tmp_path)
    code, out, err = twin("evaluate", "machining_line", *given)
    assert (code, out) == (5, "")
    assert f"{tmp_path} holds something else: {name}, and no episodes.jsonl" in err
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"
    (tmp_path / "episodes.jsonl").touch()
    refuse_foreign(tmp_path)


def test_a_place_that_is_no_folder_is_told() -> None:
    given = ("--controllers", "fixed", "--shifts", 2, "--hours", "0.25", "--out", "/dev/full")
    code, out, err = twin("evaluate", "machining_line", *given)
    assert (code, out) == (2, "")
    assert err == "error[file]: /dev/full is there, and no folder\n hint: name a folder\n"


def test_a_folder_is_made_with_its_first_shift(tmp_path: Path, played: list[int]) -> None:
    evaluate._played(asked(1), tmp_path / "some" / "where", None, None)
    assert (tmp_path / "some" / "where" / "episodes.jsonl").read_text().count("\n") == 1
    assert played == [1]


@pytest.mark.parametrize(
    ("there", "put"),
    [
        ('"value": 3.0', '"value": NaN'),
        ('"value": 3.0', '"value": "zero"'),
        ('"value": 3.0', '"value": null'),
        ('"value": 3.0', '"number": 3.0'),
        ('"clipped": 0', '"clipped": "none"'),
        ('"timing": {}', '"timing": 3'),
        ('"timing": {}', '"timing": {"decision_median_s": "long"}'),
        ('"violations": {"times": 0}', '"violations": {"times": []}'),
        ('"doubt": ""', '"doubt": {}'),
        ('"seed": 1', '"seed": "1"'),
    ],
)
def test_a_line_of_other_kinds_is_no_shift(
    tmp_path: Path, played: list[int], there: str, put: str
) -> None:
    evaluate._played(asked(1), tmp_path, None, None)
    path = tmp_path / "episodes.jsonl"
    assert there in path.read_text()
    path.write_text(path.read_text().replace(there, put))
    with pytest.raises(Problem, match=r"episodes\.jsonl:1 is no shift") as told:
        evaluate._played(asked(1), tmp_path, None, None)
    assert (told.value.kind, told.value.code) == ("damaged", 6)


def test_a_shift_that_stands_there_twice_is_refused(tmp_path: Path, played: list[int]) -> None:
    evaluate._played(asked(1), tmp_path, None, None)
    path = tmp_path / "episodes.jsonl"
    path.write_text(2 * path.read_text())
    with pytest.raises(Problem, match=r"episodes\.jsonl:2 is a shift that stands there before"):
        evaluate._played(asked(1), tmp_path, None, None)


def test_who_interrupts_is_told_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], inputs: str
) -> None:
    def play(
        asked: Sequence[Episode], _workers: object, _ray: object, taken: Callable[[Any], None]
    ) -> list[dict[str, Any]]:
        taken(line_of(asked[0], inputs))
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "_spread", play)
    with pytest.raises(KeyboardInterrupt):
        evaluate._played(asked(1, 2, 3), tmp_path, None, None)
    assert f"stopped: 1 of 3 shifts are in {tmp_path}" in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        evaluate._played(asked(1, 2, 3), tmp_path, None, None)
    assert f"stopped: 2 of 3 shifts are in {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "given", "word"),
    [
        ("--utilisation", ".8,0.80", "has 0.8 twice"),
        ("--utilisation", "nan", "Invalid value for --utilisation"),
        ("--controllers", ",", "names nothing"),
        ("--controllers", "fixed,fixed", "has fixed twice"),
        ("--controllers", "fixed,foo", "oracle"),
        ("--controllers", "fixed,", "'fixed,' names nothing in one of its places"),
        ("--utilisation", ".8,", "'.8,' names nothing in one of its places"),
        ("--controllers", "rules,full_pace", "rules and full_pace are two names of one controller"),
        ("--seed", "999", "--seed 970 at most"),
    ],
)
def test_what_is_asked_for_wrongly_is_told_by_option(
    tmp_path: Path, option: str, given: str, word: str
) -> None:
    code, out, err = twin("evaluate", "machining_line", option, given, "--out", tmp_path)
    assert code == 2
    assert word in " ".join(err.split())
    assert not out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("hours", "has_peak"), [(0.2, False), (0.3, False), (0.4, True)])
def test_a_shift_without_a_whole_quarter_of_the_clock_is_refused_before_it_is_played(
    hours: float, has_peak: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(*_: object) -> list[dict[str, Any]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "_played", begun)
    assert twin("init", tmp_path / "demo")[0] == 0
    file = tmp_path / "demo" / "plant.yaml"
    text = file.read_text()
    assert "starts_at_h: 6\n" in text
    file.write_text(text.replace("starts_at_h: 6\n", "starts_at_h: 6.1\n"))
    code, _, err = twin("evaluate", file, "--hours", hours, "--out", tmp_path / "out")
    said = (
        f"a shift of {hours:g} h that begins at 6.1 h has no whole quarter of an hour of the clock"
    )
    assert (code, said in " ".join(err.split())) == ((130, False) if has_peak else (2, True)), err
    assert not (tmp_path / "out").exists()
