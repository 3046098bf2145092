"""Which engine moves a line: SimPy's calendar on lists, or the compiled one on arrays.

Both run the same transitions and give the same course, bit for bit; they differ in speed and in what
they can take. A study of many shifts wants the compiled engine. A line that runs along with a clock
does not feel the difference, and starts sooner without it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from twin.line.simulator import Simulator
from twin.processes.model import ProcessModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.line.journal import Transitions
    from twin.line.model import Line
    from twin.state import LineState

_log = logging.getLogger(__name__)


class EngineChoice(StrEnum):
    """``AUTO``: compiled where that is possible, and SimPy, with a word about it, where it is not."""

    AUTO = "auto"
    SIMPY = "simpy"
    COMPILED = "compiled"


class Engine(Protocol):
    """Moves states of one line; keeps none itself. ``table`` is what comes from outside."""

    line: Line
    table: Sequence[float]

    def advance(
        self, state: LineState, setpoints: Mapping[str, float], until_s: float
    ) -> Transitions:
        """Put setpoints in force now, then run to ``until_s``; returns the transitions."""
        ...

    def prime(self, state: LineState) -> None:
        """Bring what holds outside at this instant into a fresh state: orders, disturbances."""
        ...

    def own(self, state: LineState) -> LineState:
        """A copy on the storage that this engine moves without converting it: lists or arrays."""
        ...


def engine(
    line: Line, table: Sequence[float], choice: EngineChoice | str = EngineChoice.AUTO
) -> Engine:
    """An engine for the line.

    Raises ``ProcessModelError``, with the model's name, where the compiled engine is asked for and a
    process model cannot be compiled.
    """
    if EngineChoice(choice) is EngineChoice.SIMPY:
        return Simulator(line, table)
    try:
        with says_when_it_compiles():
            from twin.line.compiled import CompiledSimulator

            return CompiledSimulator(line, table)
    except ProcessModelError as error:
        if EngineChoice(choice) is EngineChoice.COMPILED:
            raise
        _log.warning("%s", error)
        return Simulator(line, table)


@contextmanager
def says_when_it_compiles() -> Iterator[None]:
    """Compiling takes seconds, once; whoever waits is told what for."""
    from numba.core import event

    class Teller(event.Listener):
        told = False

        def on_start(self, begun: Any) -> None:
            # Models and draws are compiled in a moment; the kernel is what one waits for.
            if begun.data["dispatcher"].py_func.__name__ == "advance" and not self.told:
                _log.warning("compiling the engine; this is done once and takes about 20 s")
                self.told = True

        def on_end(self, _event: Any) -> None:
            """Nothing to tell."""

    with event.install_listener("numba:compile", Teller()):
        yield
