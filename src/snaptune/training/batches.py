"""Which samples come when, and how they reach the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snaptune.data.prepared import Rows
from snaptune.training.augment import ORDER_STREAM, generator
from snaptune.training.processes import Processes

Indices = npt.NDArray[np.int64]

AHEAD = 2
"""Batches that are got ready while the device is at work."""


@dataclass(frozen=True, eq=False)
class Batch:
    """`pixels` uint8 [n, 3, h, w] (channels last in memory), `labels` int64 [n], `samples` int64 [n].

    `total` is the size of the global batch; `weight` makes the mean over processes of their mean losses
    the mean over it.
    """

    pixels: Tensor
    labels: Tensor
    samples: Indices
    total: int
    weight: float


@dataclass(frozen=True, eq=False)
class PreparedBatches:
    """Batches gathered by index from prepared or streamed pictures."""

    pixels: Rows
    labels: Indices
    samples: Indices
    batch_size: int
    device: torch.device
    balanced: bool = False
    processes: Processes = field(default_factory=Processes)

    def __len__(self) -> int:
        """Steps in a training epoch: a last batch of one picture a process is left out; norms need two."""
        whole, rest = divmod(len(self.samples), self.batch_size)
        return max(1, whole + (rest >= 2 * self.processes.count))

    def shuffled(self, seed: int, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of a training epoch from step `skip` on; the order follows from (seed, epoch)."""
        order = self._order(generator(seed, epoch, ORDER_STREAM))
        return self._batches(order[: len(self) * self.batch_size], skip * self.batch_size)

    def _order(self, draw: np.random.Generator) -> Indices:
        """Every sample once; where balanced, as many draws with replacement, each class as likely."""
        if not self.balanced:
            return draw.permutation(self.samples)
        labels = self.labels[self.samples]
        share = 1 / np.bincount(labels)[labels]
        return draw.choice(self.samples, len(self.samples), p=share / share.sum())

    def in_order(self) -> Iterator[Batch]:
        """Every sample once, over all processes."""
        return self._batches(self.samples)

    def _batches(self, order: Indices, start: int = 0) -> Iterator[Batch]:
        """Threads gather, or decode, the next batches while the device is at work on one."""
        waiting: deque[tuple[int, Indices, Future[Tensor]]] = deque()
        pool = ThreadPoolExecutor(AHEAD)
        try:
            for place in range(start, len(order), self.batch_size):
                together = order[place : place + self.batch_size]
                samples = self.processes.share(together)
                waiting.append((len(together), samples, pool.submit(self._gathered, samples)))
                if len(waiting) > AHEAD:
                    yield self._batch(*waiting.popleft())
            while waiting:
                yield self._batch(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _gathered(self, samples: Indices) -> Tensor:
        """In memory that a CUDA device reads by itself, where it is one."""
        pixels = torch.from_numpy(self.pixels[samples])
        return pixels.pin_memory() if self.device.type == "cuda" else pixels

    def _batch(self, total: int, samples: Indices, gathered: Future[Tensor]) -> Batch:
        pixels = gathered.result().to(self.device, non_blocking=True)
        labels = torch.from_numpy(self.labels[samples]).to(self.device, non_blocking=True)
        weight = len(samples) * self.processes.count / total
        return Batch(pixels.permute(0, 3, 1, 2), labels, samples, total, weight)
