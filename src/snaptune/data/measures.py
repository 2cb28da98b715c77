"""What one pass over the pictures learns of each: a few numbers and a thumbnail, in arrays."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from snaptune.data.dataset import ImageDataset
from snaptune.data.duplicates import SIDE, Pairs, Thumbs, equal_pairs, thumb
from snaptune.data.parallel import Progress, for_each_sample
from snaptune.data.unreadable import Unreadable
from snaptune.errors import ImageError
from snaptune.images.load import Decoded, decode

_GREY_SIDE = 256
"""Sharpness is measured on pictures reduced to about this side, so that file size does not decide it."""

_ROUNDING = 20 / 12
"""Variance that rounding to whole grey values gives the second derivative (weights 4, -1, -1, -1, -1)."""

_LEAST_VARIANCE = 25.0

_CHUNK = 1024
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Measures:
    """Arrays over all samples; rows of `failures` are zero.

    `sizes` are width and height, upright; `sharpness` is the variance of the second derivative as a
    share of the variance of the grey picture; `formats`, `modes` and `conversions` count pictures.
    """

    sizes: npt.NDArray[np.int32]
    thumbs: Thumbs
    sharpness: Floats
    failures: tuple[Unreadable, ...]
    formats: Counter[str]
    modes: Counter[str]
    conversions: Counter[str]

    def readable(self) -> npt.NDArray[np.bool_]:
        return self.sizes[:, 0] > 0


@dataclass
class _Tally:
    """Collected by many threads; appending to a list is one step of the interpreter."""

    failures: list[Unreadable] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    conversions: list[str] = field(default_factory=list)

    def add(self, picture: Decoded) -> None:
        self.formats.append(picture.format)
        self.modes.append(picture.mode)
        self.conversions.extend(picture.conversions)


def measure(dataset: ImageDataset, progress: Progress, max_pixels: int) -> Measures:
    """Decode every picture once."""
    count = len(dataset)
    sizes = np.zeros((count, 2), np.int32)
    thumbs = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    sharpness = np.zeros(count, np.float32)
    tally = _Tally()

    def work(index: int) -> None:
        name = str(dataset.ids[index])
        try:
            picture = decode(dataset.source.read(index), name, max_pixels=max_pixels)
        except ImageError as error:
            tally.failures.append(Unreadable.of(index, name, error))
            return
        sizes[index] = picture.image.size
        thumbs[index] = thumb(picture.image)
        sharpness[index] = sharpness_of(picture.image)
        tally.add(picture)

    for_each_sample(work, count, progress, "Checking pictures")
    counters = (Counter(names) for names in (tally.formats, tally.modes, tally.conversions))
    return Measures(sizes, thumbs, sharpness, tuple(sorted(tally.failures)), *counters)


def sharpness_of(image: Image.Image) -> float:
    """Variance of the second derivative over that of the picture; 1 where there is too little to judge."""
    factor = max(1, max(image.size) // _GREY_SIDE)
    grey = np.asarray((image.reduce(factor) if factor > 1 else image).convert("L"), np.int16)
    variance = _variance(grey[::2])
    if min(grey.shape) < 3 or variance < _LEAST_VARIANCE:
        return 1.0
    second = 4 * grey[1:-1:2, 1:-1]  # of every other row, which is as good and half the work
    for shifted in (grey[:-2:2, 1:-1], grey[2::2, 1:-1], grey[1:-1:2, :-2], grey[1:-1:2, 2:]):
        second -= shifted
    return max(0.0, _variance(second) - _ROUNDING) / variance


def _variance(values: npt.NDArray[np.int16]) -> float:
    flat = values.ravel().astype(np.float32)
    return float(flat @ flat) / flat.size - float(flat.mean()) ** 2


def exact_pairs(dataset: ImageDataset, measures: Measures, max_pixels: int) -> Pairs:
    """Pairs of samples with the same decoded pixels; only equal thumbnails are read again."""
    readable = np.flatnonzero(measures.readable())
    thumbs = measures.thumbs[readable].reshape(len(readable), SIDE * SIDE * 3)
    rows = np.hstack([measures.sizes[readable].view(np.uint8), thumbs])
    candidates = readable[equal_pairs(_as_digests(rows))]
    digests = {int(index): _digest(dataset, int(index), max_pixels) for index in np.unique(candidates)}
    same = [digests[one] == digests[other] for one, other in candidates.tolist()]
    chosen: Pairs = candidates[np.asarray(same, bool)]
    return chosen


def _as_digests(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.void]:
    digests = b"".join(hashlib.sha256(row.data).digest() for row in rows)
    return np.frombuffer(digests, "V32")


def _digest(dataset: ImageDataset, index: int, max_pixels: int) -> bytes:
    image = decode(dataset.source.read(index), str(dataset.ids[index]), max_pixels=max_pixels).image
    return hashlib.sha256(image.tobytes()).digest()


def bright_share(thumbs: Thumbs, limit: float) -> Floats:
    """The share of each thumbnail's pixels whose grey value reaches `limit`."""
    share = np.zeros(len(thumbs), np.float32)
    for start in range(0, len(thumbs), _CHUNK):
        red, green, blue = np.moveaxis(thumbs[start : start + _CHUNK].astype(np.uint16), 3, 0)
        reached = red + green + blue >= 3 * limit
        share[start : start + _CHUNK] = reached.reshape(-1, SIDE * SIDE).mean(axis=1)
    return share
