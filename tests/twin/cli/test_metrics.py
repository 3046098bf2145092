"""The figures of a loop, as a monitoring system reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.twin.cli.shell import REPOSITORY
from tests.twin.driven import Noted, driven
from tests.twin.equipment.certificates import ending_in
from twin.cli.alarms import Alarms
from twin.cli.metrics import Metrics
from twin.cycle import Cycle
from twin.equipment.link_state import LinkState
from twin.runtime import Runtime
from twin.store.audit import Audit
from twin.store.historian import Historian

STATE = LinkState(
    connected=False,
    trouble="connection lost",
    is_hard=True,
    sessions=3,
    losses=2,
    dropped=4,
    late=5,
    heard={"fast": 100, "events": 7},
    silent_s={"fast": 1.5},
    ages_s={"turning.power_kw": 2.0, 'odd"name': math.nan},
    certificates={"client": ending_in(20.0), "server": ending_in(-1.0)},
)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[tuple[Runtime, Noted, Metrics]]:
    runtime, line, _ = driven()
    with (
        Historian(tmp_path / "historian.duckdb", runtime.loop.signals, batch=10) as historian,
        Audit(tmp_path / "audit.sqlite") as audit,
    ):
        runtime._samples = historian
        equipment = SimpleNamespace(state=STATE)
        alarms = Alarms(runtime.loop, equipment, {"audit": lambda: "disk full"})
        metrics = Metrics(runtime, equipment, historian, audit, alarms)
        yield runtime, line, metrics


def figures(metrics: Metrics) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in families
        for sample in family.samples
    }


async def test_what_the_loop_does_is_told(loop: tuple[Runtime, Noted, Metrics]) -> None:
    runtime, line, metrics = loop
    before = figures(metrics)
    assert before["takttwin_loop_mode", "ADVISORY"] == 1.0
    assert before["takttwin_turns_total", ""] == 0.0
    runtime.command("close", "a test")
    for _ in range(3):
        await runtime._clock.sleep_until(line.plc.now_us + 30_000_000)
        metrics.turned(await runtime.turn(line.plc.now_us))
    told = figures(metrics)
    assert told["takttwin_loop_mode", "CLOSED"] == 1.0
    assert told["takttwin_loop_mode", "ADVISORY"] == 0.0
    assert told["takttwin_loop_requested_mode", "CLOSED"] == 1.0
    assert told["takttwin_loop_requested_mode", "ADVISORY"] == 0.0
    assert told["takttwin_turns_total", ""] == 3.0
    assert told["takttwin_decision_seconds_count", ""] == 3.0
    assert told["takttwin_writes_total", "ACCEPTED"] == 1.0
    assert told["takttwin_stage_cpu_seconds_total", "loop"] > 0.0
    assert told["takttwin_historian_waiting_readings", ""] == 3.0
    assert told["takttwin_store_failing", "historian"] == 0.0
    assert told["takttwin_alarms", "record"] == 0.0
    assert told["process_resident_memory_bytes", ""] > 1e6


async def test_alarms_are_figures(loop: tuple[Runtime, Noted, Metrics]) -> None:
    runtime, _, metrics = loop
    cycle: Cycle = await runtime.turn(0)
    for n in range(3):
        at_us = n * 30_000_000
        metrics._alarms.turned(replace(cycle, decision=replace(cycle.decision, time_us=at_us)))
    told = figures(metrics)
    assert (
        told["takttwin_alarms", "record"] == told["takttwin_alarms_raised_total", "record"] == 1.0
    )
    assert told["takttwin_alarms", "access"] == 1.0
    assert told["takttwin_alarms", "certificate"] == 2.0
    assert told["takttwin_alarms", "model"] == 0.0


async def test_clips_are_counted(loop: tuple[Runtime, Noted, Metrics]) -> None:
    runtime, _, metrics = loop
    cycle: Cycle = await runtime.turn(0)
    clips = len(cycle.decision.clips)
    metrics.turned(cycle)
    twice = replace(cycle, decision=replace(cycle.decision, clips=cycle.decision.clips * 2))
    metrics.turned(twice)
    assert figures(metrics)["takttwin_clips_total", ""] == 3.0 * clips


def test_the_connection_is_told_with_what_is_unknown(loop: tuple[Runtime, Noted, Metrics]) -> None:
    told = figures(loop[2])
    assert told["takttwin_link_connected", ""] == 0.0
    assert told["takttwin_link_needs_person", ""] == 1.0
    valid_s = {
        side: told["takttwin_link_certificate_valid_seconds", side] for side in STATE.certificates
    }
    assert valid_s == pytest.approx({"client": 20 * 86_400, "server": -86_400}, abs=40_000.0)
    assert told["takttwin_link_sessions_total", ""] == 3.0
    assert told["takttwin_link_losses_total", ""] == 2.0
    assert told["takttwin_link_dropped_values_total", ""] == 4.0
    assert told["takttwin_link_late_values_total", ""] == 5.0
    assert told["takttwin_link_notifications_total", "events"] == 7.0
    assert told["takttwin_link_subscription_silence_seconds", "fast"] == 1.5
    assert told["takttwin_signal_age_plant_seconds", "turning.power_kw"] == 2.0
    assert math.isnan(told["takttwin_signal_age_plant_seconds", 'odd"name'])


def test_the_reference_names_each_of_them(loop: tuple[Runtime, Noted, Metrics]) -> None:
    page = (REPOSITORY / "docs" / "reference" / "metrics.md").read_text("utf-8")
    named = dict(re.findall(r"(?m)^\| `(takttwin_\w+)(?:\{\w+\})?` \| (\w+) \|", page))
    families = text_string_to_metric_families(loop[2].text().decode())
    shown = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in families
        if family.name.startswith("takttwin_") and not family.name.endswith("_created")
    }
    assert named == shown
