"""Mixed pictures: what was mixed in is what the targets say, and the same at every visit of a step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from snaptune.training.mixup import CutMix, Mix, Mixup

COUNT, CLASSES, SIDES = 8, 11, (24, 31)
STEPS = range(60)
MIXES = pytest.mark.parametrize("mix", [Mixup(3, CLASSES), CutMix(3, CLASSES)], ids=["mixup", "cutmix"])


def batch() -> tuple[Tensor, Tensor]:
    """Picture i is all of level 10 i and has the label i, so that a mixed pixel tells where it is from."""
    levels = 10 * torch.arange(float(COUNT))
    return levels[:, None, None, None].expand(COUNT, 3, *SIDES).clone(), torch.arange(COUNT)


@MIXES
def test_the_targets_are_the_shares_of_the_pixels(mix: Mix) -> None:
    pictures, labels = batch()
    for step in STEPS:
        mixed, targets = mix(pictures, labels, 0, step)
        assert torch.allclose(targets.sum(1), torch.ones(COUNT))
        expected = (targets * 10 * torch.arange(CLASSES)).sum(1)
        assert torch.allclose(mixed.mean((1, 2, 3)), expected, atol=1e-3)
        assert mixed.dtype == targets.dtype == torch.float32


@MIXES
def test_a_mixture_is_a_function_of_seed_epoch_and_step(mix: Mixup | CutMix) -> None:
    pictures, labels = batch()
    before = pictures.clone()
    first, again, later, epoch = (
        mix(pictures, labels, *when)[0] for when in ((1, 5), (1, 5), (1, 6), (2, 5))
    )
    other = replace(mix, seed=4)(pictures, labels, 1, 5)[0]
    assert torch.equal(first, again)
    assert not any(torch.equal(first, changed) for changed in (later, epoch, other))
    assert torch.equal(pictures, before)


def test_mixup_is_a_mean_of_two_pictures_all_over() -> None:
    pictures, labels = batch()
    mixed, targets = Mixup(3, CLASSES)(pictures, labels, 0, 0)
    assert (mixed == mixed[:, :1, :1, :1]).all()
    assert set((targets > 0).sum(1).tolist()) <= {1, 2}
    assert not torch.equal(mixed, pictures)


def test_mixups_shares_have_the_spread_of_their_beta_distribution() -> None:
    """Beta(a, a) has mean 1/2 and variance 1 / (8 a + 4); five standard errors of 2000 draws are allowed."""
    pictures, labels = batch()
    for alpha in (0.2, 1.0):
        mix = Mixup(0, CLASSES, alpha)
        shares = [own_share(mix(pictures[:, :, :1, :1], labels, 0, step)[1]) for step in range(2000)]
        known = np.array([share for share in shares if share is not None])
        variance = 1 / (8 * alpha + 4)
        assert abs(known.mean() - 0.5) < 5 * np.sqrt(variance / len(known))
        assert abs(known.var() / variance - 1) < 5 * np.sqrt(2 / len(known))


def own_share(targets: Tensor) -> float | None:
    """From a picture that has another for its partner; none if all went with themselves."""
    rows = (targets[:, :COUNT].diagonal() < 1).nonzero()
    return float(targets[rows[0, 0], rows[0, 0]]) if len(rows) else None


def test_cutmix_takes_one_rectangle_from_another_picture() -> None:
    pictures, labels = batch()
    sizes = set()
    for step in STEPS:
        mixed, targets = CutMix(3, CLASSES)(pictures, labels, 0, step)
        foreign = (mixed != pictures).any(1)
        for place, target in zip(foreign[foreign.any((1, 2))], targets[foreign.any((1, 2))], strict=True):
            rows, columns = place.any(1).nonzero()[:, 0], place.any(0).nonzero()[:, 0]
            assert place[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            assert float(target.min(dim=0).values) >= 0
            sizes.add(int(place.sum()))
    assert len(sizes) > 20
    assert min(sizes) < 0.1 * SIDES[0] * SIDES[1] < 0.5 * SIDES[0] * SIDES[1] < max(sizes)


def test_cutmix_rectangles_have_areas_as_in_the_paper() -> None:
    """Of an area u, even from 0 to 1, the border leaves sqrt(u) - u / 4 of either side on average."""
    pictures, labels = torch.arange(2.0)[:, None, None, None].expand(2, 1, 64, 64), torch.arange(2)
    mixes = [CutMix(0, 2)(pictures, labels, 0, step) for step in range(3000)]
    own = [float(targets[0, 0]) for _, targets in mixes if targets[0, 0] < 1]  # the partner is the other
    assert abs(1 - np.mean(own) - (1 / 2 - 1 / 5 + 1 / 48)) < 0.04


@MIXES
def test_one_picture_of_one_pixel_is_mixed_with_itself(mix: Mix) -> None:
    mixed, targets = mix(torch.full((1, 3, 1, 1), 9.0), torch.tensor([2]), 0, 0)
    assert torch.allclose(mixed, torch.full((1, 3, 1, 1), 9.0))
    assert targets[0].argmax() == 2
    assert torch.allclose(targets.sum(), torch.tensor(1.0))
