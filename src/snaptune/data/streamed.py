"""Pictures decoded and resized whenever they are asked for: for sets that the disk has no room to prepare."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any

import numpy as np

from snaptune.data.dataset import ImageDataset
from snaptune.data.rows import make_pixels, settings_of
from snaptune.data.workers import Workers
from snaptune.images.preprocess import Pixels, Preprocess


class Streamed:
    """The rows that preparing would give, uint8 [n, size, size, 3], bit for bit; `workers` as in `prepare`.

    May be indexed from several threads at once.
    """

    def __init__(self, dataset: ImageDataset, preprocess: Preprocess, workers: int) -> None:
        self._dataset, self._preprocess = dataset, preprocess
        settings = settings_of(preprocess, dataset.max_pixels)
        self._workers = Workers(workers, make_pixels, settings) if workers else None
        self._threads = ThreadPoolExecutor(workers or cpu_count())

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, key: Any) -> Pixels:
        indices = np.arange(len(self))[key]
        if indices.ndim == 0:
            return self._row(int(indices))
        rows = np.empty((len(indices), self._preprocess.size, self._preprocess.size, 3), np.uint8)
        for place, row in enumerate(self._threads.map(self._row, indices.tolist())):
            rows[place] = row
        return rows

    def _row(self, index: int) -> Pixels:
        if self._workers is not None:
            data = self._workers.answer(1, self._dataset.encoded([index]))
            if data:
                size = self._preprocess.size
                return np.frombuffer(data, np.uint8).reshape(size, size, 3)
        # what no worker can read may be of a kind whose decoder the user has registered in this process
        return self._preprocess.pixels(self._dataset.load(index))
