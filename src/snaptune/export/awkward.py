"""Pictures that break exports, made on the spot: extreme shapes, odd encodings, noise."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from snaptune.export.pictures import NamedPicture
from snaptune.images.load import load_image
from snaptune.images.preprocess import Pixels

SHAPES = ((1, 1), (17, 33), (1000, 40), (30, 900), (4000, 3000))
"""Width and height; the last is a photo of 12 megapixels."""


def awkward_pictures() -> list[NamedPicture]:
    """The same pictures on every machine; the encoded ones go through the decoder first."""
    shapes = {f"awkward {width}x{height}": partial(_shape, width, height) for width, height in SHAPES}
    orientations = {f"awkward EXIF {number}": partial(_oriented, number) for number in range(1, 9)}
    makers: dict[str, Callable[[], Image.Image]] = {
        **shapes,
        **orientations,
        "awkward alpha": _alpha,
        "awkward 16-bit": _sixteen_bit,
        "awkward CMYK": _cmyk,
        "awkward noise 517x389": _noise,
    }
    return [NamedPicture(name, make) for name, make in makers.items()]


def scene(width: int, height: int) -> Pixels:
    """Slopes, a disc and a fine grid in colour: uint8 [height, width, 3]."""
    y, x = np.ogrid[:height, :width]
    across, down = x / width, y / height
    disc = (across - 0.4) ** 2 + (down - 0.6) ** 2 < 0.06
    grid = ((x // 3 + y // 5) % 2).astype(bool)
    planes = (
        np.where(disc, 230, 255 * across),
        np.where(grid & (down < 0.3), 20, 200 * down + 0 * across),
        120 + 100 * np.sin(9 * across + 5 * down),
    )
    return np.stack([np.broadcast_to(plane, (height, width)) for plane in planes], axis=-1).astype(np.uint8)


def _shape(width: int, height: int) -> Image.Image:
    return Image.fromarray(scene(width, height))


def _oriented(orientation: int) -> Image.Image:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _decoded(_shape(160, 90), "JPEG", exif=exif)


def _alpha() -> Image.Image:
    image = _shape(200, 150).convert("RGBA")
    image.putalpha(Image.fromarray(scene(200, 150)[..., 2]))
    return _decoded(image, "PNG")


def _sixteen_bit() -> Image.Image:
    deep = scene(150, 200)[..., 2].astype(np.uint16) * 257
    return _decoded(Image.fromarray(deep), "PNG")


def _cmyk() -> Image.Image:
    return _decoded(_shape(200, 150).convert("CMYK"), "JPEG")


def _noise() -> Image.Image:
    generator = np.random.default_rng(0)
    return Image.fromarray(generator.integers(0, 256, (389, 517, 3), dtype=np.uint8))


def _decoded(image: Image.Image, format: str, **options: Image.Exif) -> Image.Image:
    """There and back through an encoder, as a file would come."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return load_image(file.getvalue(), f"awkward {format}")
