"""How a line's signals are bound to the nodes of a server: the seam between sessions and servers.

Our own address space is one binding (``own_line``), a mapping file another (``foreign``).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, Protocol

from asyncua import Client, ua

from twin.cycle import Acknowledgement, Batch, Reading
from twin.equipment.opcua_link import Found
from twin.signals import Quality, Signal


class Interpreting(Protocol):
    """What raw values, stamps and statuses mean."""

    def value(self, place: int, raw: Any, code: int) -> tuple[float, Quality]:
        """The value of the signal at a place and its quality, from raw value and status code."""
        ...

    def time_us(self, raw: Any) -> int | None:
        """Plant time, microseconds, from the value of the node that tells it; None if it tells none."""
        ...

    def completed(self, reading: Reading) -> Reading:
        """The reading as the loop is to see it."""
        ...


Refusal = Callable[[str], str]
"""By the name of an MV: why its setpoint must not leave any more, now; empty if it may."""


class Binding(Protocol):
    """One server's way to be a line."""

    async def find(self, client: Client, signals: Sequence[Signal]) -> tuple[Found, Interpreting]:
        """The line on a server. Raises ``WrongServer`` if it is not there.

        Found again as it was, it keeps its interpretation, with all that this side knows by now.
        """
        ...

    async def write(
        self, client: Client, found: Found, batch: Batch, timeout_s: float, refusal_of: Refusal
    ) -> Acknowledgement:
        """Send a batch once and read back. Raises ``UaStatusCodeError`` if refused as a whole.

        Where it takes several requests, ``refusal_of`` is asked before each but the first.
        """
        ...

    async def command(
        self, client: Client, found: Found, verb: str, argument: float, timeout_s: float
    ) -> None:
        """Carry out a verb of ``Equipment.command``. Raises ``ValueError`` for one it has not."""
        ...


class AsServed:
    """Values of a server that has our own address space: they are what they say.

    ``analog`` are the places of measured numbers: a truth value is none there. What is no number at all
    is a bad value, whatever status it comes with, and no reason to stop listening.
    """

    def __init__(self, analog: Container[int] = ()) -> None:
        self._analog = analog

    def value(self, place: int, raw: Any, code: int) -> tuple[float, Quality]:
        """The value itself; NaN where there is none, and bad where it is no single number."""
        mark = quality(code)
        if raw is None or mark is Quality.BAD:
            return float("nan"), mark
        is_truth = isinstance(raw, bool)
        if not isinstance(raw, bool | int | float) or (is_truth and place in self._analog):
            return float("nan"), Quality.BAD
        return float(raw), mark

    def time_us(self, raw: Any) -> int | None:
        """Plant time as the server counts it."""
        return raw if isinstance(raw, int) else None

    def completed(self, reading: Reading) -> Reading:
        """The reading itself."""
        return reading


def quality(code: int) -> Quality:
    """The severity of a status code (its two highest bits) as our own mark."""
    severity = code >> 30
    if severity == 0:
        return Quality.GOOD
    return Quality.UNCERTAIN if severity == 1 else Quality.BAD


REFUSALS = {
    ua.StatusCodes.BadUserAccessDenied,
    ua.StatusCodes.BadNotWritable,
    ua.StatusCodes.BadWriteNotSupported,
    ua.StatusCodes.BadOutOfRange,
    ua.StatusCodes.BadTypeMismatch,
    ua.StatusCodes.BadInvalidArgument,
    ua.StatusCodes.BadArgumentsMissing,
    ua.StatusCodes.BadTooManyArguments,
    ua.StatusCodes.BadMethodInvalid,
    ua.StatusCodes.BadNodeIdUnknown,
    ua.StatusCodes.BadNodeIdInvalid,
    ua.StatusCodes.BadNotExecutable,
    ua.StatusCodes.BadNotSupported,
    ua.StatusCodes.BadServiceUnsupported,
}
"""Answers that say for certain that nothing was written."""
