"""The unit of the page on services: it parses, and lets the service write what it has to write."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

from tests.docs.pages import DOCS, blocks_of
from twin.cli.lease import EVERYBODYS
from twin.cli.trust import KEYS

PAGE = DOCS / "how-to" / "run-as-a-service.md"
BELOW = {"StateDirectory": "/var/lib", "CacheDirectory": "/var/cache", "RuntimeDirectory": "/run"}
"""Where systemd makes the folders of a unit (``systemd.exec(5)``)."""
Unit = dict[str, list[tuple[str, str]]]


def unit_of(text: str) -> Unit:
    """Sections of a unit file, each a list of (key, value), as ``systemd.syntax(7)`` has it."""
    found: Unit = {}
    section: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = found.setdefault(line[1:-1], [])
            continue
        key, equals, value = line.partition("=")
        assert equals, f"line {number} is neither section nor setting: {line!r}"
        assert key.isalnum(), f"line {number}: {key!r} is no setting"
        section.append((key, value))
    return found


def unit() -> Unit:
    texts = [block.text for block in blocks_of(PAGE) if block.language == "ini"]
    (text,) = (text for text in texts if "[Service]" in text)
    return unit_of(text)


def values(service: Iterable[tuple[str, str]], name: str) -> list[str]:
    return [word for key, value in service if key == name for word in value.split()]


def writable(service: list[tuple[str, str]]) -> set[PurePosixPath]:
    made = {
        PurePosixPath(root) / folder
        for name, root in BELOW.items()
        for folder in values(service, name)
    }
    return made | {PurePosixPath(path) for path in values(service, "ReadWritePaths")}


def test_the_unit_parses() -> None:
    found = unit()
    assert set(found) == {"Unit", "Service", "Install"}
    once = [key for key, _ in found["Service"] if key != "Environment"]
    assert len(once) == len(set(once))
    for text in ("[Service]\nExecStart", "[Service]\nExec Start=x"):
        with pytest.raises(AssertionError, match="line 2"):
            unit_of(text)


def test_the_unit_lets_the_service_write_each_folder_that_it_writes_and_no_other() -> None:
    service = unit()["Service"]
    settings = dict(service)
    assert settings["ProtectSystem"] == "strict"
    assert settings["ProtectHome"] == "yes"
    assert settings["PrivateTmp"] == "yes"
    environment = dict(value.split("=", 1) for key, value in service if key == "Environment")
    words = shlex.split(settings["ExecStart"])
    out = words[words.index("--out") + 1]
    places = {
        PurePosixPath(settings["WorkingDirectory"]) / out,
        PurePosixPath(EVERYBODYS),
        *(PurePosixPath(environment[name]) for name in (KEYS, "NUMBA_CACHE_DIR", "MPLCONFIGDIR")),
    }
    allowed = writable(service)
    for place in places:
        assert any(place.is_relative_to(one) for one in allowed), f"{place} cannot be written"
    for one in allowed:
        assert any(place.is_relative_to(one) for place in places), f"nobody writes to {one}"
    page = PAGE.read_text("utf-8")
    for one in allowed:
        assert f"| `{str(one).replace('%i', 'line1')}` |" in page


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_knows_every_setting_of_the_unit(tmp_path: Path) -> None:
    text = next(b.text for b in blocks_of(PAGE) if b.language == "ini" and "[Service]" in b.text)
    path = tmp_path / "takttwin@.service"
    path.write_text(text.replace("/opt/takttwin/bin/twin", "/bin/true"))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Unknown" not in ran.stderr
    assert "Invalid" not in ran.stderr
