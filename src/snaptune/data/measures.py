"""What one pass over the pictures learns of each: a few numbers and a thumbnail, in arrays."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np
import numpy.typing as npt
from PIL import Image

from snaptune.data.dataset import ImageDataset
from snaptune.data.duplicates import CHUNK, SIDE, Floats, Pairs, Thumbs, equal_pairs, thumb, variance
from snaptune.data.parallel import Progress, for_each_few, workers_for
from snaptune.data.unreadable import Unreadable
from snaptune.data.workers import Pictures, Workers
from snaptune.errors import ImageError
from snaptune.images.load import Decoded, decode

_JUDGED_SIDE = 256
"""Sharpness is measured on pictures reduced to about this side, so that file size does not decide it."""

_ROUNDING = 20 / 12
"""Variance that rounding to whole values gives the second derivative (weights 4, -1, -1, -1, -1)."""

_LEAST_VARIANCE = 25.0

BLURRED = 0.006
"""Sharpness below which no edge is sharp."""

_JUDGED_ROWS = 16
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Measures:
    """Arrays over all samples; rows of `failures` are zero.

    `sizes` are width and height, upright; `sharpness` is the variance of the second derivative as a
    share of the variance of the picture, in green, or in brightness where that is less than `BLURRED`;
    `formats`, `modes` and `conversions` count pictures.
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


Kind = tuple[str, str, tuple[str, ...]]
"""Format, mode, and the conversions made."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """What is learnt of some pictures, zeros of one that cannot be read; and how many are of each kind."""

    sizes: npt.NDArray[np.int32]
    sharpness: Floats
    thumbs: Thumbs
    kinds: Counter[Kind]

    @classmethod
    def zeros(cls, count: int) -> _Rows:
        thumbs = np.zeros((count, SIDE, SIDE, 3), np.uint8)
        return cls(np.zeros((count, 2), np.int32), np.zeros(count, np.float32), thumbs, Counter())

    def put(self, places: Sequence[int], rows: _Rows) -> None:
        self.sizes[places], self.sharpness[places] = rows.sizes, rows.sharpness
        self.thumbs[places] = rows.thumbs
        self.kinds.update(rows.kinds)

    def parts(self) -> Sequence[bytes | memoryview]:
        return [
            self.sizes.data,
            self.sharpness.data,
            self.thumbs.data,
            json.dumps([*self.kinds.items()]).encode(),
        ]

    @classmethod
    def of(cls, data: bytes, count: int) -> _Rows:
        """The rows whose parts follow one another in `data`."""
        rows, start = cls.zeros(count), 0
        for array in (rows.sizes, rows.sharpness, rows.thumbs):
            array[...] = np.frombuffer(data, array.dtype, array.size, start).reshape(array.shape)
            start += array.nbytes
        for (kind, mode, conversions), times in json.loads(data[start:]):
            rows.kinds[kind, mode, tuple(conversions)] = times
        return rows


Greens = dict[tuple[int, int], list[tuple[int, bytes]]]
"""Size -> places and green channels: those of one size are judged together."""


def measure(dataset: ImageDataset, progress: Progress) -> Measures:
    """Decode every picture once, and those without a sharp edge in green again."""
    rows, failures, lock = _Rows.zeros(len(dataset)), list[Unreadable](), Lock()
    learner = _Learner(dataset)

    def work(learn: Callable[[range], tuple[_Rows, list[Unreadable]]], numbers: range) -> None:
        some, unreadable = learn(numbers)
        with lock:
            rows.put(numbers, some)
            failures.extend(unreadable)

    with workers_for(len(dataset), learn_rows, str(dataset.max_pixels)) as workers:
        learn = learner.rows if workers is None else partial(learner.rows_of, workers)
        for_each_few(partial(work, learn), len(dataset), progress, "Checking pictures")
    _judge_again(dataset, rows, progress)
    formats, modes, conversions = Counter[str](), Counter[str](), Counter[str]()
    for (kind, mode, made), times in rows.kinds.items():
        formats[kind] += times
        modes[mode] += times
        conversions.update(dict.fromkeys(made, times))
    failed = tuple(sorted(failures))
    return Measures(rows.sizes, rows.thumbs, rows.sharpness, failed, formats, modes, conversions)


def _judge_again(dataset: ImageDataset, rows: _Rows, progress: Progress) -> None:
    """Where green, which costs half of brightness, has no sharp edge: it may lie between other colours."""
    doubtful = np.flatnonzero((rows.sizes[:, 0] > 0) & (rows.sharpness < BLURRED))

    def work(numbers: range) -> None:
        for index in doubtful[numbers]:
            rows.sharpness[index] = _brightness_sharpness(dataset.load(int(index)))

    if len(doubtful):
        for_each_few(work, len(doubtful), progress, "Looking for sharp edges")


@dataclass(frozen=True, eq=False)
class _Learner:
    """From indices to what is learnt of those samples, and why some cannot be read."""

    dataset: ImageDataset

    def rows(self, indices: Sequence[int]) -> tuple[_Rows, list[Unreadable]]:
        rows, failures, greens = _Rows.zeros(len(indices)), list[Unreadable](), Greens()
        for place, index in enumerate(indices):
            name = str(self.dataset.ids[index])
            try:
                picture = decode(self.dataset.source.read(index), name, max_pixels=self.dataset.max_pixels)
            except ImageError as error:
                failures.append(Unreadable.of(index, name, error))
            else:
                _take(rows, greens, place, picture)
        _judge(rows, greens)
        return rows, failures

    def rows_of(self, workers: Workers, indices: Sequence[int]) -> tuple[_Rows, list[Unreadable]]:
        """The same by a worker; what it cannot read, this process tries, and says why."""
        rows = _Rows.of(workers.answer(len(indices), self.dataset.encoded(indices)), len(indices))
        places = np.flatnonzero(rows.sizes[:, 0] == 0).tolist()
        if not places:
            return rows, []
        some, failures = self.rows([indices[place] for place in places])
        rows.put(places, some)
        return rows, failures


def learn_rows(settings: str, count: int, pictures: Pictures) -> Sequence[bytes | memoryview]:
    """A task of workers, whose settings are the largest number of pixels."""
    rows, greens = _Rows.zeros(count), Greens()
    for place, (name, data) in enumerate(pictures):
        with suppress(ImageError):
            _take(rows, greens, place, decode(data, name, max_pixels=int(settings)))
    _judge(rows, greens)
    return rows.parts()


def _take(rows: _Rows, greens: Greens, place: int, picture: Decoded) -> None:
    rows.kinds[picture.format, picture.mode, picture.conversions] += 1
    rows.sizes[place] = picture.image.size
    reduced = _reduced(picture.image)
    rows.thumbs[place] = thumb(reduced)
    greens.setdefault(reduced.size, []).append((place, reduced.tobytes("raw", "G")))


def _judge(rows: _Rows, greens: Greens) -> None:
    for (width, height), several in greens.items():
        places, alike = zip(*several, strict=True)
        channels = np.frombuffer(b"".join(alike), np.uint8).reshape(-1, height, width)
        rows.sharpness[list(places)] = sharpness_of(channels)


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(1, max(image.size) // _JUDGED_SIDE)
    return image.reduce(factor) if factor > 1 else image


def _brightness_sharpness(image: Image.Image) -> float:
    brightness = np.asarray(_reduced(image).convert("L"))
    return float(sharpness_of(brightness[None])[0])


def sharpness_of(channels: Bytes) -> Floats:
    """Of uint8 [n, height, width]: the variance of the second derivative over that of the picture.

    1 where there is too little to judge by.
    """
    count, height, width = channels.shape
    judged = np.ones(count, np.float32)
    if min(height, width) < 3:
        return judged
    step = max(2, height // _JUDGED_ROWS)  # some of the rows are as good, and far less work
    rows = [channels[:, start : start + height - 2 : step].astype(np.int16) for start in range(3)]
    second = 4 * rows[1][..., 1:-1]
    for neighbour in (rows[0][..., 1:-1], rows[2][..., 1:-1], rows[1][..., :-2], rows[1][..., 2:]):
        second -= neighbour
    spread = variance(rows[1])
    enough = spread >= _LEAST_VARIANCE
    sharp = np.maximum(variance(second) - _ROUNDING, 0)
    np.divide(sharp, spread, out=judged, where=enough)
    return judged


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
    for start in range(0, len(words), CHUNK):
        sums[start : start + CHUNK] += words[start : start + CHUNK] @ weights
    return sums


def _digest(dataset: ImageDataset, index: int) -> bytes:
    return hashlib.sha256(dataset.load(index).tobytes()).digest()


def bright_share(thumbs: Thumbs, limit: float) -> Floats:
    """The share of each thumbnail's pixels whose grey value reaches `limit`."""
    share = np.zeros(len(thumbs), np.float32)
    for start in range(0, len(thumbs), CHUNK):
        grey = thumbs[start : start + CHUNK].reshape(-1, 3) @ np.ones(3, np.float32)
        share[start : start + CHUNK] = (grey >= 3 * limit).reshape(-1, SIDE * SIDE).mean(axis=1)
    return share
