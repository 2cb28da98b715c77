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


def bare(dataset: ImageDataset, recipe: Preprocess) -> float:
    """Seconds to read, decode and resize, keeping nothing."""

    def work(numbers: range) -> None:
        for index in numbers:
            recipe.resized(load_image(dataset.source.read(index), "picture"))

    start = time.perf_counter()
    with ThreadPoolExecutor(cpu_count()) as pool:
        list(pool.map(work, (range(i, min(i + 8, len(dataset))) for i in range(0, len(dataset), 8))))
    return time.perf_counter() - start


def build(dataset: ImageDataset, recipe: Preprocess) -> float:
    """Seconds from nothing to a finished cache on disk."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        prepare(dataset, recipe, cache=Path(folder), in_memory=0)
        return time.perf_counter() - start


def main() -> None:
    dataset = open_dataset(sys.argv[1])
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 288
    repetitions = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    recipe = Preprocess(size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    pairs = [(bare(dataset, recipe), build(dataset, recipe)) for _ in range(repetitions)]
    plain, built = (min(times) for times in zip(*pairs, strict=True))
    print(
        f"{dataset.name}: {len(dataset):,} pictures to {size} px, {cpu_count()} threads, fastest of {repetitions}"
    )
    print(f"  decode and resize alone  {plain:7.2f} s  {len(dataset) / plain:8,.0f} pictures a second")
    print(f"  cache built              {built:7.2f} s  {len(dataset) / built:8,.0f} pictures a second")
    print(f"  rate kept  {plain / built:.0%} (at least 80 %)")


if __name__ == "__main__":
    main()
