"""What a client may call itself and what it asks for are no way into the record, nor a way to fill it."""

from __future__ import annotations

from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError

from twin.equipment.gate import LONGEST_TEXT, LONGEST_USER, Gate, KnownUser, Visitor
from twin.equipment.pki import Pki
from twin.equipment.users import Doorman

FORGED = "x\n2026-01-01  command 9    anna: close  (all is well)\x1b[2K\u2028"
DENIED = ServiceError(ua.StatusCodes.BadUserAccessDenied)
Row = tuple[str, str, str]


@pytest.fixture
def told() -> list[Row]:
    return []


@pytest.fixture
def gate(tmp_path: Path, told: list[Row]) -> Gate:
    doorman = Doorman(tmp_path / "users")
    return Gate(Pki(tmp_path, "server"), doorman, lambda *row: told.append(row), lambda: 0)


def visitor(user: str) -> Visitor:
    return Visitor(user, b"abc", ("10.0.0.7", 4711))


def test_a_name_at_the_door_is_one_short_line(gate: Gate, told: list[Row]) -> None:
    gate.turned_away(DENIED, visitor(FORGED))
    gate.turned_away(DENIED, visitor("A" * 3_000_000))
    (_, forged, _), (_, long, _) = told
    assert forged.startswith(r"x\n2026-01-01  command 9 ")
    assert forged.endswith(", 10.0.0.7")
    assert forged.isprintable()
    assert long.startswith("A" * LONGEST_USER + "…, certificate ")
    assert len(long) < 200


def test_a_node_that_is_asked_for_is_one_line_too(gate: Gate, told: list[Row]) -> None:
    anna = visitor("anna")
    assert not gate.may(KnownUser(), ua.NodeId(FORGED, 2), "write", anna)
    gate.junk(("10.0.0.7", 4711), FORGED + "B" * 3_000_000)
    gate.granted("write it", anna, f"it: '' -> {FORGED}")
    assert len(told) == 3
    assert all(text.isprintable() for row in told for text in row)
    assert max(len(text) for row in told for text in row) < LONGEST_TEXT + 50
