"""The programmable controller of an emulated line, without any network.

It does what a PLC must do whoever asks: it validates each setpoint, limits its rate, tells what is
active, watches the heartbeat of the remote controller on plant time, and takes over when the heartbeat stops.
That fall is latched: remote control returns by request only. However remote control ends, the line goes on by
the local recipe if the plant file says so.
Simulated equipment and the OPC UA emulator are two ways to reach this one object, so both show the
same plant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from twin.config.plant import ScenarioSpec
from twin.cycle import Acknowledgement, Batch, Event, Outcome, Reading
from twin.kernels import draws
from twin.line.engine import EngineChoice, engine
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.sensors import Sensors
from twin.line.tags import TagReader
from twin.signals import Role, Setpoint

KEPT_WRITTEN = 10_000


class PlcMode(IntEnum):
    """Who moves the setpoints."""

    OFF = 0
    MANUAL = 1
    AUTO = 2
    REMOTE = 3


class Result(IntEnum):
    """What became of a request."""

    OK = 0
    CLAMPED = 1
    OUT_OF_RANGE = 2
    NOT_REMOTE = 3
    LATE = 4
    UNKNOWN_TAG = 5
    NOT_FINITE = 6
    OLD_SEQUENCE = 7


class ShedReason(IntEnum):
    """Why the PLC took over."""

    NONE = 0
    HEARTBEAT = 1
    PERMIT = 2
    OPERATOR = 3


@dataclass(frozen=True, slots=True)
class Received:
    """One setpoint as the PLC received it: the witness for what the guard lets through."""

    time_us: int
    sequence: int
    signal: str
    value: float
    active_before: float
    result: Result


class Plc:
    """A true line with its programmable controller.

    All times are plant time. ``written`` is the log of what was asked: the last ``KEPT_WRITTEN`` setpoints
    at least, of ``received`` in all.
    """

    def __init__(
        self,
        line: Line,
        table: list[float],
        seed: int,
        scenario: ScenarioSpec,
        choice: EngineChoice | str = EngineChoice.SIMPY,
    ) -> None:
        control = line.plant.control
        self.line = line
        self.tags = TagReader(line)
        self.signals = self.tags.signals
        self._simulator = engine(line, table, choice)
        self.state = initial_state(line, seed, draws.PLANT)
        self._sensors = Sensors(self.tags, seed, draws.PLANT, scenario)
        self._mvs = {s.name: s for s in self.signals if s.role is Role.MV}
        self.recipe = {name: self._start(name) for name in self._mvs}
        self.active = dict(self.recipe)
        self._by_remote: dict[str, float] = {}
        self._changed_us = dict.fromkeys(self._mvs, -(10**15))
        self.mode = PlcMode.AUTO
        self.permit_remote = True
        self.shed = ShedReason.NONE
        self.echo_sequence = 0
        self.result = Result.OK
        self.step = 0
        self.scan_us = 0
        """How far its time moves at once while it serves a paced line; a write in between is of the next."""
        self._period_us = round(control.period_s * 1e6)
        self._watchdog_us = round(control.watchdog_periods * control.period_s * 1e6)
        self._heartbeat = -1
        self._heard_us = 0
        self._plc_alive = 0
        self._events: list[Event] = []
        self.written: list[Received] = []
        self.received = 0
        self._simulator.prime(self.state)
        self._measure()

    @property
    def now_us(self) -> int:
        """Plant time, microseconds."""
        return round(self.state.now_s * 1e6)

    @property
    def counter(self) -> int:
        """The number by which the PLC shows that it lives."""
        return self._plc_alive

    def advance(self, until_us: int) -> int:
        """Run the line to a plant time; returns the number of this step.

        The watchdog may fall inside: then the line runs to that instant, sheds, and goes on.
        Raises ``ValueError`` for a time in the past.
        """
        if until_us < self.now_us:
            msg = f"cannot advance back from {self.now_us} us to {until_us} us"
            raise ValueError(msg)
        bites_us = self._heard_us + self._watchdog_us
        if self.mode is PlcMode.REMOTE and bites_us <= until_us:
            self._run(bites_us)
            self._fall_back(ShedReason.HEARTBEAT)
        self._run(until_us)
        self.step += 1
        self._plc_alive += 1
        self._measure()
        return self.step

    def reading(self) -> Reading:
        """All signals now, as the instruments show them, with the events since the last reading."""
        if self._touched:
            self._measure()
        values, source_us, status = self._measured
        events, self._events = tuple(self._events), []
        parts = self.tags.part_ids(self.state)
        return Reading(
            self.now_us, self.step, values.copy(), source_us.copy(), status.copy(), parts, events
        )

    def apply(self, batch: Batch, *, stranger: bool = False) -> Acknowledgement:
        """Take a batch: all of it or nothing. Values beyond the rate are moved as far as allowed.

        A stranger is not the one who is in remote control: neither his setpoints nor his heartbeat
        count.
        """
        self._touched = True
        if not stranger and batch.heartbeat != self._heartbeat:
            self._heartbeat, self._heard_us = batch.heartbeat, self.now_us
        if not batch.setpoints:
            if stranger:
                return self._answer(batch, Outcome.REJECTED, Result.NOT_REMOTE.name)
            return self._answer(batch, Outcome.ACCEPTED, "heartbeat")
        result = Result.NOT_REMOTE if stranger else self._verdict(batch)
        moved = {}
        if result is Result.OK:
            for setpoint in batch.setpoints:
                value = self._rate_limited(setpoint.signal, setpoint.value)
                if value != setpoint.value:
                    result = Result.CLAMPED
                moved[setpoint.signal] = value
        for setpoint in batch.setpoints:
            self._log(batch.sequence, setpoint, result)
        self.result = result
        if result not in (Result.OK, Result.CLAMPED):
            return self._answer(batch, Outcome.REJECTED, result.name)
        self.echo_sequence = batch.sequence
        self._put_in_force(moved)
        self._by_remote |= moved
        outcome = Outcome.ACCEPTED if result is Result.OK else Outcome.MISMATCH
        return self._answer(batch, outcome, result.name)

    def pause(self, station: str, value: float, *, stranger: bool = False) -> Result:
        """Put a station to sleep (1) or wake it (0), as the methods of a machine do.

        The same rules as for a batch hold, but for its number and deadline, which methods do not have.
        """
        self._touched = True
        setpoint = Setpoint(f"{station}.standby", value)
        remote = self.mode is PlcMode.REMOTE and not stranger
        result = self._fault(setpoint) if remote else Result.NOT_REMOTE
        self._log(self.echo_sequence, setpoint, result)
        if result is Result.OK:
            self._put_in_force({setpoint.signal: value})
            self._by_remote[setpoint.signal] = value
        return result

    def _log(self, sequence: int, asked: Setpoint, result: Result) -> None:
        """A PLC that runs for months keeps the end of its log; a file has the whole of it."""
        before = self.active.get(asked.signal, math.nan)
        self.written.append(
            Received(self.now_us, sequence, asked.signal, asked.value, before, result)
        )
        self.received += 1
        if len(self.written) >= 2 * KEPT_WRITTEN:
            del self.written[:-KEPT_WRITTEN]

    def move_by_hand(self, setpoints: Mapping[str, float]) -> None:
        """Put setpoints in force that somebody moves at the machine, whoever is in control."""
        self._touched = True
        self._put_in_force(dict(setpoints))

    def command(self, verb: str, argument: float = 0.0) -> None:
        """Methods of the PLC. Raises ``ValueError`` for one it does not have."""
        self._touched = True
        if verb == "RequestRemote":
            by_hand = self.mode in (PlcMode.OFF, PlcMode.MANUAL)
            if self.permit_remote and self.shed is ShedReason.NONE and not by_hand:
                self.mode, self._heard_us = PlcMode.REMOTE, self.now_us
        elif verb == "ReleaseRemote":
            if self.mode is PlcMode.REMOTE:
                self._take_over()
        elif verb == "ResetShed":
            self.shed = ShedReason.NONE
        elif verb == "PermitRemote":
            self.permit_remote = bool(argument)
            if not self.permit_remote and self.mode is PlcMode.REMOTE:
                self._fall_back(ShedReason.PERMIT)
        elif verb == "Advance":
            self.advance(round(argument))
        else:
            msg = f"the PLC has no method {verb!r}"
            raise ValueError(msg)

    def _measure(self) -> None:
        """Instruments sample at each step, read or not: what a delayed one shows depends on it."""
        true = self.tags.read(self.state, self._control_tags())
        self._measured = self._sensors.measure(self.now_us, true)
        self._touched = False

    def _run(self, until_us: int) -> None:
        self._events += self._simulator.advance(self.state, {}, until_us / 1e6)

    def _fall_back(self, reason: ShedReason) -> None:
        """Take over without having been asked to: that is latched."""
        self.shed = reason
        self._take_over()

    def _take_over(self) -> None:
        """Run the line by itself: at the local recipe if the plant file says so.

        What remote control has put in force goes back; what a person has moved since then is his.
        """
        self.mode = PlcMode.AUTO
        if self.line.plant.control.on_shed == "recipe":
            left = {name: v for name, v in self._by_remote.items() if v == self.active[name]}
            self._put_in_force({name: self.recipe[name] for name in left})
        self._by_remote.clear()

    def _verdict(self, batch: Batch) -> Result:
        if self.mode is not PlcMode.REMOTE:
            return Result.NOT_REMOTE
        if self.now_us > batch.deadline_us:
            return Result.LATE
        if batch.sequence <= self.echo_sequence:
            return Result.OLD_SEQUENCE
        return max((self._fault(setpoint) for setpoint in batch.setpoints), default=Result.OK)

    def _fault(self, setpoint: Setpoint) -> Result:
        signal = self._mvs.get(setpoint.signal)
        if signal is None or signal.validity is None:
            return Result.UNKNOWN_TAG
        if not math.isfinite(setpoint.value):
            return Result.NOT_FINITE
        return Result.OK if signal.validity.holds(setpoint.value) else Result.OUT_OF_RANGE

    def _rate_limited(self, name: str, value: float) -> float:
        signal = self._mvs[name]
        if signal.discrete:
            return float(round(value))
        passed_us = self.now_us + self.scan_us - self._changed_us[name]
        elapsed_us = min(passed_us, self._period_us)
        most = signal.rate_per_s * elapsed_us / 1e6 * (1.0 + 1e-9)
        before = self.active[name]
        return min(max(value, before - most), before + most)

    def _put_in_force(self, setpoints: dict[str, float]) -> None:
        changed = {name: v for name, v in setpoints.items() if v != self.active[name]}
        for name in changed:
            self._changed_us[name] = self.now_us
        self.active |= changed
        self._events += self._simulator.advance(self.state, changed, self.state.now_s)

    def _answer(self, batch: Batch, outcome: Outcome, detail: str) -> Acknowledgement:
        active = {
            s.signal: self.active[s.signal] for s in batch.setpoints if s.signal in self.active
        }
        return Acknowledgement(batch.sequence, outcome, active, detail)

    def _control_tags(self) -> tuple[float, ...]:
        watching = self.mode is PlcMode.REMOTE
        healthy = not watching or self.now_us - self._heard_us < self._watchdog_us
        return (
            float(self.mode),
            float(self.permit_remote),
            float(self._plc_alive),
            float(self.shed),
            float(self.echo_sequence),
            float(self.result),
            float(healthy),
        )

    def _start(self, name: str) -> float:
        plant = self.line.plant
        if name == "line.takt_s":
            return plant.source.takt_s.start
        station, _, quantity = name.partition(".")
        spec = plant.station(station)
        if quantity == "standby":
            return 0.0
        if quantity == "standby_after_s":
            return spec.standby_after_s.start
        return spec.setpoints[quantity].start
