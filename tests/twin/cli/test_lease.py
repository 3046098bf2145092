"""One server, one loop that may close it, however its address is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.cli.lease import Lease
from twin.cli.problems import Problem


@pytest.mark.parametrize(
    "other",
    ["opc.tcp://localhost:4840", "opc.tcp://127.0.0.1:4840/takttwin", "opc.tcp://127.0.0.1:4840"],
)
def test_another_spelling_is_the_same_server(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    held = Lease("opc.tcp://127.0.0.1:4840")
    held.take()
    with pytest.raises(Problem, match="another process holds"):
        Lease(other).take()
    Lease("opc.tcp://127.0.0.1:4841").take()
    held.give_back()
    Lease(other).take()
