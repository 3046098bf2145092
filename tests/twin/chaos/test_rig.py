"""What a rig gives its loops, so that nothing of it is left on the machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from twin.chaos import rig as rigs
from twin.cli.lease import Lease


async def test_the_lease_of_a_loop_stays_in_the_folder_of_its_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, str] = {}

    async def start(_: object, __: Path, more: Mapping[str, str], *___: object) -> Any:
        given.update(more)
        return SimpleNamespace(lives=True)

    async def up(_: object) -> float:
        return 0.0

    monkeypatch.setattr(rigs.Child, "start", start)
    monkeypatch.setattr(rigs.Loop, "up", up)
    monkeypatch.setenv("TAKTTWIN_LOCKS", str(tmp_path / "everybody"))
    (tmp_path / "everybody").mkdir()
    rig = rigs.Rig(tmp_path / "case", "paint_cure_line", 5.0, lambda *_: {}, 1)
    rig.folder.mkdir()
    await rig.begin_loop(endpoint="opc.tcp://127.0.0.1:4711")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    lease = Lease("opc.tcp://127.0.0.1:4711")
    lease.take()
    lease.give_back()
    assert list((tmp_path / "everybody").iterdir()) == []
    assert [path.suffix for path in rig.folder.rglob("takttwin-*")] == [".lock"]
