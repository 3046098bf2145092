"""The guard: what is asked becomes what is granted, never more than the plant allows.

What leaves here is finite, always inside validity, and within the rate limit measured from the last
value read back. Engineering and operator limits bound what is aimed at: a setpoint that stands
outside them is brought back at the rate, and never moved away from them. It is for a signal that the
plant file names as an MV and that nobody has switched off, and leaves only while the loop is CLOSED
on good and fresh inputs. Every change to what was asked has its reason.
The guard is a pure function over a small record of memory.
"""

from __future__ import annotations

import math

import numpy as np

from twin.act.allowed import in_words, limits_of
from twin.act.asked import in_numbers, is_number
from twin.act.by_hand import answered, left_bands, widened
from twin.act.memory import GuardMemory
from twin.act.modes import next_mode, wanted
from twin.act.read_back import not_shown_yet
from twin.act.told import hear
from twin.config.plant import ControlSpec
from twin.cycle import (
    REFUSED_IN_PART,
    Acknowledgement,
    Action,
    Batch,
    Clip,
    Decision,
    Mode,
    Observation,
    Outcome,
)
from twin.kernels.limits import granted
from twin.signals import UNUSABLE, Quality, Role, Setpoint, Signal

AUTO, REMOTE = 2.0, 3.0
"""The PLC's modes in which it runs by itself, and in which it takes setpoints from outside."""
FAILED = "failed"
"""Status of the action that stands in for a controller that failed."""
ADVICE = "advice"
"""How the status of an action begins that only a person may carry out: nothing of it is written."""
LATE = "LATE"
"""The PLC's word for a batch beyond its deadline: it was refused, and nothing is wrong but the time."""
MOST_SEQUENCE = 2.0**53
"""No PLC has counted this far; an echo beyond it is no echo."""
MISMATCHES_ALLOWED = 3
_MOVES_A_FROZEN = ("off", "open", "hard", "freeze")
INIT_PERIODS = 5


class Guard:
    """The last word of one loop. ``signals`` are those of the plant, MVs among them."""

    def __init__(self, signals: tuple[Signal, ...], control: ControlSpec) -> None:
        self._mvs = {s.name: s for s in signals if s.role is Role.MV}
        self._limits = {name: limits_of(signal) for name, signal in self._mvs.items()}
        self._critical = tuple(s.name for s in signals if s.critical)
        of_plc = tuple(s.name for s in signals if s.name.startswith("control."))
        self._of_the_moment = (*self._critical, *self._mvs, *of_plc)  # never carried over a gap
        self._control = control
        self._period_us = round(control.period_s * 1e6)

    def grant(
        self,
        action: Action,
        observation: Observation,
        commands: tuple[str, ...],
        acknowledged: Acknowledgement | None,
        memory: GuardMemory,
    ) -> Decision:
        """One cycle: settle the mode, then clip what was asked, or refuse it.

        ``acknowledged`` is the equipment's answer to the batch of the cycle before; ``commands``
        are the operator's, and what else is reported: see ``twin.act.told``.
        """
        asked = in_numbers(action)
        self._settle(action, observation, commands, acknowledged, memory)
        mode, time_us = memory.mode, observation.time_us
        command = self._request(memory, observation)
        if observation["control.echo_seq"] >= memory.read_back_sequence:
            memory.read_back = not_shown_yet(self._mvs, observation, memory, self._period_us)
        if mode not in (Mode.CLOSED, Mode.INIT, Mode.HOLD):
            return Decision(time_us, mode, memory.reasons, asked, None, (), command)
        setpoints: tuple[Setpoint, ...] = ()
        clips: tuple[Clip, ...] = ()
        if memory.unsure and not math.isnan(observation["control.mode"]):
            # In force at the latest now, since now it was read: the rate counts from here.
            memory.written_us |= dict.fromkeys(memory.unsure, time_us)
            memory.unsure = ()
        if mode is Mode.CLOSED and not action.status.startswith(ADVICE):
            setpoints, clips = self._clip(action, observation, memory)
        memory.heartbeat += 1
        if setpoints:
            echoed = observation["control.echo_seq"]
            known = int(echoed) if 0.0 <= echoed < MOST_SEQUENCE else 0
            memory.sequence = max(memory.sequence, known) + 1
            memory.sent = tuple(setpoint.signal for setpoint in setpoints)
            memory.written_us |= dict.fromkeys(memory.sent, time_us)  # later, if its answer says so
            memory.bands = widened(memory.bands, setpoints, observation)
        deadline_us = time_us + round(self._control.deadline_s * 1e6)
        batch = Batch(memory.sequence, memory.heartbeat, setpoints, deadline_us)
        return Decision(time_us, mode, memory.reasons, asked, batch, clips, command)

    # --- mode ----------------------------------------------------------------------------------

    def _settle(
        self,
        action: Action,
        observation: Observation,
        commands: tuple[str, ...],
        acknowledged: Acknowledgement | None,
        memory: GuardMemory,
    ) -> None:
        events: dict[str, str] = {}
        conditions: dict[str, str] = {}
        if acknowledged is not None and acknowledged.outcome is not Outcome.SKIPPED:
            self._written(acknowledged, memory)  # first: what came after it may make it worthless
        hear(commands, self._mvs, memory, events, conditions)
        self._controller(action, events, conditions)
        self._inputs(observation, memory, events, conditions)
        self._equipment(observation, memory, events, conditions)
        self._answers(acknowledged, memory, events)
        self._by_hand(observation, memory, events, conditions)
        self._waiting(observation, memory, events, conditions)
        self._flapping(observation.time_us, memory, events)
        if memory.is_frozen:  # no doubt in the model, and no inputs that are good again, move it
            events = {name: why for name, why in events.items() if name in _MOVES_A_FROZEN}
        memory.requested = wanted(memory.requested, memory.mode, events, conditions)
        mode, why = next_mode(memory.mode, events, conditions)
        memory.is_frozen = mode is Mode.HOLD and (memory.is_frozen or "freeze" in events)
        if mode is not memory.mode:
            if (memory.mode, mode) == (Mode.CLOSED, Mode.HOLD) and not memory.is_frozen:
                memory.holds_us.append(observation.time_us)
            elif mode is Mode.INIT:
                memory.holds_us.clear()
                memory.has_asked = False
                memory.bad_reads = memory.mismatches = 0
                memory.forget_answers()
            memory.mode, memory.since_us = mode, observation.time_us
            memory.reasons = (why,)
        elif why:
            memory.reasons = (why,)
        shed = observation["control.shed"] > 0.0
        memory.may_reset = shed and mode is Mode.ADVISORY and (memory.may_reset or "ack" in events)

    def _controller(
        self, action: Action, events: dict[str, str], conditions: dict[str, str]
    ) -> None:
        """What the controller says of itself: that it has failed, or that it may not act."""
        if action.status == FAILED:
            events["transient"] = conditions["controller"] = action.reason
        elif action.status.startswith(ADVICE):
            conditions["authority"] = f"the controller only advises: {action.reason}"

    def _waiting(
        self,
        observation: Observation,
        memory: GuardMemory,
        events: dict[str, str],
        conditions: dict[str, str],
    ) -> None:
        """The two modes that wait for something: INIT for the PLC, HOLD for good inputs."""
        waited_us = observation.time_us - memory.since_us
        remote = observation["control.mode"] == REMOTE
        if memory.mode is Mode.INIT:
            if conditions:
                events["unfit"] = f"not closed: {'; '.join(conditions.values())}"
            elif remote and memory.has_asked:  # not somebody else's, whom it may obey already
                events["confirmed"] = "handshake complete"
            elif waited_us > INIT_PERIODS * self._period_us:
                events["expired"] = "not closed: the PLC did not grant remote control"
        elif memory.mode is Mode.HOLD:
            if waited_us > self._control.hold_s * 1e6:
                why = "; ".join(conditions.values()) or "; ".join(memory.reasons)
                events["expired"] = f"hold time of {self._control.hold_s:g} s over: {why}"
            elif remote and memory.has_asked and not conditions and "transient" not in events:
                events["recovered"] = "inputs good again"

    def _flapping(self, time_us: int, memory: GuardMemory, events: dict[str, str]) -> None:
        """A loop that comes back from HOLD and goes again does not control anything."""
        control = self._control
        window_us = control.holds_window_periods * self._period_us
        memory.holds_us = [at for at in memory.holds_us if time_us - at < window_us]
        if "transient" in events and len(memory.holds_us) >= control.holds_allowed:
            events["flapping"] = (
                f"more than {control.holds_allowed} holds in {window_us / 1e6:g} s: "
                f"{events['transient']}"
            )

    def _inputs(
        self,
        observation: Observation,
        memory: GuardMemory,
        events: dict[str, str],
        conditions: dict[str, str],
    ) -> None:
        """Critical inputs that are not usable: waited for if nothing at all came, else a few readings long."""
        bad = [
            name
            for name in self._critical
            if observation.quality[observation.index[name]] & int(UNUSABLE)
        ]
        if not bad:
            memory.bad_reads = 0
            return
        lost = self._is_out_of_sight(observation)
        if lost:
            memory.was_lost = True
            memory.forget_answers()
        what = "no reading of the line" if lost else f"critical input {bad[0]} is not usable"
        conditions["inputs"] = what
        memory.bad_reads += 1
        if memory.bad_reads > self._control.bad_reads_allowed and not lost:
            events["hard"] = f"{what} for {memory.bad_reads} readings"
        else:
            events["transient"] = what

    def _is_out_of_sight(self, observation: Observation) -> bool:
        """Whether nothing came at all: who says that a value is bad is there, and says it."""
        seen = observation.quality[[observation.index[name] for name in self._of_the_moment]]
        return bool((seen & int(Quality.MISSING | Quality.BAD) == int(Quality.MISSING)).all())

    def _equipment(
        self,
        observation: Observation,
        memory: GuardMemory,
        events: dict[str, str],
        conditions: dict[str, str],
    ) -> None:
        permit, shed = observation["control.permit_remote"], observation["control.shed"]
        if permit == 0.0:
            conditions["permit"] = "the PLC does not permit remote control"
            events["hard"] = conditions["permit"]
        elif math.isnan(permit):
            conditions["permit"] = "it is not known whether the PLC permits remote control"
            events.setdefault("transient", conditions["permit"])
        if shed > 0.0:
            conditions["plc_not_shed"] = "the PLC has shed and waits for a reset"
            events["hard"] = conditions["plc_not_shed"]
        elif math.isnan(shed):
            conditions["plc_not_shed"] = "it is not known whether the PLC has shed"
            events.setdefault("transient", conditions["plc_not_shed"])
        if math.isnan(observation["control.echo_seq"]):  # nobody knows whose a value in force is
            unknown = "it is not known which batch the PLC has taken last"
            conditions.setdefault("permit", unknown)
            events.setdefault("transient", unknown)
        plc = observation["control.mode"]
        if plc == REMOTE:
            memory.was_lost = False
        elif plc < AUTO:
            conditions["permit"] = "the PLC is run by hand, or off"
            events["hard"] = conditions["permit"]
        elif memory.mode in (Mode.CLOSED, Mode.HOLD) and not memory.was_lost:
            if math.isnan(plc):
                events.setdefault("transient", "it is not known who controls the PLC")
            else:  # somebody took it on purpose: nobody asks for it again but an operator
                events["hard"] = "the PLC is no longer in remote control"
        for name, signal in self._mvs.items():
            value, quality = observation[name], observation.quality[observation.index[name]]
            beyond = signal.validity is not None and not signal.validity.holds(value)
            if quality & int(Quality.OUT_OF_RANGE) or (beyond and not math.isnan(value)):
                conditions["limits"] = f"{name} stands outside its validity"
                events["hard"] = conditions["limits"]

    def _by_hand(
        self,
        observation: Observation,
        memory: GuardMemory,
        events: dict[str, str],
        conditions: dict[str, str],
    ) -> None:
        """A setpoint in force that is not ours: who moves it at the PLC wants it so.

        Only while nothing else explains it. What we have switched off, or only advise on, is a person's.
        """
        if memory.mode is not Mode.CLOSED or conditions or "transient" in events:
            memory.bands.clear()
        elif observation["control.echo_seq"] >= memory.read_back_sequence and "hard" not in events:
            ours = [s for name, s in self._mvs.items() if name not in memory.off_mvs]
            moved, memory.bands = left_bands(ours, observation, memory.bands)
            if moved:
                events["hard"] = f"{moved} was moved at the PLC"

    def _answers(
        self,
        acknowledged: Acknowledgement | None,
        memory: GuardMemory,
        events: dict[str, str],
    ) -> None:
        if acknowledged is None:
            return
        outcome = acknowledged.outcome
        if outcome is Outcome.UNKNOWN:
            # The reading of this cycle tells what is active; nothing is sent again.
            memory.unsure += memory.sent
            events["transient"] = f"write {acknowledged.sequence} has no answer: read back first"
        elif outcome is Outcome.REJECTED and acknowledged.detail == LATE:
            events["transient"] = f"write {acknowledged.sequence} came too late for the PLC"
        elif outcome is Outcome.REJECTED:
            events["hard"] = f"write {acknowledged.sequence} rejected: {acknowledged.detail}"
        elif outcome is Outcome.MISMATCH:
            memory.mismatches += 1
            if acknowledged.detail.startswith(REFUSED_IN_PART):
                events["hard"] = f"write {acknowledged.sequence} {acknowledged.detail}"
            elif memory.mismatches >= MISMATCHES_ALLOWED:
                events["hard"] = f"the PLC does not obey: {acknowledged.detail}"
        elif outcome is Outcome.ACCEPTED:
            memory.mismatches = 0

    def _written(self, acknowledged: Acknowledgement, memory: GuardMemory) -> None:
        """Something left: when at the latest it came into force, and as what."""
        if acknowledged.outcome in (Outcome.ACCEPTED, Outcome.MISMATCH):
            memory.read_back |= acknowledged.active
            memory.bands = answered(memory.bands, acknowledged.active)
            memory.read_back_sequence = acknowledged.sequence
        for name in memory.sent:
            memory.written_us[name] = max(memory.written_us.get(name, 0), acknowledged.answered_us)

    def _request(self, memory: GuardMemory, observation: Observation) -> str:
        """What the equipment must be asked for so that its mode follows ours."""
        mode, plc = memory.mode, observation["control.mode"]
        unasked = plc == REMOTE and not memory.has_asked
        waiting = mode in (Mode.INIT, Mode.HOLD) and not memory.is_frozen
        if waiting and (unasked or plc == AUTO):
            memory.has_asked = True
            return "RequestRemote"
        if mode in (Mode.OFF, Mode.ADVISORY, Mode.SHED) and plc == REMOTE:
            return "ReleaseRemote"
        if memory.may_reset:
            return "ResetShed"
        return ""

    # --- setpoints -----------------------------------------------------------------------------

    def _clip(
        self, action: Action, observation: Observation, memory: GuardMemory
    ) -> tuple[tuple[Setpoint, ...], tuple[Clip, ...]]:
        moves: list[Setpoint] = []
        clips: list[Clip] = []
        echoed = observation["control.echo_seq"]
        for name, asked in action.setpoints.items():
            signal = self._mvs.get(name)
            if not is_number(asked):
                clips.append(Clip(name, 0.0, None, "not a finite number"))
                continue
            if signal is None:
                clips.append(Clip(name, asked, None, "not a manipulated variable of this plant"))
                continue
            if name in memory.off_mvs:
                clips.append(Clip(name, asked, None, "switched off by the operator"))
                continue
            active = memory.read_back.get(name, observation[name])
            if name in memory.read_back and echoed >= memory.read_back_sequence:
                clips.append(Clip(name, asked, None, "what it was set to last is not shown yet"))
                continue
            if math.isnan(active):
                clips.append(Clip(name, asked, None, "its active value is not known"))
                continue
            value, why = self._within(signal, asked, active, observation.time_us, memory)
            if why:
                clips.append(Clip(name, asked, value, why))
            if value != active:
                moves.append(Setpoint(name, value))
        return tuple(moves), tuple(clips)

    def _within(
        self, signal: Signal, asked: float, active: float, time_us: int, memory: GuardMemory
    ) -> tuple[float, str]:
        """The nearest value that limits and rate allow; limits are approached at the rate."""
        since_us = time_us - memory.written_us.get(signal.name, time_us - self._period_us)
        elapsed_us = min(max(since_us, 0), self._period_us)
        limits = self._limits[signal.name]
        narrowed = memory.limits.get(signal.name)
        if narrowed is not None:
            limits = np.array([narrowed.lo, narrowed.hi, *limits[2:]])
        value, why = granted(
            float(asked), active, limits, signal.rate_per_s, elapsed_us, signal.discrete
        )
        return value, in_words(why, limits, signal.rate_per_s)
