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
from statistics import median

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
    repetitions = int(sys.argv[3]) if len(sys.argv) > 3 else 9
    recipe = Preprocess(size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    bare(dataset, recipe)
    pairs = [(bare(dataset, recipe), build(dataset, recipe)) for _ in range(repetitions)]
    print(
        f"{dataset.name}: {len(dataset):,} to {size} px, {cpu_count()} threads, {repetitions} times in turn"
    )
    for place, title in enumerate(("decode and resize alone", "cache built")):
        wall, processor = (median(pair[place][clock] for pair in pairs) for clock in (0, 1))
        rate = len(dataset) / wall
        print(f"  {title:<24}{wall:7.2f} s, {processor:.2f} s of processor, {rate:,.0f} a second (median)")
    for clock, title in enumerate(("rate kept", "the same, of processor")):
        kept = sorted(alone[clock] / built[clock] for alone, built in pairs)
        spread = f"{kept[0]:.0%} to {kept[-1]:.0%}"
        print(f"  {title:<24}{median(kept):.0%} ({spread}, n = {repetitions}); at least 80 %")


if __name__ == "__main__":
    main()
