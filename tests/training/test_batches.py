"""Invariant 2: order and randomness are functions, not state."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from snaptune.training.augment import Gentle, shown_augmented, uniforms
from snaptune.training.batches import PreparedBatches

CPU = torch.device("cpu")


def batches(count: int, batch_size: int) -> PreparedBatches:
    pixels = np.arange(count * 12, dtype=np.uint8).reshape(count, 2, 2, 3)
    return PreparedBatches(pixels, np.arange(count), np.arange(count), batch_size, CPU)


def test_an_epoch_shows_every_sample_once_in_a_new_order() -> None:
    epochs = [[s for b in batches(20, 4).shuffled(7, epoch) for s in b.samples.tolist()] for epoch in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]


def test_an_epoch_can_be_entered_at_any_step() -> None:
    whole = [batch.samples.tolist() for batch in batches(20, 4).shuffled(7, 3)]
    assert [batch.samples.tolist() for batch in batches(20, 4).shuffled(7, 3, skip=2)] == whole[2:]


def test_a_last_batch_of_one_picture_is_left_out_of_training_only() -> None:
    assert [len(batch.samples) for batch in batches(9, 4).shuffled(7, 0)] == [4, 4]
    assert [len(batch.samples) for batch in batches(10, 4).shuffled(7, 0)] == [4, 4, 2]
    assert [len(batch.samples) for batch in batches(9, 4).in_order()] == [4, 4, 1]


def test_pixels_and_labels_are_those_of_the_samples() -> None:
    source = batches(20, 4)
    for batch in source.shuffled(7, 0):
        assert batch.labels.tolist() == batch.samples.tolist()
        assert np.array_equal(batch.pixels.permute(0, 2, 3, 1).numpy(), source.pixels[batch.samples])


def test_draws_depend_on_seed_epoch_and_sample_alone() -> None:
    together = uniforms(1, 2, [5, 9, 11], 9)
    assert np.array_equal(together[1:2], uniforms(1, 2, [9], 9))
    assert not np.array_equal(together[1:2], uniforms(1, 3, [9], 9))
    assert not np.array_equal(together[1:2], uniforms(2, 2, [9], 9))


def test_an_augmented_picture_does_not_depend_on_its_batch() -> None:
    pixels = torch.randint(
        0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    samples = np.array([3, 1, 4, 15])
    together = Gentle(1)(pixels, 0, samples)
    alone = Gentle(1)(pixels[2:3], 0, samples[2:3])
    assert torch.allclose(together[2:3], alone, atol=1e-3)
    assert not torch.allclose(together[2:3], Gentle(1)(pixels[2:3], 1, samples[2:3]), atol=1.0)


def test_a_gentle_space_of_nothing_changes_nothing() -> None:
    pixels = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    nothing = Gentle(1, rotate=0, zoom=0, shift=0, brightness=0, contrast=0, saturation=0, hue=0, permute=0)
    assert torch.allclose(nothing(pixels, 0, np.array([0, 1])), pixels.float(), atol=1e-2)


def test_the_warp_is_torchs_affine_grid() -> None:
    pixels, samples = torch.rand(3, 3, 12, 20) * 255, np.array([3, 1, 4])
    gentle = Gentle(1, brightness=0, contrast=0, saturation=0, hue=0, permute=0)
    theta = torch.from_numpy(gentle._affine(uniforms(1, 0, samples, 9))).float()
    grid = F.affine_grid(theta, [3, 3, 12, 20], align_corners=False)
    expected = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    assert torch.allclose(gentle(pixels, 0, samples), expected, atol=0.05)
    assert not torch.allclose(expected, pixels, atol=20)


def test_what_is_shown_of_a_sample_is_what_its_first_epochs_get() -> None:
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 256, (3, 24, 20, 3)).astype(np.uint8)
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    gentle = Gentle(7)
    shown = shown_augmented(gentle, pixels[1], 41, 2)
    for epoch, one in enumerate(shown):
        expected = gentle(batch, epoch, np.array([5, 41, 9]))[1].round().clamp(0, 255).byte()
        np.testing.assert_array_equal(one, expected.permute(1, 2, 0).numpy())
    assert not np.array_equal(shown[0], shown[1])
