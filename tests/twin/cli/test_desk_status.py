"""What the desk of a running loop shows to those who only look."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.twin.cli.desks import Line, asked, desk_of
from tests.twin.equipment.certificates import ending_in
from twin.cli.desk import Desk
from twin.cli.linked import certificate_doubts
from twin.cli.loop import _say
from twin.config import load_plant
from twin.cycle import Action, Mode
from twin.kernels.draws import TWIN
from twin.line.initial import initial_state
from twin.line.model import build_line
from twin.line.snapshot import from_json
from twin.solves import Binding, Solve
from twin.store.audit import Audit


async def test_the_twin_of_a_running_loop_is_handed_out(
    tmp_path: Path, line: Line, audit: Audit
) -> None:
    built = build_line(load_plant("machining_line"))
    line.loop.line = built  # type: ignore[attr-defined]
    line.loop.memory.twin = initial_state(built, 1, TWIN)
    async with desk_of(line, audit).open(tmp_path):
        told = await asked(tmp_path, verb="snapshot")
    assert from_json(built, told["snapshot"]) == line.loop.memory.twin
    assert line.commands == []  # looking is no command


def test_a_certificate_that_ends_soon_is_told_with_the_status(
    line: Line, audit: Audit, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = {"client": ending_in(20.0), "server": ending_in(200.0)}
    equipment = SimpleNamespace(state=SimpleNamespace(certificates=certificates))
    parts = (line, audit, {"run": "r-1"}, None, lambda: "", lambda: 0.0)
    (told,) = Desk(*parts, lambda: [*certificate_doubts(equipment).values()]).status()[
        "certificates"
    ]
    until = f"{certificates['client'].ends:%Y-%m-%d}"
    assert told.startswith(f"the client's certificate is valid until {until} only: twin cert new")
    _say({"mode": "ADVISORY", "certificates": [told]}, as_json=False)
    assert f"  warning: {told}\n" in capsys.readouterr().out
    equipment.state.certificates = {"server": ending_in(31.0)}
    assert (
        "certificates"
        not in Desk(*parts, lambda: [*certificate_doubts(equipment).values()]).status()
    )
    assert certificate_doubts(object()) == {}


def test_a_store_that_cannot_record_is_told_with_the_status(line: Line, audit: Audit) -> None:
    assert "trouble" not in desk_of(line, audit).status()
    assert desk_of(line, audit, trouble="disk full").status()["trouble"] == "disk full"


def test_what_operators_want_is_shown_beside_what_the_loop_is_in(
    line: Line, audit: Audit, capsys: pytest.CaptureFixture[str]
) -> None:
    line.loop.mode, line.loop.memory.guard.requested = Mode.SHED, Mode.CLOSED
    told = desk_of(line, audit).status()
    assert (told["mode"], told["requested"]) == ("SHED", "CLOSED")
    _say(told, as_json=False)
    assert "SHED" in capsys.readouterr().out.partition("requested: CLOSED")[0]


def test_the_last_solve_of_each_station_is_shown_though_others_are_newer(
    line: Line, audit: Audit, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = desk_of(line, audit)
    binds = (Binding("feed_mm", "hi", 0.25),)
    turns = (
        {"oven": Solve("sqp/piqp", "solved", 8, 1e-4), "turning": Solve("ipopt", "old", 9, 1e-9)},
        {"turning": Solve("ipopt", "solved", 7, float("nan"), binds)},
        {},
    )
    for solves in turns:
        line.turn(desk, action=Action({}, solves=solves))
    told = json.loads(json.dumps(desk.status(), allow_nan=False))
    assert told["solves"]["turning"]["binding"] == [["feed_mm", "hi", 0.25]]
    assert told["solves"]["oven"]["kkt_residual"] == 1e-4
    _say(told, as_json=False)
    shown = capsys.readouterr().out
    assert "turning: ipopt: solved, 7 iterations; binds: feed_mm hi 0.25 EUR a unit" in shown
    assert "oven: sqp/piqp: solved, 8 iterations, KKT 1.0e-04; binds: no limit" in shown
