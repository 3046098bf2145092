"""The loop: sense, analyze, decide, act, feed back. Read this file first.

``ControlLoop.step`` turns one reading of the line into one decision. It is synchronous, does no
I/O, asks no clock and draws no luck of its own, so a recorded run can be computed again bit for
bit. ``twin.runtime`` brings the readings and carries out the decisions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from twin.act.asked import as_asked, stand_in
from twin.act.guard import FAILED, Guard
from twin.act.memory import GuardMemory
from twin.analyze.estimation import EstimateMemory, OffsetEstimator
from twin.analyze.filled import filled, own_course
from twin.analyze.forecasting import Forecaster, ForecastMemory
from twin.analyze.monitoring import Monitor, standing
from twin.analyze.synchronise import synchronise
from twin.analyze.waiting import learned
from twin.analyze.whatif import Forks, present
from twin.cycle import (
    Acknowledgement,
    Action,
    Cycle,
    Decision,
    Estimate,
    Health,
    Mode,
    Observation,
    Reading,
    Situation,
)
from twin.feedback.ledger import Ledger
from twin.kernels.draws import TWIN
from twin.line.engine import EngineChoice, engine
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.scenario import held
from twin.line.tags import NO_CONTROL, TagReader
from twin.protocols import Controller
from twin.sense.fusion import Fusion, SenseMemory
from twin.signals import UNUSABLE, Role, Signal
from twin.state import LineState

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LoopMemory:
    """All that the loop remembers from one turn to the next."""

    sense: SenseMemory
    twin: LineState
    estimate: EstimateMemory = field(default_factory=EstimateMemory)
    forecast: ForecastMemory = field(default_factory=ForecastMemory)
    guard: GuardMemory = field(default_factory=GuardMemory)
    turns: int = 0
    doubts: tuple[str, ...] = ()
    """What has come to be doubted of the model in this turn, and what still is, as the guard is told."""


class ControlLoop:
    """One loop over one line.

    ``line`` is the nominal line: what the plant file says, never the truth. ``seed`` keys the
    twin's own luck.
    """

    def __init__(
        self,
        line: Line,
        controller: Controller,
        seed: int,
        choice: EngineChoice | str = EngineChoice.SIMPY,
    ) -> None:
        plant = line.plant
        self.line = line
        self.controller = controller
        self.tags = TagReader(line)
        self.signals = self.tags.signals
        self.mvs = tuple(s.name for s in self.signals if s.role is Role.MV)
        self._critical = [n for n, s in enumerate(self.signals) if s.critical]
        self._own = own_course(self.signals)
        self._fusion = Fusion(self.signals, plant.control.stale_after_s)
        self._estimator = OffsetEstimator(line)
        self._monitor = Monitor(line)
        self._forecaster = Forecaster(plant)
        self._choice = choice
        self._twin = engine(line, held([0.0] * len(plant.disturbances), 0.0), choice)
        self._guard = Guard(self.signals, plant.control)
        self.ledger = Ledger(plant, self.signals)
        self.memory = LoopMemory(self._fusion.begin(), initial_state(line, seed, TWIN))

    def step(
        self,
        reading: Reading,
        commands: tuple[str, ...] = (),
        acknowledged: Acknowledgement | None = None,
    ) -> Cycle:
        """One turn: from a reading, the operator's commands and the answer to the last batch."""
        observation = self.sense(reading)
        situation = self.analyze(observation)
        action = self.decide(situation)
        told = (*commands, *self.memory.doubts)
        decision = self.act(action, observation, told, acknowledged)
        drift = {} if situation is None else situation.estimate.drift
        self.feedback(reading, drift)
        self.memory.turns += 1
        return Cycle(self.memory.turns, reading, commands, acknowledged, decision, drift)

    @property
    def mode(self) -> Mode:
        """The mode that the last turn ended in."""
        return self.memory.guard.mode

    @property
    def limited(self) -> tuple[Signal, ...]:
        """All signals with the limits of today: the plant file's, or what an operator has set since."""
        limits = self.memory.guard.limits
        if not limits:
            return self.signals
        return tuple(replace(s, operator=limits.get(s.name, s.operator)) for s in self.signals)

    @property
    def health(self) -> Mapping[str, Health]:
        """How far the model of each quantity can be believed by now."""
        estimate = self.memory.estimate
        return self._monitor.health(estimate.offsets, estimate.watched)

    @property
    def out_of_order(self) -> Mapping[str, int]:
        """The instruments that show nothing of use any more, with their quality bits."""
        return self._fusion.out_of_order(self.memory.sense)

    def sense(self, reading: Reading) -> Observation:
        """What was read, cleaned: every doubtful value replaced or marked."""
        return self._fusion.observe(reading, self.memory.sense)

    def analyze(self, observation: Observation) -> Situation | None:
        """Where the line is and what comes; None while the line cannot be seen."""
        memory = self.memory
        memory.doubts = _doubted(memory.estimate)
        if (observation.quality[self._critical] & int(UNUSABLE)).any():
            return None
        now_s = observation.time_us / 1e6
        expected = memory.twin.copy()
        if expected.now_s <= now_s:
            self._twin.table = present(self.line, expected)
            self._twin.advance(expected, {}, now_s)
        drift = self._drift(expected, observation)
        twin = expected
        as_learned = learned(self.line, memory.estimate.values)
        if not synchronise(as_learned, twin, observation, memory.turns):
            return None
        memory.twin = twin
        self._estimator.update(observation, twin, memory.estimate)
        offsets, watched = memory.estimate.offsets, memory.estimate.watched
        raised = self._monitor.update(observation, offsets, watched)
        told = (f"drift: {doubt}" for doubt in raised.values())
        memory.doubts = (*told, *_doubted(memory.estimate))
        known = memory.estimate.values
        forks = Forks(learned(self.line, known), self.tags, self._choice)
        active = {name: observation[name] for name in self.mvs}
        return Situation(
            now_s,
            self.limited,
            filled(observation, self._own, lambda: self.tags.read(twin, NO_CONTROL)),
            Estimate(twin.copy(), known, drift, self.health),
            self._forecaster.forecast(observation, memory.forecast),
            active,
            lambda world: forks.fork(twin, world),
        )

    def decide(self, situation: Situation | None) -> Action:
        """What the controller asks for; nothing while the line cannot be seen.

        A controller that fails asks for nothing, and the guard holds.
        """
        if situation is None:
            return stand_in({}, "the line cannot be seen: nothing is asked")
        if self.mode is Mode.OFF:
            return stand_in({}, "the loop is off")
        try:
            return as_asked(self.controller.decide(situation))
        except Exception as error:  # noqa: BLE001  (whatever it is, the line must not feel it)
            _log.debug("the controller failed", exc_info=True)
            return stand_in({}, f"the controller failed: {error!r}", FAILED)

    def act(
        self,
        action: Action,
        observation: Observation,
        commands: tuple[str, ...],
        acknowledged: Acknowledgement | None,
    ) -> Decision:
        """What is granted of it."""
        return self._guard.grant(action, observation, commands, acknowledged, self.memory.guard)

    def feedback(self, reading: Reading, drift: Mapping[str, float]) -> None:
        """Accounts for what the line did, and for how far the twin was off."""
        self.ledger.book(reading, drift)

    def _drift(self, expected: LineState, observation: Observation) -> dict[str, float]:
        """How far the twin's own course was from what happened: parts and energy, this turn."""
        values = self.tags.read(expected, NO_CONTROL)
        return {
            name: float(observation[name] - values[self.tags.index[name]])
            for name in ("line.good_count", "line.wip", "line.energy_kwh")
        }


def _doubted(estimate: EstimateMemory) -> tuple[str, ...]:
    """The doubts that stand, as the guard is told; also while the line cannot be seen."""
    return tuple(f"doubted: {name} {why}" for name, why in standing(estimate.watched).items())
