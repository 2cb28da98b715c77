"""The deterministic prefix of the recipe, computed once for all samples.

Small sets stay in memory. Larger ones are kept in a folder of the cache, named after everything that
the pixels depend on, and mapped into memory from there.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL
from filelock import FileLock
from PIL import features

from snaptune.data.cache_folder import cache_folder
from snaptune.data.dataset import ImageDataset, Ints
from snaptune.data.duplicates import SIDE, Pairs, Sides, Thumbs, near_pairs
from snaptune.data.parallel import Progress, for_each_few, silent, workers_for
from snaptune.data.prepared_store import Arrays, create, open_finished
from snaptune.data.rows import fill_row, made_rows, make_rows, settings_of
from snaptune.data.streamed import Streamed
from snaptune.data.unreadable import Unreadable, refuse
from snaptune.data.workers import Workers
from snaptune.errors import DataError, ImageError
from snaptune.images.preprocess import Preprocess

__all__ = ["Prepared", "Progress", "Rows", "cache_key", "prepare", "silent"]

IN_MEMORY = 64 * 2**20
"""Sets of up to so many bytes are prepared in memory and not kept."""

_WRITTEN_AT_ONCE = 2**20
"""Bytes of pixels handed over together: to write tiny pictures one by one costs as much as decoding them."""

_RECIPE_VERSION = 3
_CODECS = ("jpg", "libjpeg_turbo", "zlib", "zlib_ng", "libtiff", "webp", "avif", "jpg_2000")


class Rows(Protocol):
    """What is asked of prepared pictures: some of them, by index, as uint8 [n, size, size, 3]."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> Any: ...


class _Sink(Protocol):
    """Where what was made of pictures goes."""

    def put(self, start: int, rows: Arrays) -> None: ...


@dataclass(frozen=True, eq=False)
class Prepared:
    """Prepared pictures, one row a sample of the data set, in its order.

    `pixels` is uint8 [n, size, size, 3]: an array, mapped from the cache for larger sets, or decoded at
    every access (`Streamed`). Rows of `failures` are black or raise `ImageError`, and must not be used;
    `thumbs` and `sides` serve to find duplicates.
    """

    pixels: Rows
    failures: tuple[Unreadable, ...]
    thumbs: Thumbs
    sides: Sides

    def readable(self) -> Ints:
        """Indices of the samples that could be read."""
        failed = [item.index for item in self.failures]
        return np.setdiff1d(np.arange(len(self.pixels)), failed).astype(np.int64)

    def near_duplicates(self) -> Pairs:
        """Pairs of samples that show one picture, for a split that keeps them on one side."""
        return near_pairs(self.thumbs, self.sides)


def prepare(
    dataset: ImageDataset,
    preprocess: Preprocess,
    progress: Progress = silent,
    *,
    skip_unreadable: bool = False,
    unreadable_file: Path | None = None,
    cache: Path | None = None,
    in_memory: int = IN_MEMORY,
    keep: bool = True,
    workers: int = 0,
    say: Callable[[str], None] = print,
) -> Prepared:
    """Decode and resize every picture, or map what an earlier call has kept in `cache`.

    Unreadable pictures raise one `DataError` that counts them all, with the list in `unreadable_file`;
    with `skip_unreadable` they are `failures` of the result. Where the disk has no room, `say` is told
    and, as without `keep`, pictures are decoded whenever they are asked for: in `workers` processes, or
    in threads of this one where there are 0.
    """
    make = _Maker(dataset, preprocess)
    needed = len(dataset) * (preprocess.size**2 + SIDE**2) * 3
    if not keep:
        prepared = _streamed(make, progress, workers)
    elif needed <= in_memory:
        prepared = _in_memory(make, progress)
    else:
        folder = cache if cache is not None else cache_folder() / "prepared"
        prepared = _kept(make, folder, needed, progress, say) or _streamed(make, progress, workers)
    if prepared.failures and not skip_unreadable:
        raise refuse(prepared.failures, len(dataset), unreadable_file)
    if len(prepared.failures) == len(dataset):
        raise DataError(f"None of the {len(dataset)} images of '{dataset.name}' can be read.")
    return prepared


def cache_key(dataset: ImageDataset, preprocess: Preprocess) -> str:
    """SHA-256 over all that prepared pixels depend on: the files, the recipe, the decoders."""
    codecs = [f"{name} {features.version(name)}" for name in _CODECS]
    recipe = f"{_RECIPE_VERSION} {preprocess.size} {dataset.max_pixels} {PIL.__version__} {codecs}"
    digest = hashlib.sha256(recipe.encode())
    digest.update("\0".join(dataset.ids).encode())
    digest.update(dataset.source.stamp())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Maker:
    """From an index to prepared pixels."""

    dataset: ImageDataset
    preprocess: Preprocess

    def rows(self, indices: range) -> tuple[Arrays, list[Unreadable]]:
        """The rows of some samples, black where one cannot be read, and why."""
        rows = Arrays.zeros(len(indices), self.preprocess.size)
        found = [self._fill(rows, place, index) for place, index in enumerate(indices)]
        return rows, [failure for failure in found if failure is not None]

    def rows_of(self, workers: Workers, indices: range) -> tuple[Arrays, list[Unreadable]]:
        """The same by a worker; what it cannot read, this process tries, and says why."""
        answer = workers.answer(len(indices), self.dataset.encoded(indices))
        known, rows = made_rows(answer, len(indices), self.preprocess.size)
        if known.all():
            return rows, []
        rows = Arrays(*(array.copy() for array in rows))
        found = [self._fill(rows, place, indices[place]) for place in np.flatnonzero(known == 0).tolist()]
        return rows, [failure for failure in found if failure is not None]

    def _fill(self, rows: Arrays, place: int, index: int) -> Unreadable | None:
        try:
            fill_row(rows, place, self.dataset.load(index), self.preprocess)
        except ImageError as error:
            return Unreadable.of(index, str(self.dataset.ids[index]), error)
        return None


def _fill(make: _Maker, sink: _Sink, progress: Progress, title: str) -> tuple[Unreadable, ...]:
    failures: list[Unreadable] = []
    size, count = make.preprocess.size, len(make.dataset)
    at_once = max(1, _WRITTEN_AT_ONCE // (size * size * 3))

    def fill(rows_of: Callable[[range], tuple[Arrays, list[Unreadable]]], numbers: range) -> None:
        for start in numbers[::at_once]:
            rows, unreadable = rows_of(range(start, min(start + at_once, numbers.stop)))
            failures.extend(unreadable)
            sink.put(start, rows)

    with workers_for(count, make_rows, settings_of(make.preprocess, make.dataset.max_pixels)) as workers:
        rows_of = make.rows if workers is None else partial(make.rows_of, workers)
        for_each_few(partial(fill, rows_of), count, progress, title)
    return tuple(sorted(failures))


def _in_memory(make: _Maker, progress: Progress) -> Prepared:
    arrays = Arrays.zeros(len(make.dataset), make.preprocess.size)
    failures = _fill(make, arrays, progress, "Preparing pictures")
    return Prepared(arrays.pixels, failures, arrays.thumbs, arrays.sides)


def _kept(
    make: _Maker, folder: Path, needed: int, progress: Progress, say: Callable[[str], None]
) -> Prepared | None:
    """Mapped from the cache; built first, by one process at a time, where it is not there yet.

    None where that fails, and `say` is told why.
    """
    count, size = len(make.dataset), make.preprocess.size
    place = folder / cache_key(make.dataset, make.preprocess)
    found = open_finished(place, count, size)
    if found is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(place.with_suffix(".lock")):
                found = open_finished(place, count, size)
                if found is None:
                    _check_room(folder, needed)
                    _build(make, place, progress)
                    found = open_finished(place, count, size)
        except OSError as error:
            say(f"Pictures cannot be kept in '{folder}' ({error}); decoding them again in every epoch.")
    if found is None:
        return None
    arrays, failures = found
    return Prepared(arrays.pixels, failures, arrays.thumbs, arrays.sides)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed * 1.05:
        raise OSError(f"{needed / 2**30:.1f} GiB are needed, {free / 2**30:.1f} GiB are free")


def _build(make: _Maker, place: Path, progress: Progress) -> None:
    with create(place, len(make.dataset), make.preprocess.size) as files:
        failures = _fill(make, files, progress, "Preparing pictures")
        files.finish(failures, make.dataset.name)


class _Thumbs:
    """Where pictures are not kept: all but their pixels."""

    def __init__(self, count: int) -> None:
        self.thumbs = np.zeros((count, SIDE, SIDE, 3), np.uint8)
        self.sides = np.zeros((count, 2), np.uint8)

    def put(self, start: int, rows: Arrays) -> None:
        end = start + len(rows.thumbs)
        self.thumbs[start:end], self.sides[start:end] = rows.thumbs, rows.sides


def _streamed(make: _Maker, progress: Progress, workers: int) -> Prepared:
    """Decoded once to learn what cannot be read and what shows one picture."""
    seen = _Thumbs(len(make.dataset))
    failures = _fill(make, seen, progress, "Checking pictures")
    rows = Streamed(make.dataset, make.preprocess, workers)
    return Prepared(rows, failures, seen.thumbs, seen.sides)
