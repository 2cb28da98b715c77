import numpy as np
import pytest

from snaptune.images.corruptions import CORRUPTIONS, Corruption, corrupted, rotation


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """A dark disc off the centre on a bright ground, twice."""
    row, column = np.mgrid[:64, :64]
    disc = (row - 24) ** 2 + (column - 32) ** 2 < 150
    picture = np.where(disc[:, :, None], (200, 60, 40), (220, 230, 240)).astype(np.uint8)
    return np.stack([picture, picture])


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda item: f"{item.name} {item.strength}")
def test_each_changes_the_picture_but_not_beyond_recognition(
    corruption: Corruption, pictures: np.ndarray
) -> None:
    worse = corrupted(pictures, corruption, np.array([5, 6]))
    assert worse.shape == pictures.shape
    assert worse.dtype == np.uint8
    assert (worse != pictures).any()
    likeness = np.corrcoef(worse[0].ravel(), pictures[0].ravel())[0, 1]
    assert likeness > 0.6


@pytest.mark.parametrize("name", sorted({item.name for item in CORRUPTIONS}))
def test_the_second_strength_is_the_stronger(name: str, pictures: np.ndarray) -> None:
    mild, strong = (item for item in CORRUPTIONS if item.name == name)
    changes = [
        np.abs(corrupted(pictures, item, np.array([5, 6])).astype(int) - pictures).mean()
        for item in (mild, strong)
    ]
    assert changes[0] < changes[1]


def test_chance_follows_the_sample_and_not_the_batch(pictures: np.ndarray) -> None:
    noisy = next(item for item in CORRUPTIONS if item.name == "Noise")
    both = corrupted(pictures, noisy, np.array([5, 6]))
    assert (both[1] == corrupted(pictures[1:], noisy, np.array([6]))[0]).all()
    assert (both[0] != both[1]).any()


def test_a_turn_fills_its_corners_with_the_edge() -> None:
    plain = np.full((32, 32, 3), 99, dtype=np.uint8)
    assert (rotation(25)(plain, np.random.default_rng(0)) == 99).all()
