from __future__ import annotations

import itertools

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from PIL import Image

from snaptune.export.openvino import EXACT
from snaptune.export.recipe import recipe_graph, recipe_text
from snaptune.images.preprocess import Pixels, Preprocess

UNCHANGED = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)


def answer(recipe: Preprocess, pixels: Pixels, *, in_float: bool = False) -> np.ndarray:
    """What the graph makes of a picture, as [height, width, channel]."""
    graph = recipe_graph(recipe_text(recipe, in_float=in_float))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    square: np.ndarray = session.run(None, {"image": pixels})[0][0].transpose(1, 2, 0)
    return square


@pytest.mark.parametrize("in_float", [False, True], ids=["bytes", "floats"])
@pytest.mark.parametrize("size", [8, 32, 97, 128])
@pytest.mark.parametrize("width", [1, 2, 31, 64, 128, 129, 160, 400, 1000])
@pytest.mark.parametrize("height", [1, 3, 33, 97, 160, 401, 900])
def test_graph_gives_the_pixels_of_pillow_bit_for_bit(
    size: int, width: int, height: int, in_float: bool
) -> None:
    recipe = Preprocess(size, *UNCHANGED)
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = recipe.pixels(Image.fromarray(pixels))
    np.testing.assert_array_equal(answer(recipe, pixels, in_float=in_float), expected)


@pytest.mark.parametrize("in_float", [False, True], ids=["bytes", "floats"])
def test_a_photo_of_12_megapixels_is_exact_too(in_float: bool) -> None:
    recipe = Preprocess(224, *UNCHANGED)
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
    expected = recipe.pixels(Image.fromarray(pixels))
    np.testing.assert_array_equal(answer(recipe, pixels, in_float=in_float), expected)


@pytest.mark.parametrize("in_float", [False, True], ids=["bytes", "floats"])
def test_openvino_computes_the_same_pixels(in_float: bool) -> None:
    ov = pytest.importorskip("openvino", reason="the 'openvino' extra is not installed")
    recipe = Preprocess(97, *UNCHANGED)
    graph = recipe_graph(recipe_text(recipe, in_float=in_float)).SerializeToString()
    model = ov.compile_model(ov.Core().read_model(graph), "CPU", EXACT)
    for height, width in itertools.product((1, 33, 97, 401, 3000), (2, 64, 129, 1000, 4000)):
        pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
        given = model([pixels])[0][0].transpose(1, 2, 0)
        np.testing.assert_array_equal(np.rint(given), recipe.pixels(Image.fromarray(pixels)))


@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_an_even_picture_stays_even(value: int) -> None:
    pixels = np.full((301, 77, 3), value, np.uint8)
    assert (answer(Preprocess(96, *UNCHANGED), pixels) == value).all()


def test_each_channel_is_normalised_with_its_own_statistics() -> None:
    recipe = Preprocess(8, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    pixels = np.full((8, 8, 3), (10, 20, 30), np.uint8)
    expected = (np.array([10, 20, 30]) / 255 - recipe.mean) / recipe.std
    np.testing.assert_allclose(answer(recipe, pixels)[0, 0], expected, rtol=1e-5)
