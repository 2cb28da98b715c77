"""Planted duplicates are found; different pictures are left alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from snaptune.data.dataset import ImageDataset
from snaptune.data.duplicates import clusters, equal_pairs, near_pairs, thumb
from snaptune.images.load import load_image


def reencoded(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Another size (half to one and a half), filter, format and quality."""
    scale = rng.uniform(0.5, 1.5)
    size = (round(image.width * scale), round(image.height * scale))
    resampling = Image.Resampling(int(rng.choice([1, 2, 3])))
    file = io.BytesIO()
    image.resize(size, resampling).save(
        file, str(rng.choice(["JPEG", "WEBP", "PNG"])), quality=int(rng.integers(60, 96))
    )
    return load_image(file.getvalue(), "copy")


@pytest.mark.parametrize("seed", [0, 1])
def test_99_of_100_planted_duplicates_are_found_at_1_percent_false_pairs(
    hands: ImageDataset, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = [load_image(hands.source.read(index), "hand") for index in range(len(hands))]
    copies = [reencoded(image, rng) if index % 4 else image for index, image in enumerate(images)]
    pairs = near_pairs(
        np.stack([thumb(image) for image in [*images, *copies]]), np.zeros(2 * len(images), bool)
    )
    count = len(images)
    planted = pairs[:, 0] + count == pairs[:, 1]
    assert planted.sum() >= 0.99 * count
    assert (~planted).sum() <= 0.01 * len(pairs)


def test_small_pictures_must_be_nearly_equal() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (32, 32, 3)).astype(np.float64)
    shifted = np.clip(base + rng.normal(0, 12, base.shape), 0, 255)
    thumbs = np.stack([base, shifted]).astype(np.uint8)
    assert len(near_pairs(thumbs, np.array([False, False]))) == 1
    assert len(near_pairs(thumbs, np.array([True, False]))) == 0


def test_blank_pictures_and_colour_variants_are_no_duplicates() -> None:
    blank = np.full((3, 32, 32, 3), 255, np.uint8)
    shape = np.zeros((2, 32, 32, 3), np.uint8)
    shape[0, 8:20, 5:28, 0] = shape[1, 8:20, 5:28, 2] = 255
    assert len(near_pairs(np.concatenate([blank, shape]), np.zeros(5, bool))) == 0
    assert near_pairs(np.concatenate([shape, shape[:1]]), np.zeros(3, bool)).tolist() == [[0, 2]]


def test_none_and_one_picture_have_no_pairs() -> None:
    for count in (0, 1):
        assert near_pairs(np.zeros((count, 32, 32, 3), np.uint8), np.zeros(count, bool)).shape == (0, 2)


def test_equal_digests_are_paired_with_the_first() -> None:
    digests = np.array([b"aa", b"bb", b"aa", b"cc", b"aa"], "V2")
    assert equal_pairs(digests).tolist() == [[0, 2], [0, 4]]


def test_links_spread_along_chains() -> None:
    rng = np.random.default_rng(0)
    chain = rng.permutation(np.column_stack([np.arange(99), np.arange(1, 100)]))
    found = clusters(103, np.concatenate([chain, [[101, 102]]]))
    assert found[:100].tolist() == [0] * 100
    assert found[100:].tolist() == [1, 2, 2]
    assert clusters(3, np.empty((0, 2), np.int64)).tolist() == [0, 1, 2]
