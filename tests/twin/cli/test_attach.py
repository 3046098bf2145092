"""``twin attach`` from the shell, at a real emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.twin.cli.shell import begin, twin
from twin.cli.attach import PATIENCE_S, Blind


@contextmanager
def served(tmp_path: Path, *how: object) -> Iterator[str]:
    """An emulated line for the length of the block; gives its endpoint."""
    serving = ["emulate", "machining_line", "--port", "0", "--json", *how]
    with begin(*serving, folder=tmp_path) as emulator:
        assert emulator.stdout is not None
        yield json.loads(emulator.stdout.readline())["endpoint"]


@pytest.mark.slow
def test_it_looks_ahead_and_tells_how_it_fared(tmp_path: Path) -> None:
    with served(tmp_path, "--speed", 150) as endpoint:
        arguments = ["attach", "machining_line", "--endpoint", endpoint, "--listen", "5m"]
        code, out, err = twin(*arguments, "--looks", 2, "--every", "5m", "--ahead", "15m", "--json")
        assert code == 0, err
        told = json.loads(out)
        assert len(told["looks"]) == 2
        for look in told["looks"]:
            assert look["until_s"] - look["from_s"] == pytest.approx(900.0)
            energy = look["figures"]["energy_kwh"]
            assert 0.0 < energy["lower"] < energy["mean"] < energy["upper"]
            assert energy["came"] > 0.0
            assert all(name.endswith(("_kw", "_work_s")) for name in look["out_of_step"])
        assert 0.0 < told["drift_score"]["energy_kwh"] < 10.0
        # What happens while the subscription comes up, minutes of plant time at this speed, is missed.
        assert all(number < 20 for number in told["missed_transitions"].values())
        code, out, err = twin(*arguments, "--ahead", "10m")
        assert code == 0, err
        assert "until" in out
        assert "out of step" in out
        assert "came" not in out  # one look: nobody waits for what comes
        code, out, err = twin("attach", "molding_cell", "--endpoint", endpoint)
        assert code == 5  # another plant
        assert "another plant file" in err


def test_a_line_out_of_sight_is_told_of_once() -> None:
    late_us = round(PATIENCE_S * 1e6) + 1
    unread = tuple(f"s{n}.state" for n in range(7))
    blind = Blind(0)
    assert blind.news(unread, 1_000_000, is_seen=False) == ""
    told = blind.news(unread, late_us, is_seen=False)
    assert "cannot read s0.state, s1.state" in told
    assert "2 more" in told
    assert blind.news(unread, 2 * late_us, is_seen=False) == ""
    assert blind.news((), 3 * late_us, is_seen=True) == ""
    assert blind.news((), 4 * late_us - 1, is_seen=False) == ""
    assert "stands still" in blind.news((), 4 * late_us + 1, is_seen=False)


def test_a_line_between_steps_is_refused(tmp_path: Path) -> None:
    with served(tmp_path, "--lockstep") as endpoint:
        code, out, err = twin("attach", "machining_line", "--endpoint", endpoint)
    assert code == 4
    assert "stands still" in err
    assert not out


def test_what_is_wrong_is_told() -> None:
    code, _, err = twin("attach", "machining_line")
    assert code == 2
    assert "--endpoint is missing" in err
    code, _, err = twin("attach", "machining_line", "--endpoint", "opc.tcp://127.0.0.1:1")
    assert code == 3
    assert "127.0.0.1:1" in err
    code, _, err = twin("attach", "machining_line", "--endpoint", "http://127.0.0.1")
    assert code == 2
