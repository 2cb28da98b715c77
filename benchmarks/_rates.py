"""A pass over all pictures beside reading, decoding and resizing them alone, in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from os import cpu_count
from statistics import median

from snaptune.data.dataset import ImageDataset
from snaptune.data.readers import open_dataset
from snaptune.images.load import load_image, quiet_decoder
from snaptune.images.preprocess import Preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TASK = 32
_opened: list[Bare] = []


class Bare:
    """Read, decode and, with a `size`, resize all pictures of a data set on all cores, keeping nothing."""

    def __init__(self, data: str, size: int | None) -> None:
        self.data, self.size = data, size
        self.dataset: ImageDataset = open_dataset(data)
        self.recipe = Preprocess(size, MEAN, STD) if size else None

    def one(self, index: int) -> None:
        image = load_image(self.dataset.source.read(index), "picture")
        if self.recipe is not None:
            self.recipe.resized(image)

    def some(self, start: int) -> None:
        for index in range(start, min(start + _TASK, len(self.dataset))):
            self.one(index)

    def all_in(self, pool: Executor, some: Callable[[int], None]) -> None:
        list(pool.map(some, range(0, len(self.dataset), _TASK)))


def _open(data: str, size: int | None) -> None:
    _opened.append(Bare(data, size))


def _some(start: int) -> None:
    _opened[0].some(start)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def beside(
    bare: Bare, title: str, whole: Callable[[int], object], repetitions: int
) -> list[tuple[float, ...]]:
    """Seconds of decoding alone in threads and in processes, started before, and of `whole`; also printed."""
    context = get_context("spawn")
    threads = ThreadPoolExecutor(cpu_count())
    processes = ProcessPoolExecutor(cpu_count(), context, _open, (bare.data, bare.size))
    with threads, processes, quiet_decoder():
        ways = [partial(bare.all_in, threads, bare.some), partial(bare.all_in, processes, _some)]
        for way in ways:
            way()
        turns = [
            (*(seconds(way) for way in ways), seconds(partial(whole, turn))) for turn in range(repetitions)
        ]
    count = len(bare.dataset)
    print(f"{bare.dataset.name}: {count:,} pictures, {cpu_count()} cores, {repetitions} turns, median")
    for place, name in enumerate(("alone, in threads", "alone, in processes", title)):
        taken = median(turn[place] for turn in turns)
        print(f"  {name:<24}{taken:7.2f} s, {count / taken:,.0f} a second")
    return turns


def print_ratio(title: str, ratios: Sequence[float], form: str) -> None:
    middle, low, high = (format(value, form) for value in (median(ratios), min(ratios), max(ratios)))
    print(f"  {title:<36}{middle} ({low} to {high}, n = {len(ratios)})")
