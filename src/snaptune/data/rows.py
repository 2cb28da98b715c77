"""From pictures to prepared rows: the part of preparing that a worker does as well as this process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image

from snaptune.data.duplicates import sides_of, thumb
from snaptune.data.prepared_store import Arrays, Bytes
from snaptune.data.workers import Pictures
from snaptune.errors import ImageError
from snaptune.images.load import load_image
from snaptune.images.preprocess import Preprocess


def fill_row(rows: Arrays, place: int, image: Image.Image, preprocess: Preprocess) -> None:
    resized = preprocess.resized(image)
    smaller = min(image, resized, key=_area)
    rows.pixels[place] = preprocess.padded(resized)
    rows.thumbs[place] = thumb(smaller)
    rows.sides[place] = sides_of(smaller.size)


def _area(image: Image.Image) -> int:
    return image.width * image.height


def settings_of(preprocess: Preprocess, max_pixels: int) -> str:
    """What the tasks below are told."""
    return json.dumps([preprocess.to_json(), max_pixels])


@cache
def _read(settings: str) -> tuple[Preprocess, int]:
    recipe, max_pixels = json.loads(settings)
    return Preprocess.from_json(recipe, "settings"), max_pixels


def make_rows(settings: str, count: int, pictures: Pictures) -> Sequence[memoryview]:
    """A task of workers: a byte for each picture, 0 where it cannot be read, and the rows of all."""
    preprocess, max_pixels = _read(settings)
    rows = Arrays.zeros(count, preprocess.size)

    def known(place: int, name: str, data: bytes) -> bool:
        try:
            fill_row(rows, place, load_image(data, name, max_pixels=max_pixels), preprocess)
        except ImageError:
            return False
        return True

    which = np.array([known(place, *picture) for place, picture in enumerate(pictures)], np.uint8)
    return [which.data, *(array.data for array in rows)]


def made_rows(answer: bytes, count: int, size: int) -> tuple[Bytes, Arrays]:
    """The answer of `make_rows` to `count` pictures: which could be read, and the rows, read-only."""
    known = np.frombuffer(answer, np.uint8, count)
    return known, Arrays.read(memoryview(answer)[count:], count, size)


def make_pixels(settings: str, count: int, pictures: Pictures) -> Sequence[memoryview]:
    """A task of workers: the pixels of one picture; nothing where it cannot be read."""
    preprocess, max_pixels = _read(settings)
    [(name, data)] = pictures
    try:
        return [preprocess.pixels(load_image(data, name, max_pixels=max_pixels)).data]
    except ImageError:
        return []
