"""A controller in a process of its own: one that does not answer in time is ended, and starts anew.

A solver that hangs cannot be stopped from inside its process. So a paced run asks its controller
through a pipe and waits for it as long as a setpoint may be old at most; then the process is killed,
the turn ends without a decision and the guard holds, and the next process is on its way meanwhile. In
lockstep solvers are limited by their iterations alone, in the loop's own process.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NoReturn, Self

from twin.clock import monotonic_us
from twin.signals import Role

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from twin.cli.shift import Shift
    from twin.config import TunedPoint
    from twin.cycle import Action, Situation

_log = logging.getLogger(__name__)
START_S = 120.0
"""How long a controller may take to come up, compiling included."""
LEAST_S = 1.0
"""A run much faster than time still leaves its controller so long."""
STOP_S = 2.0


class ControllerLate(Exception):  # noqa: N818  (what it is, as the guard's reason says it)
    """The controller has not decided in time, or is not there yet."""


class ControllerChild:
    """Asks a controller that lives elsewhere; ``patience_s`` is wall time for one decision.

    A context: entered, it waits until the controller is there; left, it ends it.
    """

    def __init__(self, shift: Shift, name: str, tuned: TunedPoint, patience_s: float) -> None:
        self._arguments = (replace(shift), name, tuned)  # a copy without what the shift has loaded
        self._patience_s = max(patience_s, LEAST_S)
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._launch: threading.Thread | None = None
        self._is_ready = False
        self._began_us = 0

    def __enter__(self) -> Self:
        """Start it, and wait. Raises ``ControllerLate`` if it does not come up."""
        self._start()
        self._await_ready(START_S)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._pipe is not None:
            self._pipe.close()  # it reads its end, and goes
        if self._launch is not None:
            self._launch.join()
        if self._lives and self._process is not None:
            self._process.join(STOP_S)
        self._end()

    @property
    def pid(self) -> int | None:
        """The process that decides now."""
        return None if self._process is None else self._process.pid

    def decide(self, situation: Situation) -> Action:
        """What the controller asks for. Raises ``ControllerLate`` without an answer in time."""
        if not self._is_launching and not self._lives:
            self._again("its process is gone")
        if not self._is_ready:
            self._await_ready(0.0)
        assert self._pipe is not None
        try:
            self._pipe.send(_message(situation))
            if not self._pipe.poll(self._patience_s):
                self._again(f"no decision within {self._patience_s:g} s")
            answer = self._pipe.recv()
        except (OSError, EOFError):
            self._again("its process is gone")
        if isinstance(answer, Exception):
            raise answer
        decided: Action = answer
        return decided

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, *self._arguments), name="controller", daemon=True
        )
        # What it begins with is more than a pipe holds, and it takes seconds to read: turns go on meanwhile.
        self._launch = threading.Thread(target=_launch, args=(self._process, other), daemon=True)
        self._launch.start()
        self._is_ready, self._began_us = False, monotonic_us()

    def _await_ready(self, wait_s: float) -> None:
        assert self._pipe is not None
        try:
            if self._pipe.poll(wait_s):
                told = self._pipe.recv()
                if isinstance(told, Exception):
                    raise told
                self._is_ready = True
                return
        except (OSError, EOFError):
            self._again("it ended while it was starting")
        passed_s = (monotonic_us() - self._began_us) / 1e6
        if passed_s > START_S:
            self._again(f"not there after {START_S:g} s")
        raise ControllerLate(f"the controller is starting, for {passed_s:.0f} s now")

    def _again(self, why: str) -> NoReturn:
        """End what there is, begin anew, and say so."""
        _log.warning("the controller starts anew: %s", why)
        self._end()
        self._start()
        raise ControllerLate(f"the controller starts anew: {why}")

    @property
    def _is_launching(self) -> bool:
        return self._launch is not None and self._launch.is_alive()

    @property
    def _lives(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def _end(self) -> None:
        if self._launch is not None:
            self._launch.join()
        if self._process is not None and self._process.is_alive():
            self._process.kill()
            self._process.join(STOP_S)


def _launch(process: BaseProcess, other: Connection) -> None:
    """Begin a process; our copy of its end of the pipe is closed, so that we hear of its end."""
    with suppress(OSError):  # it died while it began: the pipe tells
        process.start()
    other.close()


def _message(situation: Situation) -> dict[str, Any]:
    """All of a situation that can travel; forks are made anew at the other end."""
    seen = situation.observation
    return {
        "time_s": situation.time_s,
        "observation": replace(seen, part_ids=dict(seen.part_ids), index=dict(seen.index)),
        "estimate": situation.estimate,
        "forecast": situation.forecast,
        "active": dict(situation.active),
        "limits": {s.name: s.operator for s in situation.signals if s.role is Role.MV},
    }


def _serve(pipe: Connection, shift: Shift, name: str, tuned: TunedPoint) -> None:
    """The other end: build the controller, then answer until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run ends its controller itself
    try:
        decide = _decider(shift, name, tuned)
    except Exception as error:  # noqa: BLE001  (whatever it is, the run has to hear of it)
        pipe.send(_plain(error))
        return
    pipe.send("ready")
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send(decide(message))
        except BrokenPipeError:
            return
        except Exception as error:  # noqa: BLE001  (the loop tells the guard)
            pipe.send(_plain(error))


def _decider(shift: Shift, name: str, tuned: TunedPoint) -> Any:
    from twin.analyze.waiting import learned
    from twin.analyze.whatif import Forks
    from twin.cycle import Situation
    from twin.line.tags import TagReader
    from twin.plugins import find_controller

    line = shift.nominal_line
    tags = TagReader(line)
    controller = find_controller(name)(line, tuned)

    def decide(message: dict[str, Any]) -> Action:
        estimate, limits = message["estimate"], message.pop("limits")
        signals = tuple(replace(s, operator=limits.get(s.name, s.operator)) for s in tags.signals)
        forks = Forks(learned(line, estimate.disturbance), tags, shift.engine)

        def fork(world: int) -> Any:
            return forks.fork(estimate.state, world)

        return controller.decide(Situation(signals=signals, fork=fork, **message))

    return decide


def _plain(error: Exception) -> Exception:
    """An error that can travel, whatever the controller has raised; a refusal as it is."""
    from twin.config import PlantError
    from twin.plugins import RefusedError

    if isinstance(error, PlantError | RefusedError):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
