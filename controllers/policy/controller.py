"""A trained policy at work: it decides where it has been trained, and hands over where it has not.

Each decision goes the same way: pack what is seen by the kernel of the environments, ask whether training has
been there, run the network, look whether an answer came that is one and that its role allows. Whatever fails on
the way, the fallback decides, and goes on until enough decisions in a row were fit again. It and the base are
asked at every turn, heard or not, so that neither takes over cold. Either way the setpoints move from where
they are in a few equal steps, so that nobody sees in the line who has taken over.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controllers.policy.base import wanted
from controllers.policy.loader import REPLAYED, load
from controllers.policy.manifest import Approval, FieldSpec, half_of, outward
from controllers.policy.observing import Observing
from controllers.waking import all_awake
from twin.act.asked import STANDS_IN
from twin.act.guard import ADVICE
from twin.clock import monotonic_us
from twin.config import TunedPoint, untuned
from twin.cycle import Action, Situation
from twin.line.model import Line
from twin.plugins import RefusedError, UnknownPluginError, find_controller
from twin.protocols import Controller

STEPS = 5
"""Turns in which the setpoints go over from one to the other; assumption."""
LATE = 1.5
"""Decision periods after which a decision is none of training's any more; assumption."""
SAME_S = 1e-3
Clock = Callable[[], int]
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PolicyMemory:
    """All that a policy remembers from one turn to the next."""

    decided_s: float = math.nan
    """When it decided last, plant time."""
    asked: dict[str, float] = field(default_factory=dict)
    """What was asked for then, by whoever drove."""
    answer: dict[str, float] = field(default_factory=dict)
    """What the network said when it was last fit to."""
    below: dict[str, float] = field(default_factory=dict)
    """What its base wants, whoever drives."""
    doubt: str = ""
    """Why the fallback decides; empty while the policy does."""
    fit: int = 0
    """Decisions in a row that the policy could have made since it handed over."""
    steps_left: int = 0
    """Turns until the setpoints have gone over."""


class Policy:
    """The policy in the bundle that was found for ``name``. Raises `RefusedError` for one that must not act.

    ``clock`` tells microseconds; it is asked only where the bundle came with a patience, which is never so
    in lockstep.
    """

    name = "rl"
    needs_bundle = True
    """Tells a policy from controllers that need nothing but a plant."""

    def __init__(self, line: Line, tuned: TunedPoint, clock: Clock = monotonic_us) -> None:
        given = tuned.policies.get(self.name)
        if given is None:
            hint = f"train one (twin train), put it beside the plant file as PLANT.{self.name}.policy, or --policy"
            raise RefusedError(f"there is no policy for {self.name!r} of {line.plant.name}", hint)
        self._loaded = load(
            Path(given.path),
            line,
            sha256=given.sha256,
            keys=given.keys,
            must_be_signed=given.must_be_signed,
        )
        manifest = self._loaded.bundle.manifest
        self._role, self._state = manifest.role, manifest.state
        if given.use == "trial":
            self._state = Approval.CLOSED
        elif given.use == "drive" and self._state in (Approval.DRAFT, Approval.ADVISORY):
            msg = f"{given.path}: is approved as {self._state}, and this loop is to be closed"
            raise RefusedError(
                msg, "twin policy approve BUNDLE --to … --reason …, or look on with --endpoint"
            )
        role = self._role
        self._base = None if role.base is None else _companion(role.base, line, tuned)
        if self._base is not None and role.stand_in == role.base:
            self._fallback = self._base
        else:
            self._fallback = _companion(role.stand_in, line, tuned)
        self._fields = manifest.spaces.action
        self._outward, half = outward(manifest), half_of(self._fields)
        # An answer at the very edge may be rounded over it, by no more than a replay may differ.
        self._rounding = REPLAYED * np.where(half > 0.0, 2.0 * half, 1.0)
        self._title = f"policy {manifest.training.algorithm} {manifest.model_sha256[:8]}"
        # What training does not decide it leaves where it is, and so must we, whatever a fallback has set.
        decided = {f.name for f in self._fields}
        recipe = {**untuned(line.plant).setpoints, **role.held}
        self._left = {name: value for name, value in recipe.items() if name not in decided}
        self._observing = Observing(line, manifest.spaces, self._role.decision_period_s)
        self._patience_us, self._clock = round(given.patience_s * 1e6), clock
        self.memory = PolicyMemory()

    def decide(self, situation: Situation) -> Action:
        """What to ask for, by whom, and why; a policy that may only advise says so in its status."""
        memory = self.memory
        instead = _decided(self._fallback, situation)
        below = self._below(situation, instead)
        try:
            self._look(situation)
        except Exception as error:  # noqa: BLE001  (whatever it is, the fallback decides)
            _log.warning("the policy has failed", exc_info=True)
            self._hand_over(f"it has failed: {_first_line(error)}")
        if isinstance(below, Exception):
            self._hand_over(f"{self._role.base}, its base, has failed: {_first_line(below)}")
        own = None if memory.doubt or isinstance(below, Exception) else self._own(below)
        action = instead if own is None or self._state is Approval.SHADOW else own
        if isinstance(action, Exception):
            raise action
        if memory.decided_s == situation.time_s:
            memory.asked = {
                f.name: action.setpoints.get(f.name, situation.active[f.name]) for f in self._fields
            }
        eased = self._eased(situation, action.setpoints)
        return self._told(replace(action, setpoints=eased), own)

    def _below(
        self, situation: Situation, instead: Action | Exception
    ) -> Action | Exception | None:
        """What the base asks for, or how it has failed; None without one."""
        if self._base is None:
            return None
        below = instead if self._base is self._fallback else _decided(self._base, situation)
        if isinstance(below, Action):
            names, memory = [f.name for f in self._fields], self.memory
            memory.below = wanted(below.setpoints, memory.below, situation.active, names)
        return below

    def _look(self, situation: Situation) -> None:
        """Note what is shown, and decide when it is time to."""
        memory = self.memory
        self._observing.listen(situation.observation)
        if math.isnan(memory.decided_s):
            # Training decides at whole multiples of the period; until then all stays as it is.
            memory.asked = {f.name: situation.active[f.name] for f in self._fields}
            memory.answer = dict.fromkeys(memory.asked, 0.0) if self._base else dict(memory.asked)
            memory.decided_s = situation.time_s
        elif self._is_due(situation.time_s):
            self._judge(situation)

    def _is_due(self, now_s: float) -> bool:
        """Whether a whole multiple of the decision period has passed."""
        period_s = self._role.decision_period_s
        return (now_s + SAME_S) // period_s > (self.memory.decided_s + SAME_S) // period_s

    def _judge(self, situation: Situation) -> None:
        """Let the policy decide, and settle whether it is heard."""
        memory = self.memory
        waited_s, memory.decided_s = situation.time_s - memory.decided_s, situation.time_s
        answer, doubt = self._answered(situation, waited_s)
        if doubt:
            self._hand_over(doubt)
            return
        memory.answer = dict(zip((f.name for f in self._fields), answer, strict=True))
        if memory.doubt:
            memory.fit += 1
            if memory.fit >= self._role.return_after:
                memory.doubt, memory.steps_left = "", STEPS

    def _hand_over(self, doubt: str) -> None:
        """The fallback decides from now on, and why."""
        if not self.memory.doubt:
            self.memory.steps_left = STEPS
        self.memory.doubt, self.memory.fit = doubt, 0

    def _answered(self, situation: Situation, waited_s: float) -> tuple[list[float], str]:
        """What the network says to this, or why nobody should listen."""
        begun_us, period_s = self._clock() if self._patience_us else 0, self._role.decision_period_s
        seen = self._observing.seen(situation.observation, self.memory.asked)
        if waited_s > LATE * period_s:
            return [], f"it decides late: {waited_s:g} s after the last time, not {period_s:g} s"
        if seen.unknown:
            return [], f"{seen.unknown} is not known"
        if doubt := self._loaded.training_range.doubt(seen.shown):
            return [], doubt
        (answer,) = self._loaded.network.act(seen.packed[None, :])
        if doubt := self._unfit(answer):
            return [], doubt
        if self._patience_us and self._clock() - begun_us > self._patience_us:
            return [], f"it took longer than {self._patience_us / 1e6:g} s"
        return answer.tolist(), ""

    def _unfit(self, answer: NDArray[np.float64]) -> str:
        """Why nobody should do what an answer says, whatever the graph can say; empty if nothing speaks against it."""
        if not np.isfinite(answer).all():
            return "its answer is not a number"
        middle, reach = self._outward
        over = np.abs(answer - middle) - reach > self._rounding
        if not over.any():
            return ""
        k = int(np.argmax(over))
        return f"its answer for {self._fields[k].name}, {answer[k]:.6g}, is beyond what its role allows"

    def _own(self, below: Action | None) -> Action:
        """The policy's last answer as setpoints, by themselves or on top of those of its base."""
        answer = self.memory.answer
        if below is None:
            asked = {f.name: _within(answer[f.name], f) for f in self._fields}
            return Action({**self._left, **asked}, self._title)
        wanted_below = self.memory.below
        asked = {f.name: _within(wanted_below[f.name] + answer[f.name], f) for f in self._fields}
        reason = f"{self._title} on {self._role.base}: {below.reason}"
        return replace(below, setpoints={**below.setpoints, **asked}, reason=reason, why={})

    def _eased(self, situation: Situation, target: Mapping[str, float]) -> dict[str, float]:
        """The setpoints on their way from where they are, after somebody else has taken over.

        What can only be on or off goes over at once.
        """
        left = self.memory.steps_left
        if left == 0 or self._state is Approval.SHADOW:
            return dict(target)
        self.memory.steps_left -= 1
        discrete = {signal.name for signal in situation.signals if signal.discrete}
        return {
            name: value
            if name in discrete or left == 1
            else situation.active[name] + (value - situation.active[name]) / left
            for name, value in target.items()
        }

    def _told(self, action: Action, own: Action | None) -> Action:
        """The action with who decides in its reason and status, and why it is not the policy."""
        memory, fallback = self.memory, self._role.stand_in
        status, reason, why = action.status, action.reason, dict(action.why)
        if self._state is Approval.SHADOW:
            if own is None:
                said = f"it has nothing to say: {memory.doubt}"
            else:
                would = (f"{f.name} {own.setpoints[f.name]:.6g}" for f in self._fields)
                said = f"it would say {', '.join(would)}"
            reason = f"{self._title} in the shadow of {fallback}, {said}; {reason}"
            status = f"shadow: {status}"
        elif memory.doubt:
            said = f"{fallback} {STANDS_IN} {self._title}: {memory.doubt}"
            if memory.fit:
                said += f" (fit again for {memory.fit} of {self._role.return_after} decisions)"
            reason, status = f"{said}; {reason}", f"fallback: {status}"
            why = dict.fromkeys(action.setpoints, said) | why
        if self._state in (Approval.DRAFT, Approval.ADVISORY):
            status = f"{ADVICE}: {status}"
        return replace(action, reason=reason, status=status, why=why)


def _within(value: float, field: FieldSpec) -> float:
    """Rounding in single precision must not carry a setpoint over its limit."""
    return min(max(value, field.lo), field.hi)


def _decided(companion: Controller, situation: Situation) -> Action | Exception:
    """What a companion asks for, or how it has failed: that matters where it is needed, and nowhere else.

    A standby that it says nothing of is none, whatever the policy has asked for.
    """
    try:
        return all_awake(companion.decide(situation), situation)
    except Exception as error:  # noqa: BLE001  (the policy may do without it)
        _log.warning("%s has failed beside a policy", type(companion).__name__, exc_info=True)
        return error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _companion(name: str, line: Line, tuned: TunedPoint) -> Controller:
    """The controller beside or below a policy, which must be none itself."""
    try:
        make = find_controller(name)
    except UnknownPluginError as error:
        raise RefusedError(
            f"the policy relies on a controller that is not there: {error}"
        ) from error
    if getattr(make, "needs_bundle", False):
        raise RefusedError(f"the policy relies on {name!r}, which is a policy itself")
    return make(line, tuned)


class Cloned(Policy):
    """A policy that was trained to do what the MPC does."""

    name = "bc"


class Residual(Policy):
    """A policy that adds to what its base asks for."""

    name = "residual"
