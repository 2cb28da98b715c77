"""Trivial augmentation: torchvision's results, the right chances, and nothing that depends on the batch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, TrivialAugmentWide
from torchvision.transforms.autoaugment import _apply_op

from snaptune.config import TrainConfig
from snaptune.errors import ConfigError
from snaptune.training.augment import build_augment
from snaptune.training.trivial import TrivialAugment, apply_operations
from snaptune.trivial_space import GEOMETRY, TUTORIAL, WIDE, Operation, TrivialSpace

BINS = 31
NOT_GEOMETRY = [operation.name for operation in TUTORIAL.operations if operation.name not in GEOMETRY]
SPACES = pytest.mark.parametrize("space", [TUTORIAL, WIDE], ids=["tutorial", "wide"])
SIZES = pytest.mark.parametrize("size", [(37, 50), (32, 32)], ids=str)


def pictures(height: int, width: int) -> Tensor:
    """[6, 3, h, w]: noise, faint noise, a dark ramp, light noise, one level everywhere, two levels."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (3, height, width), generator=random)
    ramp = (torch.arange(height * width) % 97).reshape(height, width).expand(3, -1, -1)
    flat = torch.tensor([7, 200, 0])[:, None, None].expand(3, height, width)
    return torch.stack([noise, noise // 5 + 90, ramp, 255 - noise // 3, flat, noise // 128 * 80]).byte()


def strengths(space: TrivialSpace, name: str) -> list[float]:
    """Every strength of an operation, both signs of it if it is signed."""
    [operation] = [operation for operation in space.operations if operation.name == name]
    steps = [operation.low + (operation.high - operation.low) * step / (BINS - 1) for step in range(BINS)]
    return steps + [-strength for strength in steps] if operation.signed else steps


def ours(picture: Tensor, name: str, amounts: list[float]) -> Tensor:
    """One picture at every strength, as one batch."""
    batch = picture.expand(len(amounts), -1, -1, -1)
    return apply_operations(batch, np.array([name] * len(amounts)), np.array(amounts))


def torchvisions(picture: Tensor, name: str, amounts: list[float]) -> Tensor:
    """Its bits are whole numbers to begin with."""
    nearest = InterpolationMode.NEAREST
    amounts = [round(amount) for amount in amounts] if name == "Posterize" else amounts
    return torch.stack([_apply_op(picture, name, amount, nearest, None) for amount in amounts]).float()


@SPACES
@SIZES
@pytest.mark.parametrize("name", NOT_GEOMETRY)
def test_levels_are_torchvisions_to_one_level(name: str, size: tuple[int, int], space: TrivialSpace) -> None:
    for picture in pictures(*size):
        amounts = strengths(space, name)
        result = ours(picture, name, amounts)
        assert torch.equal(result, result.round().clamp(0, 255))
        assert (result - torchvisions(picture, name, amounts)).abs().max() <= 1


def source(name: str, amount: float, height: int, width: int) -> tuple[npt.NDArray[np.float64], ...]:
    """Where each pixel comes from, as (row, column) in float64: a pixel's centre is a whole number."""
    row, column = np.mgrid[:height, :width].astype(np.float64)
    down, right = row - (height - 1) / 2, column - (width - 1) / 2
    turn = np.deg2rad(amount)
    places = {
        "ShearX": (row, column + amount * (row + 0.5)),
        "ShearY": (row + amount * (column + 0.5), column),
        "TranslateX": (row, column - int(amount)),
        "TranslateY": (row - int(amount), column),
        "Rotate": (
            np.sin(turn) * right + np.cos(turn) * down + (height - 1) / 2,
            np.cos(turn) * right - np.sin(turn) * down + (width - 1) / 2,
        ),
    }
    return places[name]


def from_a_border(name: str, amount: float, height: int, width: int) -> Tensor:
    """Whether a pixel's source is within 1e-4 px of the border between two, where float32 may take either."""
    row, column = source(name, amount, height, width)
    distance = np.minimum(*(np.abs(place - np.floor(place) - 0.5) for place in (row, column)))
    return torch.from_numpy(distance < 1e-4)


@SPACES
@SIZES
@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_is_torchvisions_except_where_the_nearest_pixel_is_a_tie(
    name: str, size: tuple[int, int], space: TrivialSpace
) -> None:
    picture, amounts = pictures(*size)[0], strengths(space, name)
    differs = (ours(picture, name, amounts) != torchvisions(picture, name, amounts)).any(dim=1)
    ties = torch.stack([from_a_border(name, amount, *size) for amount in amounts])
    assert not (differs & ~ties).any()
    # A few slopes have some; where one side is odd and the other even, -90° and 90° are ties all over.
    assert ties.float().mean() < 0.02 + 2 / len(amounts)


@pytest.mark.parametrize("size", [(37, 50), (1, 1), (5, 2), (1, 40)], ids=str)
@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_takes_the_nearest_pixel_and_black_from_outside(name: str, size: tuple[int, int]) -> None:
    height, width = size
    picture, amounts = pictures(height, width)[0], strengths(TUTORIAL, name)
    for amount, result in zip(amounts, ours(picture, name, amounts), strict=True):
        row, column = (place.round().astype(int) for place in source(name, amount, height, width))
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        expected = picture[:, row.clip(0, height - 1), column.clip(0, width - 1)] * torch.from_numpy(inside)
        certain = ~from_a_border(name, amount, height, width)
        assert torch.equal(result[:, certain], expected[:, certain].float())


def test_the_wide_space_is_torchvisions() -> None:
    theirs = TrivialAugmentWide()._augmentation_space(BINS)
    assert [operation.name for operation in WIDE.operations] == list(theirs)
    for operation in WIDE.operations:
        values, signed = theirs[operation.name]
        expected = values.double().expand(BINS).numpy()
        result = np.array(strengths(WIDE, operation.name))[:BINS]
        assert operation.signed == signed
        assert np.allclose(result.round() if operation.name == "Posterize" else result, expected, atol=1e-5)


def test_the_tutorial_space_is_the_worked_examples() -> None:
    assert {(each.name, each.low, each.high, each.signed) for each in TUTORIAL.operations} == {
        ("Identity", 0, 0, False),
        ("ShearX", 0, 0.25, True),
        ("ShearY", 0, 0.25, True),
        ("TranslateX", 0, 32, True),
        ("TranslateY", 0, 32, True),
        ("Rotate", 0, 45, True),
        ("Brightness", 0, 0.75, True),
        ("Color", 0, 0.99, True),
        ("Contrast", 0, 0.99, True),
        ("Sharpness", 0, 0.99, True),
        ("Posterize", 8, 2, False),
        ("Solarize", 255, 0, False),
        ("AutoContrast", 0, 0, False),
        ("Equalize", 0, 0, False),
    }
    assert TUTORIAL.bins == WIDE.bins == 31


def expected_shares(space: TrivialSpace) -> dict[tuple[str, float, bool], float]:
    """The chance of each (operation, strength, whether the sign bit is set); unlike 0.0, -0.0 has it."""
    shares: Counter[tuple[str, float, bool]] = Counter()
    for operation in space.operations:
        amounts = strengths(space, operation.name)
        for amount in amounts:
            cell = (operation.name, round(amount, 9), bool(np.signbit(amount)))
            shares[cell] += 1 / (len(space.operations) * len(amounts))  # type: ignore[assignment]
    return dict(shares)


def assert_as_likely(seen: Counter[Any], shares: dict[Any, float]) -> None:
    """Pearson's chi-square test; Wilson's and Hilferty's bound, which 999 seeds of 1000 keep."""
    count, freedom = seen.total(), len(shares) - 1
    square = sum((seen[cell] - count * share) ** 2 / (count * share) for cell, share in shares.items())
    assert seen.keys() <= shares.keys()
    assert square < freedom * (1 - 2 / (9 * freedom) + 3.0902 * np.sqrt(2 / (9 * freedom))) ** 3


@SPACES
def test_operations_strengths_and_signs_are_equally_likely(space: TrivialSpace) -> None:
    """Operations once more by themselves, where a slight preference shows that many cells would hide."""
    names, amounts = TrivialAugment(5, space).choose(2, np.arange(20_000))
    rounded, signs = amounts.round(9).tolist(), np.signbit(amounts).tolist()
    assert_as_likely(
        Counter(names.tolist()), {operation.name: 1 / len(space.operations) for operation in space.operations}
    )
    assert_as_likely(Counter(zip(names.tolist(), rounded, signs, strict=True)), expected_shares(space))


@pytest.mark.parametrize("size", [(24, 31), (288, 288)], ids=str)
def test_a_picture_does_not_depend_on_its_batch(size: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (56, 3, *size), dtype=torch.uint8, generator=random)
    samples, augment = np.arange(100, 156), TrivialAugment(3, TUTORIAL)
    assert set(augment.choose(4, samples)[0]) == {operation.name for operation in TUTORIAL.operations}
    together = augment(pixels, 4, samples)
    backwards = augment(pixels.flip(0), 4, samples[::-1].copy())
    assert torch.equal(backwards.flip(0), together)
    for i in range(len(samples)):
        assert torch.equal(augment(pixels[i : i + 1], 4, samples[i : i + 1])[0], together[i])


def test_a_batch_that_is_channels_last_in_memory_gives_the_same() -> None:
    pixels = pictures(24, 31).repeat(5, 1, 1, 1)
    moved = pixels.contiguous(memory_format=torch.channels_last)
    samples = np.arange(len(pixels))
    assert torch.equal(
        TrivialAugment(3, TUTORIAL)(moved, 0, samples), TrivialAugment(3, TUTORIAL)(pixels, 0, samples)
    )


def test_another_epoch_is_another_draw_and_the_pictures_are_left_alone() -> None:
    pixels = pictures(24, 31).repeat(5, 1, 1, 1)
    before, samples = pixels.clone(), np.arange(len(pixels))
    first, second = (TrivialAugment(3, TUTORIAL)(pixels, epoch, samples) for epoch in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (5, 2), (1, 40)], ids=str)
@pytest.mark.parametrize("name", [operation.name for operation in TUTORIAL.operations])
def test_very_small_pictures(name: str, size: tuple[int, int]) -> None:
    amounts = [amount for amount in strengths(TUTORIAL, name) if name not in GEOMETRY or amount == 0]
    for picture in pictures(*size):
        result = ours(picture, name, amounts)
        assert result.shape == (len(amounts), 3, *size)
        assert (result - torchvisions(picture, name, amounts)).abs().max() <= 1


def test_a_space_of_ones_own() -> None:
    quarter = TrivialAugment(0, TrivialSpace((Operation("Rotate", 90, 90),)))
    pixels = pictures(9, 9)
    assert torch.equal(quarter(pixels, 0, np.arange(6)), pixels.rot90(1, (2, 3)).float())


def test_a_space_of_few_bins_has_few_strengths() -> None:
    space = TrivialSpace((Operation("Rotate", 10, 30),), bins=3)
    _, amounts = TrivialAugment(5, space).choose(0, np.arange(3000))
    assert_as_likely(Counter(amounts.tolist()), dict.fromkeys((10.0, 20.0, 30.0), 1 / 3))


def test_errors_of_an_operation() -> None:
    with pytest.raises(ConfigError, match=r"^Unknown operation 'Posterise'\. Closest: Posterize\.$"):
        Operation("Posterise", 8, 2)
    with pytest.raises(ConfigError) as error:
        Operation("Brightness", 0, 1.5, signed=True)
    assert str(error.value) == (
        "'Brightness': strengths from 0 to 1.5 of either sign must be between -1 and 10000."
    )
    with pytest.raises(ConfigError, match=r"'Posterize': strengths from nan to 2 must be between 0 and 8\.$"):
        Operation("Posterize", float("nan"), 2)
    with pytest.raises(ConfigError, match=r"'Identity': strengths from 0 to 2 must be 0: it has none\.$"):
        Operation("Identity", 0, 2)


def test_the_setting_builds_the_tutorials_space() -> None:
    space = TrainConfig.recipe("tutorial").trivial_space
    assert build_augment("trivial", 7, space) == TrivialAugment(7, TUTORIAL)
    assert build_augment("trivial", 7, WIDE) == TrivialAugment(7, WIDE)
