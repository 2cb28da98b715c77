"""One function over all samples, in threads: decoding lets go of the interpreter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import cpu_count

from snaptune.images.load import quiet_decoder

Progress = Callable[[Iterable[int], int, str], Iterable[int]]
"""(items, total, title) -> the same items, shown as a progress bar while they are consumed."""

_TASK = 32
"""Samples a task: enough that handing it out costs little, few enough that memory stays small."""


def silent(items: Iterable[int], total: int, title: str) -> Iterable[int]:
    return items


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
