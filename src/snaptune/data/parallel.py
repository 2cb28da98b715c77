"""One function over all samples, in threads: decoding lets go of the interpreter.

What is around the decoding does not, so that threads gain little with small pictures, or with many cores.
Where there are many pictures, each thread has a worker to ask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from os import cpu_count

from snaptune.data.workers import Task, Workers
from snaptune.images.load import quiet_decoder

Progress = Callable[[Iterable[int], int, str], Iterable[int]]
"""(items, total, title) -> the same items, shown as a progress bar while they are consumed."""

PROCESSES_FROM = 4096
"""Pictures from which on processes are worth the third of a second that they take to start."""

_MOST_PROCESSES = 32

_TASK = 32
"""Samples a task: enough that handing it out costs little, few enough that memory stays small."""


def silent(items: Iterable[int], total: int, title: str) -> Iterable[int]:
    return items


@contextmanager
def workers_for(count: int, task: Task, settings: str) -> Iterator[Workers | None]:
    """A worker for each core, where `count` pictures are enough of them; else none."""
    cores = min(cpu_count() or 1, _MOST_PROCESSES)
    if count < PROCESSES_FROM or cores == 1:
        yield None
        return
    with Workers(cores, task, settings) as workers:
        yield workers


def for_each_few(work: Callable[[range], None], count: int, progress: Progress, title: str) -> None:
    """Call `work` with ranges that make up 0 to `count` - 1, in threads, under one progress bar.

    A few samples come together, because much is cheaper done so. The first error is raised.
    """
    with quiet_decoder():
        for _ in progress(_done(work, count), count, title):
            pass


def _done(work: Callable[[range], None], count: int) -> Iterator[int]:
    """Each number once its work is done, in order."""

    def task(numbers: range) -> range:
        work(numbers)
        return numbers

    workers = cpu_count() or 1
    waiting: deque[Future[range]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for start in range(0, count, _TASK):
            waiting.append(pool.submit(task, range(start, min(start + _TASK, count))))
            if len(waiting) > 4 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
