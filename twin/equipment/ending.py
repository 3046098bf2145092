"""Tasks that are over for certain before one goes on."""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_S = 3.0
"""How long a task may clean up before it is told once more."""


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are over, whatever they end with.

    Once may not be enough: ``wait_for`` of Python 3.11, which the library uses, forgets a cancellation
    that comes in the same moment as what was waited for, and its task would go on for ever.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains that it was not
