"""Pictures made worse on purpose: blur, noise, compression, darkness, a slight turn."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from snaptune.images.preprocess import Pixels

Worsen = Callable[[Pixels, np.random.Generator], Pixels]
"""uint8 [size, size, 3] and a source of chance -> the same shape."""


@dataclass(frozen=True)
class Corruption:
    """One way to make a picture worse, and how far it goes, in words."""

    name: str
    strength: str
    worsen: Worsen


def corrupted(pixels: Pixels, corruption: Corruption, samples: npt.NDArray[np.int64]) -> Pixels:
    """Prepared pictures uint8 [n, size, size, 3] made worse; chance follows from the sample number alone."""
    rows = zip(pixels, samples.tolist(), strict=True)
    return np.stack([corruption.worsen(picture, np.random.default_rng(sample)) for picture, sample in rows])


def blur(share: float) -> Worsen:
    """Gaussian blur with a standard deviation of `share` of the side."""

    def worsen(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        radius = share * len(pixels)
        return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))

    return worsen


def noise(deviation: float) -> Worsen:
    """Normal noise on every channel value, its standard deviation in values of 0–255."""

    def worsen(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        noisy: Pixels = np.rint(rng.normal(pixels, deviation)).clip(0, 255).astype(np.uint8)
        return noisy

    return worsen


def jpeg(quality: int) -> Worsen:
    """Compressed as JPEG and decoded again."""

    def worsen(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "JPEG", quality=quality)
        return np.asarray(Image.open(encoded).convert("RGB"))

    return worsen


def darkness(light: float) -> Worsen:
    """Every channel value times `light`."""

    def worsen(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        dark: Pixels = np.rint(pixels * light).astype(np.uint8)
        return dark

    return worsen


def rotation(degrees: float) -> Worsen:
    """Turned about its centre, to a side chosen by chance; edge pixels fill the corners."""

    def worsen(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        angle = degrees if rng.random() < 0.5 else -degrees
        size = len(pixels)
        margin = size // 4
        wide = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        turned = Image.fromarray(wide).rotate(angle, Image.Resampling.BILINEAR)
        return np.asarray(turned)[margin : margin + size, margin : margin + size]

    return worsen


CORRUPTIONS = (
    Corruption("Blur", "1 % of the side", blur(0.01)),
    Corruption("Blur", "2 % of the side", blur(0.02)),
    Corruption("Noise", "5 % of the range", noise(12.75)),
    Corruption("Noise", "15 % of the range", noise(38.25)),
    Corruption("JPEG", "quality 40", jpeg(40)),
    Corruption("JPEG", "quality 10", jpeg(10)),
    Corruption("Darkness", "half the light", darkness(0.5)),
    Corruption("Darkness", "a fifth of the light", darkness(0.2)),
    Corruption("Rotation", "10° to either side", rotation(10)),
    Corruption("Rotation", "25° to either side", rotation(25)),
)
