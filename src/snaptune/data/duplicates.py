"""The same picture twice: re-encoded, resized, or byte for byte.

A thumbnail of 32x32 pixels stands for a picture. Pairs whose sketches, the lowest 8x8 frequencies, are close
are compared frequency by frequency: what differs must be explained by what resizing and compressing do. For
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

_RADIUS = 0.14
"""Pairs of sketches further apart than this share of contrast are not looked at."""

MAX_DEVIATION = 1.4
"""How much larger than explained the differences of two sketches may be, root mean square of each channel."""

_LOSS, _COLOUR_LOSS = 1.2, 2
"""What resizing takes: this share of a frequency at the limit of the smaller picture, and less below it as
the square; the softest filter (triangular) takes about as much. Compressed colour has half the resolution.
"""

_NOISE, _COLOUR_NOISE = 4.0, 3
"""What compressing adds: grey levels a pixel of the smaller picture, and how much more in colour."""

_TONE = 0.026
"""And in each frequency of the sketch, as a share of the thumbnail's contrast: rounding of sizes and of
colours, and what aliasing brings down from finer frequencies.
"""

MAX_DIFFERENCE, _MAX_GREY_DIFFERENCE = 0.1, 2.0
"""Largest mean difference of two thumbnails: a share of contrast, and grey levels; not for small ones."""

SMALL_SIDE = 64
LARGEST = 255
"""Sides are told apart up to this: in larger pictures a sketch loses nothing."""

_FLAT = 4.0
_LEAF, _SPLIT_BY, _MOST_OVERLAP = 1024, 20, 1.25
_BLOCK, _MOST_COMPARED, _PARTNERS = 256, 8192, 20
CHUNK = 256
"""Thumbnails that are worked on together: so many stay in the caches of a processor."""

Thumbs = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Sides = npt.NDArray[np.uint8]
"""uint8 [n, 2]: width and height, at most `LARGEST`."""
Pairs = npt.NDArray[np.int64]
"""int64 [n, 2]: two samples each, the smaller index first."""


def thumb(image: Image.Image) -> Thumbs:
    """uint8 [32, 32, 3] of an RGB picture, its sides stretched to fit; read-only."""
    small = min(image.size) < SMALL_SIDE
    filter_ = Image.Resampling.BICUBIC if small else Image.Resampling.BILINEAR
    gap = 2.0 if max(image.size) > LARGEST else None  # a step more costs small pictures more than it saves
    resized = image.resize((SIDE, SIDE), filter_, reducing_gap=gap)
    return np.frombuffer(resized.tobytes(), np.uint8).reshape(SIDE, SIDE, 3)  # faster than numpy's own way


def sides_of(sizes: npt.ArrayLike) -> Sides:
    """Of widths and heights, [..., 2]."""
    return np.minimum(sizes, LARGEST).astype(np.uint8)


def variance(values: npt.NDArray[np.generic]) -> Floats:
    """Of each row of [n, ...]."""
    flat = values.reshape(len(values), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    found: Floats = np.einsum("ij,ij->i", flat, flat) / np.float32(flat.shape[1])
    return found


def near_pairs(thumbs: Thumbs, sides: Sides, contrast: Floats | None = None) -> Pairs:
    """Pairs of samples whose thumbnails show one picture; `contrast` is theirs, where it is known.

    Blank pictures are never paired. Of many pictures that all show the same, each is paired with some.
    """
    contrast = contrast_of(thumbs) if contrast is None else contrast
    limits = contrast * MAX_DIFFERENCE + _MAX_GREY_DIFFERENCE
    busy = np.flatnonzero(contrast > _FLAT)
    sketches, busy_sides = _sketches(thumbs, busy), sides[busy]
    near = _neighbours(sketches.keys(), _RADIUS)
    found = [busy[sketches.explained(places, busy_sides)] for places in near]
    pairs = np.concatenate([np.empty((0, 2), np.int64), *found])
    proposed: Pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    small = (sides[proposed].max(axis=2) < SMALL_SIDE).any(axis=1)
    chosen: Pairs = proposed[small | _alike(thumbs, limits, proposed)]
    return chosen


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
    """Standard deviation of each thumbnail over its pixels, root mean square of the channels."""
    spread = np.zeros(len(thumbs), np.float32)
    channels = np.tile(np.eye(3, dtype=np.float32), (SIDE * SIDE, 1))
    for start in range(0, len(thumbs), CHUNK):
        rows = thumbs[start : start + CHUNK].reshape(-1, SIDE * SIDE * 3).astype(np.float32)
        squares = np.einsum("ij,ij->i", rows, rows) / (SIDE * SIDE * 3)
        means = ((rows @ channels / (SIDE * SIDE)) ** 2).mean(axis=1)
        spread[start : start + CHUNK] = np.sqrt(np.maximum(squares - means, 0))
    return spread


@dataclass(frozen=True, eq=False)
class _Sketches:
    """The lowest frequencies, float32 [3, n, 64], and the length of each in RGB without its mean grey.

    The first channel is luma, the others are the two colours that JPEG and WebP store. `fine_contrast` is
    that length of the whole thumbnail, root mean square of its pixels.
    """

    waves: Floats
    contrast: Floats
    fine_contrast: Floats

    def keys(self) -> Floats:
        """Luma, [n, 63], the lowest frequencies first, as a share of contrast."""
        rows, columns = np.divmod(np.arange(1, _WAVES**2), _WAVES)
        order = 1 + np.argsort(rows + columns, kind="stable")
        keys: Floats = self.waves[0][:, order] * (np.float32(np.sqrt(3)) / self.contrast[:, None])
        return keys

    def explained(self, pairs: Pairs, sides: Sides) -> Pairs:
        """Those whose differences are no larger, in any channel, than resizing and compressing explain."""
        kept = [np.empty((0, 2), np.int64)]
        for start in range(0, len(pairs), CHUNK):
            chosen = pairs[start : start + CHUNK]
            for channel in range(3):
                chosen = chosen[self._deviation(chosen, sides, channel) <= MAX_DEVIATION**2]
            kept.append(chosen)
        return np.concatenate(kept)

    def _deviation(self, pairs: Pairs, sides: Sides, channel: int) -> Floats:
        """Mean square of one channel's differences, each as a multiple of what is expected."""
        one, other = (self.waves[channel][places] for places in pairs.T)
        smaller = sides[pairs].min(axis=1).astype(np.float32)
        tone = self.fine_contrast[pairs].min(axis=1) * np.float32(_TONE)
        noise = np.float32(_NOISE * _WAVES) / np.sqrt(smaller.prod(axis=1))  # a sketch averages over pixels
        louder = np.float32(_COLOUR_NOISE if channel else 1)
        expected = _lost(smaller, _COLOUR_LOSS if channel else 1) ** 2
        expected *= one**2 + other**2
        expected *= 0.5
        expected += (louder**2 * (noise**2 + tone**2))[:, None]
        deviation: Floats = ((one - other) ** 2 / expected).mean(axis=1)
        return deviation


def _lost(sides: npt.NDArray[np.float32], times: float) -> Floats:
    """float32 [n, 64]: the share of each frequency that resizing takes from pictures of some sides."""
    waves = np.arange(_WAVES, dtype=np.float32) * np.float32(np.sqrt(_LOSS) * times)
    across, down = ((waves / sides[:, axis, None]) ** 2 for axis in (0, 1))
    lost = down[:, :, None] + across[:, None, :]
    return np.minimum(lost, 1).reshape(-1, _WAVES**2)


_LUMA_CHROMA = np.array([[0.299, -0.169, 0.5], [0.587, -0.331, -0.419], [0.114, 0.5, -0.081]], np.float32)


def _sketches(thumbs: Thumbs, chosen: Ints) -> _Sketches:
    waves = np.empty((3, len(chosen), _WAVES**2), np.float32)
    contrast, fine_contrast = np.empty((2, len(chosen)), np.float32)
    down = _wave_weights()
    across = np.kron(down.T, np.eye(3, dtype=np.float32))
    for start in range(0, len(chosen), CHUNK):
        rows = thumbs[chosen[start : start + CHUNK]].astype(np.float32).reshape(-1, SIDE, SIDE * 3)
        halfway = (down @ rows).reshape(-1, SIDE * 3)
        colours = (halfway @ across).reshape(-1, _WAVES**2, 3)
        squares = np.einsum("ijk,ijk->i", colours, colours) - colours[:, 0].sum(axis=1) ** 2 / 3
        contrast[start : start + CHUNK] = np.sqrt(np.maximum(squares, 1e-6))
        fine_contrast[start : start + CHUNK] = np.sqrt(variance(rows))
        waves[:, start : start + CHUNK] = np.moveaxis(colours @ _LUMA_CHROMA, 2, 0)
    return _Sketches(waves, contrast, fine_contrast)


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

    The number compared is bounded, and so is the number paired, to the nearest: in some sets all are alike.
    """
    ordered = points[members]
    lengths = np.einsum("ij,ij->i", ordered, ordered)[:, None]
    ones = np.ones_like(lengths)
    left = np.concatenate([ordered, lengths, ones], axis=1)
    right = np.concatenate([-2 * ordered, ones, lengths], axis=1)  # squared distance is their product
    for start in range(0, len(members), _BLOCK):
        rows = slice(start, start + _BLOCK)
        furthest = ordered[rows][-1, axis] + radius
        end = int(np.searchsorted(ordered[:, axis], furthest, side="right"))
        columns = slice(start, min(end, start + _MOST_COMPARED))
        apart = left[rows] @ right[columns].T
        near = apart <= radius**2 + 1e-5
        near[:, : len(near)] = np.triu(near[:, : len(near)], 1)
        if near.sum() > _PARTNERS * len(near):
            near &= _nearest(np.where(near, apart, np.inf))
        first, second = np.nonzero(near)
        if len(first):
            yield np.column_stack([members[rows][first], members[columns][second]])


def _nearest(apart: Floats) -> npt.NDArray[np.bool_]:
    """In each row the `_PARTNERS` least."""
    chosen = np.zeros(apart.shape, np.bool_)
    np.put_along_axis(chosen, np.argpartition(apart, _PARTNERS, axis=1)[:, :_PARTNERS], True, axis=1)
    return chosen


def _alike(thumbs: Thumbs, limits: npt.NDArray[np.floating], pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Whether the thumbnails of each pair differ on average by no more than the limit of either."""
    verdicts = [np.empty(0, np.bool_)]
    for start in range(0, len(pairs), CHUNK):
        left, right = pairs[start : start + CHUNK].T
        difference = np.abs(thumbs[left].astype(np.int16) - thumbs[right]).mean(axis=(1, 2, 3))
        verdicts.append(difference <= np.minimum(limits[left], limits[right]))
    return np.concatenate(verdicts)
