"""The same picture twice: re-encoded, resized, or byte for byte.

A thumbnail of 32x32 pixels stands for a picture. Its lowest 8x8 frequencies, a sketch, find the pairs; for
all but the smallest pictures the thumbnails themselves must agree as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from snaptune.data.dataset import Ints

SIDE = 32
_WAVES = 8

MAX_DISTANCE, MAX_DISTANCE_SMALL = 0.12, 0.07
"""Largest distance of two sketches of one picture, as a share of the weaker one's contrast.

The second is for pictures hardly larger than the thumbnail, where different things look alike.
"""

MAX_DIFFERENCE = 0.14
"""Largest mean difference of two thumbnails of one picture, as a share of contrast; not for small ones."""

SMALL_SIDE = 64
_FLAT = 4.0
_LEAF, _SPLIT_BY, _MOST_OVERLAP = 1024, 20, 1.25
_BLOCK, _MOST_COMPARED, _PARTNERS = 256, 8192, 20
_CHUNK = 1024

Thumbs = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Pairs = npt.NDArray[np.int64]
"""int64 [n, 2]: two samples each, the smaller index first."""


def thumb(image: Image.Image) -> Thumbs:
    """uint8 [32, 32, 3] of an RGB picture, its sides stretched to fit."""
    return as_pixels(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=1.5))


def as_pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    """uint8 of an RGB or grey picture, read-only; faster than numpy's own way for small ones."""
    channels = (3,) if image.mode == "RGB" else ()
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, *channels)


def near_pairs(thumbs: Thumbs, small: npt.NDArray[np.bool_]) -> Pairs:
    """Pairs of samples whose thumbnails show one picture; `small` marks those below `SMALL_SIDE` pixels.

    Blank pictures are never paired. Of many pictures that all show the same, each is paired with some.
    """
    contrast = contrast_of(thumbs)
    busy = np.flatnonzero(contrast > _FLAT)
    sketches = _sketches(thumbs, busy)
    found = [np.empty((0, 2), np.int64)]
    radius = MAX_DISTANCE_SMALL if small[busy].all() else MAX_DISTANCE
    for places in _neighbours(sketches.keys(), radius):
        pairs = busy[places]
        limit = np.where(small[pairs].any(axis=1), MAX_DISTANCE_SMALL, MAX_DISTANCE)
        close = sketches.distances(places) <= limit
        found.append(pairs[close])
    proposed = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return proposed[small[proposed].any(axis=1) | _alike(thumbs, contrast * MAX_DIFFERENCE, proposed)]


def equal_pairs(digests: np.ndarray) -> Pairs:
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


def contrast_of(thumbs: Thumbs) -> Floats:
    """Standard deviation over pixels and channels of each thumbnail."""
    spread = np.zeros(len(thumbs), np.float32)
    for start in range(0, len(thumbs), _CHUNK):
        rows = thumbs[start : start + _CHUNK].reshape(-1, SIDE * SIDE * 3).astype(np.float32)
        squares = np.einsum("ij,ij->i", rows, rows) / rows.shape[1]
        spread[start : start + _CHUNK] = np.sqrt(np.maximum(squares - rows.mean(axis=1) ** 2, 0))
    return spread


@dataclass(frozen=True, eq=False)
class _Sketches:
    """The lowest frequencies, float32 [n, 8, 8, 3], and the length of each without its mean grey."""

    waves: Floats
    contrast: Floats

    def keys(self) -> Floats:
        """The grey ones, [n, 63], the lowest first, as a share of contrast; far here is far in all."""
        rows, columns = np.divmod(np.arange(1, _WAVES**2), _WAVES)
        order = np.argsort(rows + columns, kind="stable")
        grey = self.waves.sum(axis=3)[:, rows[order], columns[order]]
        keys: Floats = np.ascontiguousarray(grey / (np.float32(np.sqrt(3)) * self.contrast[:, None]))
        return keys

    def distances(self, pairs: Pairs) -> Floats:
        """Of each pair, as a share of the lesser contrast."""
        left, right = pairs.T
        apart = (self.waves[left] - self.waves[right]).reshape(len(pairs), -1)
        lesser = np.minimum(self.contrast[left], self.contrast[right])
        distances: Floats = np.sqrt(np.einsum("ij,ij->i", apart, apart)) / lesser
        return distances


def _sketches(thumbs: Thumbs, chosen: Ints) -> _Sketches:
    waves = np.empty((len(chosen), _WAVES, _WAVES, 3), np.float32)
    down = _wave_weights()
    across = np.kron(down.T, np.eye(3, dtype=np.float32))
    for start in range(0, len(chosen), _CHUNK):
        rows = thumbs[chosen[start : start + _CHUNK]].astype(np.float32).reshape(-1, SIDE, SIDE * 3)
        halfway = (down @ rows).reshape(-1, SIDE * 3)
        waves[start : start + _CHUNK] = (halfway @ across).reshape(-1, _WAVES, _WAVES, 3)
    squares = np.einsum("ijkl,ijkl->i", waves, waves) - waves[:, 0, 0].sum(axis=1) ** 2 / 3
    return _Sketches(waves, np.sqrt(np.maximum(squares, 1e-6)))


@cache
def _wave_weights() -> Floats:
    """float32 [8, 32]: 32 pixels reduced to 8 with antialiasing, then the eight cosine waves of those."""
    pixels = [Image.fromarray(row[None]) for row in np.eye(SIDE, dtype=np.float32)]
    reduced = [np.asarray(row.resize((_WAVES, 1), Image.Resampling.BICUBIC))[0] for row in pixels]
    place = (np.arange(_WAVES) + 0.5) * np.pi / _WAVES
    cosines = np.cos(np.arange(_WAVES)[:, None] * place[None, :]) * np.sqrt(2 / _WAVES)
    cosines[0] /= np.sqrt(2)
    weights: Floats = (cosines @ np.stack(reduced, axis=1)).astype(np.float32)
    return weights


def _neighbours(points: Floats, radius: float) -> Iterator[Pairs]:
    """Pairs of points no further apart than `radius`, some more than once.

    Space is halved along the first coordinates, where they spread most, the halves overlapping by `radius`
    so that no pair is cut. Where few points are left, or halving parts few, all are compared.
    """
    waiting = [np.arange(len(points))]
    while waiting:
        members = waiting.pop()
        inside = points[members, :_SPLIT_BY]
        axis = int(inside.std(axis=0).argmax()) if len(members) else 0
        if len(members) > _LEAF:
            middle = np.median(inside[:, axis])
            low = members[inside[:, axis] <= middle + radius / 2]
            high = members[inside[:, axis] >= middle - radius / 2]
            if len(low) + len(high) < _MOST_OVERLAP * len(members):
                waiting += [low, high]
                continue
        yield from _compared(points, members[np.argsort(inside[:, axis], kind="stable")], axis, radius)


def _compared(points: Floats, members: Ints, axis: int, radius: float) -> Iterator[Pairs]:
    """Each of some points, in the order of one coordinate, with those behind it that are near.

    The number compared and the number paired are bounded, for sets in which all pictures are alike.
    """
    ordered = points[members]
    lengths = np.einsum("ij,ij->i", ordered, ordered)
    for start in range(0, len(members), _BLOCK):
        rows = slice(start, start + _BLOCK)
        furthest = ordered[rows][-1, axis] + radius
        end = int(np.searchsorted(ordered[:, axis], furthest, side="right"))
        columns = slice(start, min(end, start + _MOST_COMPARED))
        apart = ordered[rows] @ (-2 * ordered[columns].T)
        apart += lengths[rows, None]
        apart += lengths[columns]
        near = np.triu(apart <= radius**2 + 1e-5, 1)
        if near.sum() > _PARTNERS * len(near):
            near &= np.cumsum(near, axis=1, dtype=np.int32) <= _PARTNERS
        left, right = np.nonzero(near)
        if len(left):
            yield np.column_stack([members[rows][left], members[columns][right]])


def _alike(thumbs: Thumbs, limits: npt.NDArray[np.floating], pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Whether the thumbnails of each pair differ on average by no more than the limit of either."""
    verdicts = [np.empty(0, np.bool_)]
    for start in range(0, len(pairs), _CHUNK):
        left, right = pairs[start : start + _CHUNK].T
        difference = np.abs(thumbs[left].astype(np.int16) - thumbs[right]).mean(axis=(1, 2, 3))
        verdicts.append(difference <= np.minimum(limits[left], limits[right]))
    return np.concatenate(verdicts)
