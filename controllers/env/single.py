"""One line as an environment: the whole loop, with the simulated equipment in this process.

Slow beside the vector environment, and nothing is left out: readings pass through sensing, the twin, the guard
and the PLC as they do on a plant. What is rewarded is kept in the same books.
"""

from __future__ import annotations

import copy
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from controllers.env.observer import Observer
from controllers.env.picture import painted, told
from controllers.env.side_by_side import Books
from controllers.env.vector import CORRECTION_EUR, spaces
from controllers.env.worlds import Kind, Randomisation, Worlds, setting_of
from twin.config import Plant
from twin.cycle import Action, Cycle, Mode, Reading, Situation
from twin.equipment.plc import Plc
from twin.equipment.simulated import SimulatedEquipment
from twin.line import batch as records
from twin.line.engine import EngineChoice
from twin.line.scenario import scenario_of
from twin.loop import ControlLoop
from twin.runtime import EquipmentClock, Runtime

TWIN_SEED = 0
"""Keys the luck of the loop's own twin, whatever the plant's."""
_ONLY = np.zeros(1, dtype=np.int64)
"""The one line among those side by side."""


class Asked:
    """A controller that asks for what it was told to; nothing before that."""

    def __init__(self, observer: Observer) -> None:
        self.setpoints: Mapping[str, float] = {}
        self._observer = observer

    def decide(self, situation: Situation) -> Action:
        """What the agent has asked for; the line is seen, and noted."""
        self._observer.note(situation.observation)
        return Action(self.setpoints, "the agent asks")


class LineEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One shift after another of one line. The luck of the ``m``-th after ``reset(seed=s)`` is that of ``s + m``.

    A shift is *truncated* at its end, and *terminated* when the loop gives the line up: then ``info`` says why.
    See docs/reference/environment.md. Raises as `controllers.env.vector.LineVectorEnv` does.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 10}

    def __init__(
        self,
        plant: str | Plant = "machining_line",
        scenario: str = "nominal",
        *,
        world: Kind = "randomised",
        variant: str = "nominal",
        utilisation: float | None = None,
        decision_s: float | None = None,
        correction_eur: float = CORRECTION_EUR,
        randomisation: Randomisation | None = None,
        worlds: int | None = None,
        time_outs_s: Mapping[str, float] | None = None,
        engine: EngineChoice | str = EngineChoice.SIMPY,
        render_mode: str | None = None,
    ) -> None:
        self.setting = setting_of(
            plant, kind=world, scenario=scenario, variant=variant, utilisation=utilisation,
            decision_s=decision_s, randomisation=randomisation or Randomisation(),
            worlds=worlds if world == "randomised" else None, time_outs_s=time_outs_s,
        )  # fmt: skip
        self.render_mode, self._engine = render_mode, engine
        self._books = Books(1, Worlds(self.setting), correction_eur)
        self.schema = self._books.schema
        self.eur_per_reward = self._books.layout.terms.eur_per_reward
        self.observation_space, self.action_space = spaces(self.schema)
        self._next = 0

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A fresh line, up to the first decision: the loop is closed by then, and has not written yet."""
        super().reset(seed=seed)
        episode = self._next if seed is None else seed
        self._next = episode + 1
        world, nominal = self._books.lay_in(0, episode), self._books.worlds.nominal
        scenario = scenario_of(self.setting.plant, world.scenario)
        self.plc = Plc(world.line, world.rows, episode, scenario, self._engine)
        self._observer = Observer(nominal, self.setting.decision_s)
        self._asked = Asked(self._observer)
        self.loop = ControlLoop(nominal, self._asked, TWIN_SEED, self._engine)
        self._line = _Read(self.plc)
        self._runtime = Runtime(self.loop, self._line, EquipmentClock(self._line))
        self._look()
        self._books.open(_ONLY)
        at = self._books.layout
        while self.plc.now_us < at.terms.first_us:
            if self.loop.mode is Mode.ADVISORY:
                self._runtime.command("close", "training")
            self._turn()
        self._books.take_over(_ONLY)
        self._previous = self._books.batch.previous[0].tolist()
        return self._observation(), self._told((), False)

    def step(
        self, action: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """One decision: as many turns of the loop as there are in its period."""
        asked = np.asarray(action, dtype=np.float64)
        if asked.shape != self.action_space.shape or not np.isfinite(asked).all():
            raise ValueError(f"an action is {self.action_space.shape} finite numbers")
        books, terms = self._books, self._books.layout.terms
        self._asked.setpoints = self._observer.setpoints(asked.tolist())
        self._previous = list(self._asked.setpoints.values())
        since_us = books.batch.now_us.copy()
        until_us = min(int(since_us[0]) + terms.decision_us, int(books.batch.ends_us[0]))
        filtered, given_up = False, tuple[str, ...]()
        wanted = dict(self._asked.setpoints)
        while self.plc.now_us < until_us and not given_up:
            decision = self._turn().decision
            filtered = filtered or bool(decision.clips)
            # Whoever drives in place of the agent is charged for what it has asked for itself.
            wanted = {name: decision.asked.setpoints.get(name, at) for name, at in wanted.items()}
            if decision.mode not in (Mode.CLOSED, Mode.HOLD):
                given_up = decision.reasons
        books.batch.previous[0] = list(wanted.values())
        answer = books.answer
        answer.tripped[0] = bool(given_up)
        books.judge(_ONLY, since_us)
        info = self._told(given_up, filtered)
        info |= {"raw_action": asked, "applied_action": answer.applied[0].copy()}
        ended = bool(answer.ended[0]) and not given_up
        return self._observation(), float(answer.reward[0]), bool(given_up), ended, info

    def shown(self) -> NDArray[np.float32]:
        """The observation of this moment, not stopped at -1 and 1: for who notes where a policy has been."""
        return self._unclipped.copy()

    def render(self) -> Any:
        """The line, in words or as a picture."""
        state, line = self.plc.state, self._books.worlds.nominal
        if self.render_mode == "ansi":
            return told(line, state.now_s, state.floats, state.ints)
        return painted(line, state.ints) if self.render_mode == "rgb_array" else None

    def _turn(self) -> Cycle:
        """One turn of the loop, one period of plant time, one reading; a line given up stays where it is."""
        now_us, batch = self.plc.now_us, self._books.batch
        cycle = _at_once(self._runtime.turn(now_us))
        if cycle.decision.mode in (Mode.SHED, Mode.ADVISORY, Mode.OFF) and self._asked.setpoints:
            return cycle
        until_us = min(now_us + self._books.layout.common.period_us, int(batch.ends_us[0]))
        self.plc.advance(until_us)
        self._look()
        self._books.read(_ONLY)
        return cycle

    def _look(self) -> None:
        """What is true of the line now, for the books; what is read of it, for the loop and the observer."""
        state, batch = self.plc.state, self._books.batch
        batch.f[0], batch.i[0], batch.now_us[0] = state.floats, state.ints, self.plc.now_us
        self._line.take(self.plc.reading())

    def _observation(self) -> NDArray[np.float32]:
        """What a policy sees of the reading that the loop's next turn will begin with."""
        memory = self.loop.memory.sense
        self.loop.memory.sense = copy.deepcopy(memory)  # the turn itself will sense it again
        observation = self.loop.sense(self._line.reading)
        self.loop.memory.sense = memory
        self._observer.note(observation)
        self._unclipped = self._observer.unclipped(observation, self._previous)
        return self._observer.observe(observation, self._previous)

    def _told(self, given_up: Sequence[str], filtered: bool) -> dict[str, Any]:
        answer = self._books.answer
        figures = answer.figures[0].tolist()
        return {
            "kpi": dict(zip(records.FIGURES, figures, strict=True)),
            "constraint_cost": float(answer.correction[0]),
            "filter_active": filtered,
            "given_up": "; ".join(given_up),
        }


def _at_once(turn: Coroutine[Any, Any, Cycle]) -> Cycle:
    """Run a turn to its end: with equipment in this process there is nothing to wait for."""
    try:
        turn.send(None)
    except StopIteration as done:
        cycle: Cycle = done.value
        return cycle
    raise RuntimeError("equipment in this process has waited for something")


class _Read(SimulatedEquipment):
    """Equipment whose reading was taken already: the agent looks at it before the loop does."""

    reading: Reading

    def take(self, reading: Reading) -> None:
        """The reading of this moment."""
        self.reading = reading

    async def read(self) -> Reading:
        """The same."""
        return self.reading
