"""What a rig gives its loops: nothing of it is left on the machine, and the link is as secure as the product's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from twin.chaos import processes
from twin.chaos import rig as rigs
from twin.chaos.cases import TABLE
from twin.cli.lease import Lease
from twin.cli.trust import KEYS

Begun = list[tuple[list[str], dict[str, str]]]
"""The arguments and the environment of each process."""


class Silent:
    """No process: what it was asked for is what is looked at."""

    lives = True

    async def line(self) -> str:
        return '{"endpoint": "opc.tcp://127.0.0.1:4711"}'


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Begun:
    found: Begun = []

    async def start(
        arguments: Sequence[str], _: object, more: Mapping[str, str], *__: object
    ) -> Silent:
        found.append((list(arguments), dict(more)))
        return Silent()

    async def up(_: object) -> float:
        return 0.0

    monkeypatch.setattr(processes.Child, "start", start)
    monkeypatch.setattr(rigs.Loop, "up", up)
    return found


def rig_of(folder: Path, *, is_open: bool = False) -> rigs.Rig:
    rig = rigs.Rig(folder, "paint_cure_line", 5.0, lambda *_: {}, 1, is_open=is_open)
    rig.folder.mkdir()
    return rig


async def test_the_lease_of_a_loop_stays_in_the_folder_of_its_case(
    begun: Begun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKTTWIN_LOCKS", str(tmp_path / "everybody"))
    (tmp_path / "everybody").mkdir()
    rig = rig_of(tmp_path / "case")
    await rig.begin_loop(endpoint="opc.tcp://127.0.0.1:4711")
    ((_, given),) = begun
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    lease = Lease("opc.tcp://127.0.0.1:4711")
    lease.take()
    lease.give_back()
    assert list((tmp_path / "everybody").iterdir()) == []
    assert [path.suffix for path in rig.folder.rglob("takttwin-*")] == [".lock"]


@pytest.mark.parametrize("is_open", [False, True])
async def test_line_and_loop_talk_in_secret_with_keys_of_their_case_unless_the_wire_is_read(
    begun: Begun, tmp_path: Path, *, is_open: bool
) -> None:
    rig = rig_of(tmp_path / "case", is_open=is_open)
    await rig._begin_line(0)
    await rig.begin_loop(endpoint="opc.tcp://127.0.0.1:4711")
    for arguments, given in begun:
        assert ("--insecure" in arguments) == is_open
        assert given[KEYS] == str(rig.folder / "keys")


def test_the_wire_is_read_where_a_trap_waits_for_a_write_and_nowhere_else() -> None:
    assert [case.number for case in TABLE if case.is_open] == [13]
