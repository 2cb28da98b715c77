"""Rate of building the cache of prepared pictures against bare decoding and resizing in as many threads.

python benchmarks/prepare_rate.py DATA [size] [repetitions]
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

from snaptune.data.dataset import ImageDataset
from snaptune.data.prepared import prepare
from snaptune.data.readers import open_dataset
from snaptune.images.load import load_image
from snaptune.images.preprocess import Preprocess


def bare(dataset: ImageDataset, recipe: Preprocess) -> tuple[float, float]:
    """Seconds (wall clock, processor) to read, decode and resize, keeping nothing."""

    def work(numbers: range) -> None:
        for index in numbers:
            recipe.resized(load_image(dataset.source.read(index), "picture"))

    start, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(cpu_count()) as pool:
        list(pool.map(work, (range(i, min(i + 8, len(dataset))) for i in range(0, len(dataset), 8))))
    return time.perf_counter() - start, time.process_time() - used


def build(dataset: ImageDataset, recipe: Preprocess) -> tuple[float, float]:
    """Seconds (wall clock, processor) from nothing to a finished cache on disk."""
    with tempfile.TemporaryDirectory() as folder:
        start, used = time.perf_counter(), time.process_time()
        prepare(dataset, recipe, cache=Path(folder), in_memory=0)
        return time.perf_counter() - start, time.process_time() - used


def main() -> None:
    dataset = open_dataset(sys.argv[1])
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 288
    repetitions = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    recipe = Preprocess(size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    pairs = [(bare(dataset, recipe), build(dataset, recipe)) for _ in range(repetitions)]
    plain, built = ([min(times) for times in zip(*runs, strict=True)] for runs in zip(*pairs, strict=True))
    print(f"{dataset.name}: {len(dataset):,} to {size} px, {cpu_count()} threads, best of {repetitions}")
    for title, (wall, processor) in (("decode and resize alone", plain), ("cache built", built)):
        print(
            f"  {title:<24}{wall:7.2f} s, {processor:.2f} s of processor, {len(dataset) / wall:,.0f} a second"
        )
    kept = [alone / whole for alone, whole in zip(plain, built, strict=True)]
    print(f"  rate kept  {kept[0]:.0%} (at least 80 %); of processor {kept[1]:.0%}")


if __name__ == "__main__":
    main()
