from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.twin.cli.desks import Line
from twin.store.audit import Audit


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command writes where it stands is not written into the repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TWIN_PLANT", raising=False)
    monkeypatch.setenv("TAKTTWIN_KEYS", str(tmp_path / "keys"))


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Audit]:
    with Audit(tmp_path / "audit.sqlite") as found:
        yield found
