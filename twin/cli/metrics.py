"""What a running loop tells a monitoring system, in Prometheus' text format.

Figures are read where they are kept at the moment of the question; only what nobody else keeps is
counted here, turn by turn. Times called plant seconds are of the line, all others of the wall.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from twin.cli.linked import Linked
from twin.cli.pages import PLAIN, Page
from twin.clock import utc_now
from twin.cycle import Mode
from twin.feedback.alarms import KINDS

if TYPE_CHECKING:
    from twin.cli.alarms import Alarms
    from twin.cycle import Cycle
    from twin.equipment.link_state import LinkState
    from twin.runtime import Runtime
    from twin.store.audit import Audit
    from twin.store.historian import Historian

DECISIONS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Upper ends of the classes in which decision times are counted, seconds."""


class Metrics(Collector):
    """The figures of one loop at one line."""

    def __init__(
        self,
        runtime: Runtime,
        equipment: object,
        historian: Historian,
        audit: Audit,
        alarms: Alarms,
    ) -> None:
        self._alarms = alarms
        self._runtime, self._historian, self._audit = runtime, historian, audit
        self._equipment = equipment if isinstance(equipment, Linked) else None
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._turns = Counter("takttwin_turns", "Turns of the loop.", registry=registry)
        self._clips = Counter(
            "takttwin_clips", "Setpoints that the guard changed or refused.", registry=registry
        )
        self._writes = Counter(
            "takttwin_writes", "Batches of setpoints, by what became of them.", ("outcome",),
            registry=registry,
        )  # fmt: skip
        self._decisions = Histogram(
            "takttwin_decision_seconds", "From a reading to its decision.", buckets=DECISIONS_S,
            registry=registry,
        )  # fmt: skip
        registry.register(self)

    def turned(self, cycle: Cycle) -> None:
        """One turn is over."""
        self._turns.inc()
        self._clips.inc(len(cycle.decision.clips))
        if cycle.acknowledged is not None:
            self._writes.labels(str(cycle.acknowledged.outcome)).inc()
        self._decisions.observe(self._runtime.timings.decisions.latest_s)

    def text(self) -> bytes:
        """All figures now."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing yet: whoever registers us must not ask a line that is not there."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The figures that are kept elsewhere."""
        yield from self._loop()
        yield from self._stores()
        if self._equipment is not None:
            yield from _link(self._equipment.state)

    def _loop(self) -> Iterator[Metric]:
        loop, timings = self._runtime.loop, self._runtime.timings
        yield _gauges(
            "loop_mode", "1 for the mode that the loop is in.", "mode",
            {str(mode): float(mode is loop.mode) for mode in Mode},
        )  # fmt: skip
        requested = loop.memory.guard.requested
        yield _gauges(
            "loop_requested_mode", "1 for the mode that operators want.", "mode",
            {str(mode): float(mode is requested) for mode in Mode},
        )  # fmt: skip
        off = float(len(loop.memory.guard.off_mvs))
        yield _gauge("switched_off_mvs", "MVs that the loop may not write.", off)
        standing = Counts(one.kind for one in self._alarms.standing)
        counts = {kind: float(standing[kind]) for kind in KINDS}
        yield _gauges("alarms", "Alarms that stand.", "alarm", counts)
        raised = {kind: float(self._alarms.raised[kind]) for kind in KINDS}
        yield _counters("alarms_raised", "Alarms raised.", "alarm", raised)
        trust = {name: one.trust for name, one in loop.health.items()}
        yield _gauges("model_trust", "How far the model is believed, 0 to 1.", "quantity", trust)
        for name, kept in (("cpu", timings.cpu_s), ("wall", timings.wall_s)):
            yield _counters(
                f"stage_{name}_seconds", f"{name} time of the stages of a turn.", "stage", kept
            )

    def _stores(self) -> Iterator[Metric]:
        historian = self._historian
        acknowledged_s = historian.acknowledged_us / 1e6
        yield _gauge("historian_acknowledged_plant_seconds", "Durable up to.", acknowledged_s)
        waiting = float(historian.waiting)
        yield _gauge("historian_waiting_readings", "Readings in memory alone.", waiting)
        failing = {
            "historian": float(bool(historian.trouble)),
            "audit": float(bool(self._audit.trouble)),
        }
        yield _gauges("store_failing", "1 while a store cannot be written.", "store", failing)


def page(metrics: Metrics) -> Page:
    """All figures now, as a page."""
    return Page(HTTPStatus.OK, PLAIN, metrics.text())


def _link(state: LinkState) -> Iterator[Metric]:
    yield _gauge("link_connected", "1 while the line can be reached.", float(state.connected))
    hard = float(state.is_hard)
    yield _gauge("link_needs_person", "1 if the connection will not mend by itself.", hard)
    valid_s = {
        side: (known.ends - datetime.fromisoformat(utc_now())).total_seconds()
        for side, known in state.certificates.items()
    }
    text = "Until a certificate of the connection ends; below 0 it has."
    yield _gauges("link_certificate_valid_seconds", text, "side", valid_s)
    for name, text, count in (
        ("link_sessions", "Sessions begun.", state.sessions),
        ("link_losses", "Times the line was lost.", state.losses),
        ("link_dropped_values", "Values that the server says it dropped.", state.dropped),
        ("link_late_values", "Values that came after newer ones.", state.late),
    ):
        yield CounterMetricFamily(f"takttwin_{name}", text, value=float(count))
    heard = {name: float(count) for name, count in state.heard.items()}
    yield _counters("link_notifications", "Values and journals heard.", "subscription", heard)
    text = "Time since the last sign of life."
    yield _gauges("link_subscription_silence_seconds", text, "subscription", state.silent_s)
    text = "Age of a sampled signal, NaN if never heard of."
    yield _gauges("signal_age_plant_seconds", text, "signal", state.ages_s)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"takttwin_{name}", text, value=value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"takttwin_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"takttwin_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
