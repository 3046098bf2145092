"""One function over many tasks: here, on the cores of this machine, or on a Ray cluster.

A study is many courses that know nothing of each other. Spreading them changes how long they take and
nothing else: results come in the order of their tasks, and since all luck is drawn from keys that lie in
the task, they are the same whoever computes them. (To the last bit where all machines are of one kind and
have the same package versions.)
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
KNOCK_S = 10.0
"""A cluster that does not take a connection within so long is not there."""


class SpreadError(RuntimeError):
    """Workers that cannot be used, or that died; the message says why."""


def spread(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    workers: int | None = 1,
    ray: str | None = None,
    done: Callable[[int, int], None] = lambda _n, _of: None,
    taken: Callable[[Result], None] = lambda _result: None,
) -> list[Result]:
    """``function`` of each task, in the order of the tasks.

    One worker is this process; more are processes of their own (joblib), None means one for each core.
    ``ray`` is the address of a Ray cluster instead, ``"auto"`` for the one that this machine belongs to,
    ``"local"`` for one that is started here with so many workers and ended again; an application that is
    connected to Ray already stays so. ``function``, tasks and results must be picklable, and ``function``
    must not depend on anything but its task. Whenever a further result is in, ``taken(result)`` and then
    ``done(n, of)`` are called here.

    Raises what ``function`` raises; ``SpreadError`` if a worker dies, and if Ray is not installed or not
    reached; ``ValueError`` for less than one worker.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"{workers} workers can do nothing; one or more, or None for all cores")
    given = list(tasks)
    if ray is not None:
        with _cluster(ray, workers) as connected:
            return _told(_on_ray(connected, function, given), len(given), done, taken)
    if workers == 1 or len(given) < 2:
        return _told(map(function, given), len(given), done, taken)
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=workers or -1, return_as="generator")
    results: Any = None
    try:
        with _interrupts_wait():
            results = pool(delayed(function)(task) for task in given)
        return _told(results, len(given), done, taken)
    except BrokenProcessPool as error:
        raise SpreadError(f"a worker process died: {error}") from error
    finally:
        if results is not None:
            _end(results)


def _end(results: Any) -> None:
    """End the processes with what they are at; whoever interrupts needs no warning that it is given up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        results.close()


@contextmanager
def forked(
    workers: int, prepare: Callable[..., object], *given: object
) -> Iterator[ProcessPoolExecutor]:
    """Processes that have called ``prepare(*given)``, for work of which the next piece follows from the last.

    An interrupt ends them here, once what they are at is done.
    """
    with ProcessPoolExecutor(
        workers, initializer=_prepared, initargs=(prepare, given)
    ) as processes:
        with _interrupts_wait():
            processes.submit(os.getpid)  # with the first task all of them begin
        yield processes


def _prepared(prepare: Callable[..., object], given: Sequence[object]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not as whoever began it has it
    prepare(*given)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Signals that come while processes begin reach us after: half begun, they could not be ended.

    Ctrl-C is ours to hear alone: processes that begin here inherit that it is held back, and keep it so.
    Else each that is still importing ends with a traceback of its own.
    """
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it lets interrupts through again, so that comes before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _sigterm_waits():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _sigterm_waits() -> Iterator[None]:
    """The same for SIGTERM, which processes that begin here do hear."""
    if threading.current_thread() is not threading.main_thread():
        yield  # a signal reaches the main thread only
        return
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            signal.raise_signal(signal.SIGTERM)


def _told(
    results: Iterable[Result],
    of: int,
    done: Callable[[int, int], None],
    taken: Callable[[Result], None],
) -> list[Result]:
    found = []
    for n, result in enumerate(results, 1):
        found.append(result)
        taken(result)
        done(n, of)
    return found


def _on_ray(
    ray: Any, function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[Result]:
    """All tasks are handed over at once; the first that fails ends the rest."""
    remote = ray.remote(_called)
    futures = [remote.remote(function, task) for task in tasks]
    try:
        for future in futures:
            yield ray.get(future)
    except ray.exceptions.RayTaskError as error:
        for future in futures:
            ray.cancel(future, force=True)
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise SpreadError(f"the Ray cluster lost a task: {error}") from error


def _called(function: Callable[[Task], Result], task: Task) -> Result:
    """Ray takes plain functions alone; inside of one anything may be called."""
    return function(task)


@contextmanager
def _cluster(address: str, workers: int | None) -> Iterator[Any]:
    """Ray, connected for a while. Ray is an extra and heavy, so it is imported here alone."""
    try:
        import ray
    except ImportError as error:
        raise SpreadError("Ray is not installed: pip install 'takttwin[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    own: dict[str, Any] = {}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a plant does not phone home
        own = {"num_cpus": workers, "include_dashboard": False}
    try:
        _knock(address)
        ray.init(address=address, configure_logging=False, log_to_driver=False, **own)
    except (OSError, ValueError, RuntimeError) as error:
        raise SpreadError(f"no Ray cluster answers at {address!r}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Whether anybody listens there: Ray itself would go on trying for minutes. Raises ``OSError``."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()
