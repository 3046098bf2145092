"""Spreading changes how long tasks take, and nothing else."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from twin.spread import SpreadError, spread


@pytest.mark.parametrize("workers", [1, 2, None])
def test_results_come_in_the_order_of_their_tasks(workers: int | None) -> None:
    told: list[tuple[int, int]] = []
    found = spread(math.factorial, range(40), workers=workers, done=lambda *n: told.append(n))
    assert found == [math.factorial(n) for n in range(40)]
    assert told == [(n, 40) for n in range(1, 41)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_task_raises_is_raised_here(workers: int) -> None:
    with pytest.raises(ValueError, match="math domain"):
        spread(math.sqrt, [4.0, -1.0, 9.0], workers=workers)


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(SpreadError, match="a worker process died"):
        spread(os._exit, [3, 3], workers=2)


HELD = """
import signal
from twin.spread import spread

def is_held_back(number):
    return number in signal.pthread_sigmask(signal.SIG_BLOCK, [])

print(spread(is_held_back, [signal.SIGINT] * 3, workers=2), is_held_back(signal.SIGINT))
"""


def test_an_interrupt_is_heard_here_and_not_by_the_workers() -> None:
    """In a process of its own: what an earlier pool has started would hide what the first one does."""
    ran = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[0] == "[True, True, True] False", ran.stderr


def test_nothing_to_do_is_done() -> None:
    assert spread(math.sqrt, [], workers=2) == []


def test_no_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 workers"):
        spread(math.sqrt, [4.0], workers=0)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SpreadError, match=r"takttwin\[ray\]"):
        spread(math.sqrt, [4.0], ray="auto")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_ray_cluster_gives_the_same(cluster: str) -> None:
    told: list[tuple[int, int]] = []
    found = spread(math.factorial, range(40), ray=cluster, done=lambda *n: told.append(n))
    assert found == spread(math.factorial, range(40))
    assert told[-1] == (40, 40)
    with pytest.raises(ValueError, match="math domain"):
        spread(math.sqrt, [4.0, -1.0, 9.0], ray=cluster)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "auto", "nowhere"])
@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_cluster_that_is_not_there_is_told(address: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'takttwin[ray]'")
    with pytest.raises(SpreadError, match="no Ray cluster answers"):
        spread(math.sqrt, [4.0], ray=address)
