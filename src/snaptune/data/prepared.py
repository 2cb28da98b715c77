"""The deterministic prefix of the recipe, computed once for all samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np

from snaptune.data.dataset import ImageDataset
from snaptune.errors import DataError, ImageError
from snaptune.images.load import load_image
from snaptune.images.preprocess import Pixels, Preprocess

Progress = Callable[[Iterable[int], int, str], Iterable[int]]
"""(items, total, title) -> the same items, shown as a progress bar while they are consumed."""


def silent(items: Iterable[int], total: int, title: str) -> Iterable[int]:
    return items


@dataclass(frozen=True, eq=False)
class Prepared:
    """uint8 [n, size, size, 3], one row a sample of the data set, in its order."""

    pixels: Pixels


def prepare(dataset: ImageDataset, preprocess: Preprocess, progress: Progress = silent) -> Prepared:
    """Decode and resize every picture; raises `DataError` that counts all unreadable ones."""
    size = preprocess.size
    pixels = np.empty((len(dataset), size, size, 3), dtype=np.uint8)
    failures: list[ImageError] = []

    def fill(index: int) -> int:
        try:
            image = load_image(dataset.source.read(index), str(dataset.ids[index]))
            pixels[index] = preprocess.pixels(image)
        except ImageError as error:
            failures.append(error)
        return index

    with ThreadPoolExecutor(cpu_count()) as pool:
        for _ in progress(pool.map(fill, range(len(dataset))), len(dataset), "Preparing pictures"):
            pass
    if failures:
        raise DataError(
            f"{len(failures)} of {len(dataset)} images cannot be read. First: {min(map(str, failures))}"
        )
    return Prepared(pixels)
