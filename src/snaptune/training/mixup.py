"""Mixing the pictures of a batch in pairs, and their labels in the same shares.

Everything drawn is a function of (seed, epoch, step), so a run that is resumed at a step mixes alike. One
share holds for the whole batch, and each picture is mixed with one other (or, rarely, with itself).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from snaptune.training.augment import MIX_STREAM, generator
from snaptune.training.batches import Batch
from snaptune.training.processes import Processes

Mix = Callable[[Tensor, Tensor, int, int], tuple[Tensor, Tensor]]
"""(float32 [n, 3, h, w], labels int64 [n], epoch, step) -> pictures, targets float32 [n, classes].

The rows of the targets are probabilities, as `torch.nn.functional.cross_entropy` takes them.
"""


@dataclass(frozen=True)
class Mixup:
    """Weighted means of pictures (H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018).

    `alpha` is that of the paper's Beta(alpha, alpha): 0.1 to 0.4 there; the larger, the evener the mixtures.
    """

    seed: int
    classes: int
    alpha: float = 0.2

    def __call__(self, pictures: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        draw = generator(self.seed, epoch, MIX_STREAM, step)
        own = draw.beta(self.alpha, self.alpha)
        partners = _partners(draw, labels)
        mixed = own * pictures + (1 - own) * pictures[partners]
        return mixed, _targets(labels, partners, own, self.classes)


@dataclass(frozen=True)
class CutMix:
    """A rectangle of each picture comes from another (S. Yun et al., "CutMix", ICCV 2019).

    `alpha` as in `Mixup`, 1 in the paper: areas from nothing to all are equally likely before the rectangle
    is cut off at the picture's border. The targets follow the pixels that are left.
    """

    seed: int
    classes: int
    alpha: float = 1.0

    def __call__(self, pictures: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        draw = generator(self.seed, epoch, MIX_STREAM, step)
        side = float(np.sqrt(1 - draw.beta(self.alpha, self.alpha)))
        rows, columns = (_interval(draw, side, length) for length in pictures.shape[2:])
        partners = _partners(draw, labels)
        mixed = pictures.clone()
        mixed[..., rows, columns] = pictures[partners][..., rows, columns]
        taken = mixed[0, 0, rows, columns].numel() / mixed[0, 0].numel()
        return mixed, _targets(labels, partners, 1 - taken, self.classes)


def build_mix(name: str, seed: int, classes: int) -> Mix | None:
    """The mixing behind the setting `mix`."""
    kinds: dict[str, Mix] = {"mixup": Mixup(seed, classes), "cutmix": CutMix(seed, classes)}
    return kinds.get(name)


def mixed(
    mix: Mix, pixels: Tensor, batch: Batch, epoch: int, step: int, processes: Processes
) -> tuple[Tensor, Tensor]:
    """This process's share of the global batch after mixing: partners may be another process's pictures."""
    pictures, labels = (processes.together(part, batch.total) for part in (pixels, batch.labels))
    pictures, targets = mix(pictures, labels, epoch, step)
    own = processes.share(np.arange(batch.total))
    return pictures[own[0] : own[-1] + 1], targets[own[0] : own[-1] + 1]


def _interval(draw: np.random.Generator, share: float, length: int) -> slice:
    """`share` of a side around a place anywhere on it, cut off at its ends."""
    middle, half = int(draw.integers(length)), int(length * share) // 2
    return slice(max(middle - half, 0), min(middle + half, length))


def _partners(draw: np.random.Generator, labels: Tensor) -> Tensor:
    return torch.from_numpy(draw.permutation(len(labels))).to(labels.device, non_blocking=True)


def _targets(labels: Tensor, partners: Tensor, own: float, classes: int) -> Tensor:
    one_hot = F.one_hot(labels, classes).float()
    return own * one_hot + (1 - own) * one_hot[partners]
