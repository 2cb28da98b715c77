"""Which samples come when, and how they reach the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snaptune.data.prepared import Rows
from snaptune.training.augment import ORDER_STREAM, generator
from snaptune.training.processes import Processes

Indices = npt.NDArray[np.int64]


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
    """Batches gathered by index from prepared pictures; no worker processes."""

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
        for step in range(skip, len(self)):
            yield self._batch(order[step * self.batch_size : (step + 1) * self.batch_size])

    def _order(self, draw: np.random.Generator) -> Indices:
        """Every sample once; where balanced, as many draws with replacement, each class as likely."""
        if not self.balanced:
            return draw.permutation(self.samples)
        labels = self.labels[self.samples]
        share = 1 / np.bincount(labels)[labels]
        return draw.choice(self.samples, len(self.samples), p=share / share.sum())

    def in_order(self) -> Iterator[Batch]:
        """Every sample once, over all processes."""
        for start in range(0, len(self.samples), self.batch_size):
            yield self._batch(self.samples[start : start + self.batch_size])

    def _batch(self, together: Indices) -> Batch:
        samples = self.processes.share(together)
        pixels = torch.from_numpy(self.pixels[samples]).to(self.device, non_blocking=True)
        labels = torch.from_numpy(self.labels[samples]).to(self.device, non_blocking=True)
        weight = len(samples) * self.processes.count / len(together)
        return Batch(pixels.permute(0, 3, 1, 2), labels, samples, len(together), weight)
