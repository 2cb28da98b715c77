"""Small pictures for the report."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from snaptune.images.preprocess import Pixels

_GLOW = np.array([255.0, 96.0, 0.0])
_DIMMED = 0.45


def small_jpeg(image: Image.Image, side: int) -> bytes:
    """An RGB picture as JPEG with its longest side at most `side` pixels."""
    small = image.copy()
    small.thumbnail((side, side))
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=80)
    return encoded.getvalue()


def heated(pixels: Pixels, heat: npt.NDArray[np.float32]) -> Image.Image:
    """A prepared picture uint8 [size, size, 3]: grey where `heat` [rows, columns] is 0, glowing at 1."""
    size = len(pixels)
    coarse = Image.fromarray(heat.astype(np.float32))
    fine = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)).clip(0, 1)[:, :, None]
    grey = pixels.mean(axis=2, keepdims=True) * _DIMMED + 255 * (1 - _DIMMED) * 0.5
    mixed = grey * (1 - fine) + (0.55 * pixels + 0.45 * _GLOW) * fine
    return Image.fromarray(np.rint(mixed).clip(0, 255).astype(np.uint8))
