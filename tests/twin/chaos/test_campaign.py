"""A case from its processes to its verdict, the score, and what the command line makes of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.twin.cli.shell import twin
from twin.chaos import plays, table_process
from twin.chaos.campaign import Result, Score, Verdict, play
from twin.chaos.case import Case
from twin.chaos.cases import SOAK, TABLE, with_soak
from twin.chaos.kills import shares
from twin.chaos.oracles import Counts
from twin.cli.local_socket import ask

QUICK = 20.0
"""Times real time: a turn is a quarter of a second."""


def case_of(number: int) -> Case:
    return next(case for case in TABLE if case.number == number)


def played(case: Case, folder: Path) -> Result:
    folder.mkdir()
    return asyncio.run(play(case, folder, ask, 1))


def test_the_table_is_whole() -> None:
    assert [case.number for case in TABLE] == list(range(1, 38))
    assert all((case.play is None) or (case.alone is None) for case in TABLE)
    skipped = [case.number for case in TABLE if case.play is None and case.alone is None]
    assert all(case_of(number).needs() for number in skipped)
    assert "90 s" in next(case.title for case in with_soak(TABLE, 90.0) if case.number == SOAK)


def test_where_a_critical_input_is_taken_the_line_itself_says_whether_anything_was_written() -> (
    None
):
    blind = [case for case in TABLE if case.is_blind]
    assert [case.number for case in blind] == [1, 2, 5, 6, 8, 31, 34]


def test_a_fault_that_this_machine_cannot_play_is_skipped_and_not_half_survived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table_process, "faketime", lambda: "")
    needing = {case.number for case in TABLE if "libfaketime" in case.needs()}
    assert needing == {37}
    monkeypatch.setattr(table_process, "faketime", lambda: "/usr/lib/libfaketime.so.1")
    assert case_of(37).needs() == ""


def test_kills_are_spread_over_the_lines() -> None:
    assert [case.injected for case in shares(3, 1, 2)] == [
        "SIGKILL of the loop 2 times, of its controller's process 1 times",
        "SIGKILL of the loop 1 times, of its controller's process 0 times",
    ]
    assert shares(0, 0, 3) == []


def test_the_score_adds_up() -> None:
    some = Counts(writes=10, out_of_range=1, unlogged=2, lost=3, shed_s=[1.0], recover_s=[2.0])
    more = Counts(writes=5, shed_s=[2.0])
    results = [
        Result(case_of(1), Verdict.SURVIVED, {}, some),
        Result(case_of(2), Verdict.FAILED, {"O1": ["I1: it is wrong"]}, more),
        Result(case_of(21), Verdict.SKIPPED, {"needs": ["a policy"]}),
    ]
    score = Score.of(results)
    assert score.line == (
        "faults survived 1/2 (1 skipped), samples lost 3, writes out of range 1 of 15, "
        "unlogged writes 2, mean time to shed 1.5 s, mean time to recover 2.0 s"
    )
    assert results[1].in_words == "O1: I1: it is wrong"
    assert json.dumps(score.record())
    assert Score.of([]).line.endswith("mean time to recover none")


def test_a_case_alone_gives_its_findings(tmp_path: Path) -> None:
    whole = replace(case_of(22), alone=lambda *_: [])
    assert played(whole, tmp_path / "whole").verdict is Verdict.SURVIVED
    wrong = played(replace(whole, alone=lambda *_: ["it"]), tmp_path / "wrong")
    assert (wrong.verdict, wrong.in_words) == (Verdict.FAILED, "O1: it")
    absent = played(replace(whole, needs=lambda: "a thing"), tmp_path / "absent")
    assert (absent.verdict, absent.in_words) == (Verdict.SKIPPED, "needs: a thing")


@pytest.mark.slow
def test_a_fault_is_survived_and_one_that_nobody_expects_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two real processes and a wire: their start alone takes some seconds."""
    monkeypatch.setattr(plays, "TURNS_BEFORE", 4)
    case = replace(case_of(1), speed=QUICK)
    found = played(replace(case, play=plays.broken(*_nan())), tmp_path / "nan")
    assert not {"O1", "O2", "O3", "O4"} & found.why.keys(), found.in_words
    assert found.counts.writes > 0
    assert len(found.counts.shed_s) == 1
    unexpected = replace(_nan()[0], steps=(), for_s=3.0)
    missed = played(replace(case, play=plays.broken(unexpected)), tmp_path / "unexpected")
    assert missed.verdict is Verdict.FAILED
    assert "shed 1 times, not 0 at most" in missed.in_words


def _nan() -> tuple[plays.Harm]:
    from twin.chaos.table_sensor import HOLDS, SHEDS, ZONE

    return (plays.shown(HOLDS, SHEDS, values={ZONE: {"kind": "nan"}}),)


def test_the_command_line_lists_and_refuses() -> None:
    code, out, _ = twin("chaos", "run", "--list", "--json")
    assert (code, len(json.loads(out))) == (0, 37)
    assert " 36 operator" in twin("chaos", "run", "--list")[1]
    assert twin("chaos", "run")[0] == 2
    code, _, err = twin("chaos", "run", "99")
    assert (code, "there is no case 99" in err) == (2, True)
    assert twin("chaos", "kill", "--loop", "0", "--controller", "0")[0] == 2


def test_a_case_that_cannot_be_played_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # where its tool is not
    code, out, _ = twin("chaos", "run", "28", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["cases"][0]["verdict"] == "skipped"
    assert (found["score"]["played"], found["score"]["skipped"]) == (0, 1)
