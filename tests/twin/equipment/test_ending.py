from __future__ import annotations

import asyncio

from twin.equipment import ending
from twin.equipment.ending import end


async def test_a_task_that_forgets_to_end_is_told_again(monkeypatch):
    monkeypatch.setattr(ending, "AGAIN_S", 0.01)
    told = 0

    async def clings() -> None:
        nonlocal told
        while True:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                told += 1
                if told == 3:
                    raise

    async def fails() -> None:
        raise ValueError("of its own")

    tasks = asyncio.create_task(clings()), asyncio.create_task(fails())
    await asyncio.sleep(0)
    await end(*tasks)
    assert told == 3
    assert tasks[0].cancelled()
    await end(*tasks)  # of tasks that are over, nothing is left to do
    await end()
