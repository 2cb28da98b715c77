"""The same picture twice: re-encoded, resized, or byte for byte.

A thumbnail of 32x32 pixels stands for a picture. Its 64-bit perceptual hash (the signs of the lowest
frequencies) proposes pairs; the thumbnails themselves decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image

from snaptune.data.dataset import Ints

SIDE = 32
MAX_BITS = 10
"""Hashes that differ in more bits propose no pair. Any two that differ in at most 6 meet in a table below."""

MAX_DIFFERENCE, MAX_DIFFERENCE_SMALL = 0.14, 0.05
"""Largest mean difference of two thumbnails of one picture, as a share of their contrast.

The second is for pictures hardly larger than the thumbnail, where different things look alike.
"""

SMALL_SIDE = 64
_FLAT = 4.0
_MAX_BUCKET = 2000
_CHUNK = 1024

Thumbs = npt.NDArray[np.uint8]
Pairs = npt.NDArray[np.int64]
"""int64 [n, 2]: two samples each, the smaller index first."""


def thumb(image: Image.Image) -> Thumbs:
    """uint8 [32, 32, 3] of an RGB picture, its sides stretched to fit."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(small, np.uint8)


def near_pairs(thumbs: Thumbs, small: npt.NDArray[np.bool_]) -> Pairs:
    """Pairs of samples whose thumbnails show one picture; `small` marks those below `SMALL_SIDE` pixels.

    Blank pictures are never paired.
    """
    contrast = contrast_of(thumbs)
    busy = np.flatnonzero(contrast > _FLAT)
    found = [busy[pairs] for pairs in _proposed(_hashes(thumbs[busy]))]
    proposed = np.unique(np.concatenate([np.empty((0, 2), np.int64), *found]), axis=0)
    limits = contrast * np.where(small, MAX_DIFFERENCE_SMALL, MAX_DIFFERENCE)
    return proposed[_alike(thumbs, limits, proposed)]


def equal_pairs(digests: npt.NDArray[np.void]) -> Pairs:
    """Pairs of samples with one digest: each further one with the first."""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    pairs = np.column_stack([first[inverse], np.arange(len(digests))])
    return np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)


def clusters(count: int, pairs: Pairs) -> Ints:
    """A number for each of `count` samples, the same for samples that pairs link, directly or not."""
    roots = np.arange(count)
    while True:
        low = np.minimum(roots[pairs[:, 0]], roots[pairs[:, 1]])
        linked = roots.copy()
        for side in (0, 1):
            np.minimum.at(linked, roots[pairs[:, side]], low)
        linked = linked[linked]
        if np.array_equal(linked, roots):
            return np.unique(roots, return_inverse=True)[1].astype(np.int64)
        roots = linked


def contrast_of(thumbs: Thumbs) -> npt.NDArray[np.float32]:
    """Standard deviation over pixels and channels of each thumbnail."""
    spread = np.zeros(len(thumbs), np.float32)
    for start in range(0, len(thumbs), _CHUNK):
        rows = thumbs[start : start + _CHUNK].reshape(-1, SIDE * SIDE * 3).astype(np.float32)
        squares = np.einsum("ij,ij->i", rows, rows) / rows.shape[1]
        spread[start : start + _CHUNK] = np.sqrt(np.maximum(squares - rows.mean(axis=1) ** 2, 0))
    return spread


def _hashes(thumbs: Thumbs) -> npt.NDArray[np.uint64]:
    """64 signs of the lowest 8x8 frequencies against their median."""
    waves = _cosines()
    rows = []
    for start in range(0, len(thumbs), _CHUNK):
        grey = thumbs[start : start + _CHUNK].sum(axis=3, dtype=np.uint16).astype(np.float32)
        low = (waves @ grey @ waves.T).reshape(-1, 64)
        bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
        rows.append(np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64))
    return np.concatenate(rows or [np.empty(0, np.uint64)])


def _cosines() -> npt.NDArray[np.float32]:
    """The eight lowest cosine waves over 32 pixels."""
    place = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    return np.cos(np.arange(8)[:, None] * place[None, :]).astype(np.float32)


def _proposed(hashes: npt.NDArray[np.uint64]) -> Iterator[Pairs]:
    """Pairs within `MAX_BITS`: hashes that agree in two of their eight bytes meet in one of 28 tables."""
    octets = hashes[:, None].view(np.uint8)
    for one, other in combinations(range(8), 2):
        keys = octets[:, one].astype(np.int64) << 8 | octets[:, other]
        order = np.argsort(keys, kind="stable")
        yield from _neighbours(keys[order], order, hashes)


def _neighbours(keys: Ints, order: Ints, hashes: npt.NDArray[np.uint64]) -> Iterator[Pairs]:
    """Each sample with those up to `_MAX_BUCKET` places behind it under the same key."""
    active = np.arange(len(keys))
    for step in range(1, _MAX_BUCKET):
        active = active[active + step < len(keys)]
        active = active[keys[active] == keys[active + step]]
        if not len(active):
            return
        left, right = order[active], order[active + step]
        near = np.bitwise_count(hashes[left] ^ hashes[right]) <= MAX_BITS
        if near.any():
            yield np.sort(np.column_stack([left[near], right[near]]), axis=1)


def _alike(thumbs: Thumbs, limits: npt.NDArray[np.floating], pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Whether the thumbnails of each pair differ on average by no more than the limit of either."""
    verdicts = [np.empty(0, np.bool_)]
    for start in range(0, len(pairs), _CHUNK):
        left, right = pairs[start : start + _CHUNK].T
        difference = np.abs(thumbs[left].astype(np.int16) - thumbs[right]).mean(axis=(1, 2, 3))
        verdicts.append(difference <= np.minimum(limits[left], limits[right]))
    return np.concatenate(verdicts)
