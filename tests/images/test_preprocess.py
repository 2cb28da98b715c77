from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from snaptune.errors import ConfigError, RunError
from snaptune.images.preprocess import Preprocess

HALF = (0.5, 0.5, 0.5)
RECIPE = Preprocess(288, HALF, HALF)


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((512, 256), (288, 144)),
        ((256, 512), (144, 288)),
        ((640, 427), (288, 192)),
        ((1, 1), (288, 288)),
        ((20_000, 3), (288, 1)),
        ((576, 3), (288, 2)),  # 1.5 is rounded up
    ],
)
def test_the_longest_side_fits_and_halves_are_rounded_up(
    size: tuple[int, int], fitted: tuple[int, int]
) -> None:
    assert RECIPE.fitted_size(*size) == fitted


def test_columns_are_resized_after_rows_whatever_the_shape() -> None:
    tall = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 30, 3), dtype=np.uint8))
    rows = tall.resize((30, 288), Image.Resampling.BILINEAR)
    both = rows.resize((10, 288), Image.Resampling.BILINEAR)
    assert RECIPE.resized(tall).tobytes() == both.tobytes()


def test_the_shorter_side_is_padded_at_both_ends_with_edge_pixels() -> None:
    pixels = np.zeros((256, 512, 3), dtype=np.uint8)
    pixels[:128], pixels[128:] = 10, 200
    square = RECIPE.pixels(Image.fromarray(pixels))
    assert square.shape == (288, 288, 3)
    assert square.dtype == np.uint8
    assert (square[:72] == square[72]).all()
    assert (square[-72:] == square[-73]).all()
    assert (square[0] == 10).all()
    assert (square[-1] == 200).all()


def test_an_odd_margin_gives_the_extra_pixel_to_the_end() -> None:
    pixels = np.zeros((5, 8, 3), dtype=np.uint8)
    pixels[0], pixels[-1] = 50, 90
    square = Preprocess(8, HALF, HALF).padded(Image.fromarray(pixels))
    assert [int(row[0, 0]) for row in square] == [50, 50, 0, 0, 0, 90, 90, 90]


def test_the_recipe_survives_a_file() -> None:
    recipe = Preprocess(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert Preprocess.from_json(recipe.to_json(), "x") == recipe


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"size": 128, "mean": [1, 2], "std": [1, 1, 1]}', '{"size": 1e9}']
)
def test_a_damaged_recipe_is_named(text: str) -> None:
    with pytest.raises(RunError, match=r"'run/preprocess\.json' is not a preprocessing recipe"):
        Preprocess.from_json(text, "run/preprocess.json")


def test_a_recipe_checks_its_values() -> None:
    with pytest.raises(ConfigError, match="image size 4 must be between 8 and 2048 pixels"):
        Preprocess(4, HALF, HALF)
    with pytest.raises(ConfigError, match="std above 0"):
        Preprocess(64, HALF, (0.5, 0.0, 0.5))
