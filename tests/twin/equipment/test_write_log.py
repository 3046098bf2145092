from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.twin.equipment.lines import plc
from twin.equipment import plc as module
from twin.equipment.write_log import WriteLog


def test_a_plc_forgets_what_is_old_and_its_log_has_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_WRITTEN", 4)
    line = plc()
    log = WriteLog(tmp_path / "received.jsonl", line)
    line.command("RequestRemote")
    asked = [float(n % 2) for n in range(23)]
    for n, value in enumerate(asked):
        line.pause("wash", value)
        if n % 3 == 0:
            log.update()
        assert len(line.written) < 8
    log.update()
    log.close()
    told = (tmp_path / "received.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(one)["value"] for one in told] == asked
    assert line.received == len(asked)
    assert [one.value for one in line.written] == asked[-len(line.written) :]
