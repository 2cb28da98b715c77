"""Which samples come when, and how they reach the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snaptune.data.prepared import Rows
from snaptune.training.augment import ORDER_STREAM, generator

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Batch:
    """`pixels` uint8 [n, 3, h, w] (channels last in memory), `labels` int64 [n], `samples` int64 [n]."""

    pixels: Tensor
    labels: Tensor
    samples: Indices


@dataclass(frozen=True, eq=False)
class PreparedBatches:
    """Batches gathered by index from prepared pictures; no worker processes."""

    pixels: Rows
    labels: Indices
    samples: Indices
    batch_size: int
    device: torch.device
    balanced: bool = False

    def __len__(self) -> int:
        """Steps in a training epoch: a last batch of one picture is left out, since norms cannot use it."""
        whole, rest = divmod(len(self.samples), self.batch_size)
        return max(1, whole + (rest > 1))

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
        """Every sample once."""
        for start in range(0, len(self.samples), self.batch_size):
            yield self._batch(self.samples[start : start + self.batch_size])

    def _batch(self, samples: Indices) -> Batch:
        pixels = torch.from_numpy(self.pixels[samples]).to(self.device, non_blocking=True)
        labels = torch.from_numpy(self.labels[samples]).to(self.device, non_blocking=True)
        return Batch(pixels.permute(0, 3, 1, 2), labels, samples)
