"""How long one answer takes on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from os import cpu_count
from pathlib import Path

from snaptune.export.awkward import scene
from snaptune.export.certificate import Latency
from snaptune.export.opened import open_exported

WARM_UPS, RUNS, PATIENCE = 3, 30, 3.0
"""Runs before the clock starts; runs measured at most; seconds measured at most."""


def exported_latency(path: Path) -> Latency:
    picture = scene(640, 480)

    def timed(threads: int) -> float:
        opened = open_exported(path, threads)
        return median_ms(lambda: opened.answer(picture))

    threads = cpu_count() or 1
    return Latency(timed(1), timed(threads), threads)


def times_as_fast(path: Path, other: Path) -> float:
    """How many times as fast as `other` a file is: one thread, in turns, the best run of each."""
    picture = scene(640, 480)
    both = [open_exported(path, 1), open_exported(other, 1)]
    best = [float("inf"), float("inf")]
    for _ in range(WARM_UPS + RUNS):
        for index, opened in enumerate(both):
            start = time.perf_counter()
            opened.answer(picture)
            best[index] = min(best[index], time.perf_counter() - start)
    return best[1] / best[0]


def median_ms(run: Callable[[], object]) -> float:
    """Median milliseconds of a call, after warming up."""
    for _ in range(WARM_UPS):
        run()
    times: list[float] = []
    while len(times) < RUNS and sum(times) < PATIENCE:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3
