"""Planted duplicates are found; different pictures are left alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from snaptune.data.dataset import ImageDataset
from snaptune.data.duplicates import clusters, equal_pairs, near_pairs, sides_of, thumb
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


def squares_of(side: int, count: int) -> np.ndarray:
    """uint8 [count, 2]: the sides of square pictures."""
    return np.full((count, 2), side, np.uint8)


@pytest.mark.parametrize(("side", "seed"), [(128, 0), (28, 0), (28, 1)])
def test_99_of_100_planted_duplicates_are_found_at_1_percent_false_pairs(
    hands: ImageDataset, side: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = [
        load_image(hands.source.read(index), "hand").resize((side, side)) for index in range(len(hands))
    ]
    copies = [reencoded(image, rng) if index % 4 else image for index, image in enumerate(images)]
    everything = [*images, *copies]
    pairs = near_pairs(
        np.stack([thumb(image) for image in everything]), sides_of([image.size for image in everything])
    )
    count = len(images)
    planted = pairs[:, 0] + count == pairs[:, 1]
    assert planted.sum() >= 0.99 * count
    assert (~planted).sum() <= 0.01 * len(pairs)


def coarse(rng: np.random.Generator, count: int, spread: float) -> np.ndarray:
    """[count, 32, 32, 3] of 4x4 blocks, without a mean."""
    blocks = rng.normal(0, spread, (count, 4, 4, 3))
    centred: np.ndarray = blocks - blocks.mean(axis=(1, 2, 3), keepdims=True)
    return centred.repeat(8, 1).repeat(8, 2)


def shaded(thumbs: np.ndarray) -> np.ndarray:
    pixels: np.ndarray = np.rint(thumbs).clip(0, 255).astype(np.uint8)
    return pixels


def test_fine_detail_may_be_lost_only_in_pictures_too_small_to_hold_it() -> None:
    """Six waves across are near what 14 pixels can hold, and far from what 200 can."""
    waves = np.cos((np.arange(32) + 0.5) * np.pi * 6 / 32)[None, :, None] * 16
    base = coarse(np.random.default_rng(0), 1, 40)[0] + 128
    thumbs = shaded(np.stack([base + waves, base + 0.5 * waves]))
    assert len(near_pairs(thumbs, squares_of(14, 2))) == 1
    assert len(near_pairs(thumbs, squares_of(200, 2))) == 0


def test_small_pictures_may_lose_colour_but_not_light() -> None:
    """As compressing does, which keeps half of the colour's resolution and rounds it coarsely."""
    base = coarse(np.random.default_rng(0), 1, 30)[0].mean(axis=2, keepdims=True).repeat(3, 2) + 128
    change = coarse(np.random.default_rng(1), 1, 6)[0].mean(axis=2, keepdims=True)
    colour = change * [1.0, 0.0, -2.6]  # luma stays as it is
    assert len(near_pairs(shaded(np.stack([base, base + colour])), squares_of(28, 2))) == 1
    assert len(near_pairs(shaded(np.stack([base, base + 2 * change])), squares_of(28, 2))) == 0


def test_large_pictures_must_agree_in_their_details() -> None:
    rng = np.random.default_rng(0)
    base = coarse(rng, 1, 40)[0] + 128
    stripes = np.where(np.arange(32) % 2, 16.0, -16.0)[None, :, None]
    thumbs = np.rint(np.stack([base, base + stripes])).clip(0, 255).astype(np.uint8)
    assert len(near_pairs(thumbs, squares_of(255, 2))) == 0
    assert len(near_pairs(thumbs, squares_of(28, 2))) == 1


def test_a_texture_may_shift_the_light_a_little_as_aliasing_does() -> None:
    """Bricks and grass: most of the contrast is in what the sketch leaves out, and some of it comes down."""
    rng = np.random.default_rng(0)
    base, change = coarse(rng, 1, 6)[0] + 128, coarse(rng, 1, 0.7)[0]
    texture = rng.normal(0, 12, (32, 32, 1))
    assert len(near_pairs(shaded(np.stack([base, base + change])), squares_of(255, 2))) == 0
    textured = shaded(np.stack([base + texture, base + texture + change]))
    assert len(near_pairs(textured, squares_of(255, 2))) == 1


def test_every_close_pair_of_many_is_found() -> None:
    """More pictures than are compared at once, so that the search halves them several times."""
    rng = np.random.default_rng(0)
    base = coarse(rng, 4000, 40) + 128
    copies = base[:200] + coarse(rng, 200, 1.0)
    thumbs = np.rint(np.concatenate([base, copies])).clip(0, 255).astype(np.uint8)
    pairs = near_pairs(thumbs, squares_of(255, 4200))
    assert pairs.tolist() == [[index, 4000 + index] for index in range(200)]


def test_thousands_of_equal_pictures_are_one_cluster() -> None:
    rng = np.random.default_rng(0)
    thumbs = np.repeat(coarse(rng, 1, 40) + 128, 3000, axis=0).clip(0, 255).astype(np.uint8)
    pairs = near_pairs(thumbs, squares_of(255, 3000))
    assert len(pairs) < 100 * 3000
    assert clusters(3000, pairs).max() == 0


def test_blank_pictures_and_colour_variants_are_no_duplicates() -> None:
    blank = np.full((3, 32, 32, 3), 255, np.uint8)
    blank[1:] = [209, 194, 104]  # a colour is no contrast
    shape = np.zeros((2, 32, 32, 3), np.uint8)
    shape[0, 8:20, 5:28, 0] = shape[1, 8:20, 5:28, 2] = 255
    assert len(near_pairs(np.concatenate([blank, shape]), squares_of(255, 5))) == 0
    assert near_pairs(np.concatenate([shape, shape[:1]]), squares_of(255, 3)).tolist() == [[0, 2]]


def test_none_and_one_picture_have_no_pairs() -> None:
    for count in (0, 1):
        assert near_pairs(np.zeros((count, 32, 32, 3), np.uint8), squares_of(255, count)).shape == (0, 2)


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
