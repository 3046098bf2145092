"""A record as a person reads it: a row is a line, whatever somebody has put into it."""

from __future__ import annotations

from pathlib import Path

from tests.twin.cli.shell import twin
from twin.store.audit import Audit

FORGED = "x\n2026-01-01  command 9    anna: close\x1b[2K\u2028"


def test_each_row_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path) as audit:
        audit.command(f"open {FORGED}", FORGED, FORGED, "2026-03-01T06:00:00")
        audit.command("close", "anna", "all is well", "2026-03-01T06:00:01")
    code, out, err = twin("audit", "show", path)
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.count(r"x\n2026-01-01  command 9    anna: close\x1b[2K\u2028") == 3
    assert second == "2026-03-01T06:00:01  command 2    anna: close  (all is well)"
