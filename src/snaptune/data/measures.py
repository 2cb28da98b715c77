"""What one pass over the pictures learns of each: a few numbers and a thumbnail, in arrays."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from snaptune.data.dataset import ImageDataset
from snaptune.data.duplicates import SIDE, Floats, Pairs, Thumbs, as_pixels, equal_pairs, thumb
from snaptune.data.parallel import Progress, for_each_few
from snaptune.data.unreadable import Unreadable
from snaptune.errors import ImageError
from snaptune.images.load import Decoded, decode

_GREY_SIDE = 256
"""Sharpness is measured on pictures reduced to about this side, so that file size does not decide it."""

_ROUNDING = 20 / 12
"""Variance that rounding to whole grey values gives the second derivative (weights 4, -1, -1, -1, -1)."""

_LEAST_VARIANCE = 25.0

_JUDGED_ROWS = 16
_CHUNK = 1024
Bytes = npt.NDArray[np.uint8]


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


def measure(dataset: ImageDataset, progress: Progress) -> Measures:
    """Decode every picture once."""
    count = len(dataset)
    sizes = np.zeros((count, 2), np.int32)
    thumbs = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    sharpness = np.zeros(count, np.float32)
    tally = _Tally()

    def work(numbers: range) -> None:
        greys: dict[tuple[int, ...], list[tuple[int, Bytes]]] = {}
        for index in numbers:
            name = str(dataset.ids[index])
            try:
                picture = decode(dataset.source.read(index), name, max_pixels=dataset.max_pixels)
            except ImageError as error:
                tally.failures.append(Unreadable.of(index, name, error))
                continue
            tally.add(picture)
            sizes[index] = picture.image.size
            reduced = _reduced(picture.image)
            thumbs[index] = thumb(reduced)
            grey = as_pixels(reduced.convert("L"))
            greys.setdefault(grey.shape, []).append((index, grey))
        for several in greys.values():
            indices, pictures = zip(*several, strict=True)
            sharpness[list(indices)] = sharpness_of(np.stack(pictures))

    for_each_few(work, count, progress, "Checking pictures")
    counters = (Counter(names) for names in (tally.formats, tally.modes, tally.conversions))
    return Measures(sizes, thumbs, sharpness, tuple(sorted(tally.failures)), *counters)


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(1, max(image.size) // _GREY_SIDE)
    return image.reduce(factor) if factor > 1 else image


def sharpness_of(greys: Bytes) -> Floats:
    """Of uint8 [n, height, width]: the variance of the second derivative over that of the picture.

    1 where there is too little to judge by.
    """
    count, height, width = greys.shape
    judged = np.ones(count, np.float32)
    if min(height, width) < 3:
        return judged
    step = max(2, height // _JUDGED_ROWS)  # some of the rows are as good, and far less work
    rows = [greys[:, start : start + height - 2 : step].astype(np.int16) for start in range(3)]
    second = 4 * rows[1][..., 1:-1]
    for neighbour in (rows[0][..., 1:-1], rows[2][..., 1:-1], rows[1][..., :-2], rows[1][..., 2:]):
        second -= neighbour
    variance = _variance(rows[1])
    enough = variance >= _LEAST_VARIANCE
    sharp = np.maximum(_variance(second) - _ROUNDING, 0)
    np.divide(sharp, variance, out=judged, where=enough)
    return judged


def _variance(values: npt.NDArray[np.int16]) -> Floats:
    """Of each row of [n, ...]."""
    flat = values.reshape(len(values), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    variance: Floats = np.einsum("ij,ij->i", flat, flat) / np.float32(flat.shape[1])
    return variance


def exact_pairs(dataset: ImageDataset, measures: Measures) -> Pairs:
    """Pairs of samples with the same decoded pixels; only equal thumbnails are read again."""
    readable = np.flatnonzero(measures.readable())
    candidates = readable[equal_pairs(_sums(measures.thumbs[readable], measures.sizes[readable]))]
    digests = {int(index): _digest(dataset, int(index)) for index in np.unique(candidates)}
    same = [digests[one] == digests[other] for one, other in candidates.tolist()]
    chosen: Pairs = candidates[np.asarray(same, bool)]
    return chosen


def _sums(thumbs: Thumbs, sizes: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """A number for thumbnail and size, the same for equal ones and hardly ever for others."""
    words = thumbs.reshape(len(thumbs), SIDE * SIDE * 3).view(np.uint64)
    weights = np.random.default_rng(0).integers(0, 2**64, words.shape[1], np.uint64)
    sums: npt.NDArray[np.uint64] = sizes.astype(np.uint64) @ weights[:2]
    for start in range(0, len(words), _CHUNK):
        sums[start : start + _CHUNK] += words[start : start + _CHUNK] @ weights
    return sums


def _digest(dataset: ImageDataset, index: int) -> bytes:
    return hashlib.sha256(dataset.load(index).tobytes()).digest()


def bright_share(thumbs: Thumbs, limit: float) -> Floats:
    """The share of each thumbnail's pixels whose grey value reaches `limit`."""
    share = np.zeros(len(thumbs), np.float32)
    for start in range(0, len(thumbs), _CHUNK):
        grey = thumbs[start : start + _CHUNK].reshape(-1, 3) @ np.ones(3, np.float32)
        share[start : start + _CHUNK] = (grey >= 3 * limit).reshape(-1, SIDE * SIDE).mean(axis=1)
    return share
