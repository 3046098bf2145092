from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command writes where it stands is not written into the repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TWIN_PLANT", raising=False)
    monkeypatch.setenv("TAKTTWIN_KEYS", str(tmp_path / "keys"))
