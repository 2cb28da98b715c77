"""The deterministic prefix of the recipe, computed once for all samples.

Small sets stay in memory. Larger ones are kept in a folder of the cache, named after everything that
the pixels depend on, and mapped into memory from there.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import PIL
from filelock import FileLock
from PIL import Image, features

from snaptune.data.cache_folder import cache_folder
from snaptune.data.dataset import ImageDataset, Ints
from snaptune.data.duplicates import SIDE, SMALL_SIDE, Pairs, Thumbs, near_pairs, thumb
from snaptune.data.parallel import Progress, for_each_sample, silent
from snaptune.data.prepared_store import Arrays, RowFiles, create, open_finished
from snaptune.data.unreadable import Unreadable, refuse
from snaptune.errors import DataError, ImageError
from snaptune.images.load import MAX_PIXELS, load_image
from snaptune.images.preprocess import Pixels, Preprocess

__all__ = ["Prepared", "Progress", "Rows", "cache_key", "prepare", "silent"]

IN_MEMORY = 64 * 2**20
"""Sets of up to so many bytes are prepared in memory and not kept."""

_RECIPE_VERSION = 2
_CODECS = ("jpg", "libjpeg_turbo", "zlib", "zlib_ng", "libtiff", "webp", "avif", "jpg_2000")


class Rows(Protocol):
    """What is asked of prepared pictures: some of them, by index, as uint8 [n, size, size, 3]."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> Any: ...


@dataclass(frozen=True, eq=False)
class Prepared:
    """Prepared pictures, one row a sample of the data set, in its order.

    `pixels` is uint8 [n, size, size, 3]: an array, mapped from the cache for larger sets, or decoded at
    every access where the disk has no room. Rows of `failures` are black and must not be used; `thumbs`
    and `small` serve to find duplicates, and are empty where pictures are decoded at every access.
    """

    pixels: Rows
    failures: tuple[Unreadable, ...] = ()
    thumbs: Thumbs | None = None
    small: npt.NDArray[np.bool_] | None = None

    def readable(self) -> Ints:
        """Indices of the samples that could be read."""
        failed = [item.index for item in self.failures]
        return np.setdiff1d(np.arange(len(self.pixels)), failed).astype(np.int64)

    def near_duplicates(self) -> Pairs:
        """Pairs of samples that show one picture, for a split that keeps them on one side."""
        if self.thumbs is None or self.small is None:
            return np.empty((0, 2), np.int64)
        return near_pairs(self.thumbs, self.small)


def prepare(
    dataset: ImageDataset,
    preprocess: Preprocess,
    progress: Progress = silent,
    *,
    skip_unreadable: bool = False,
    unreadable_file: Path | None = None,
    cache: Path | None = None,
    in_memory: int = IN_MEMORY,
    max_pixels: int = MAX_PIXELS,
    say: Callable[[str], None] = print,
) -> Prepared:
    """Decode and resize every picture, or map what an earlier call has kept in `cache`.

    Unreadable pictures raise one `DataError` that counts them all, with the list in `unreadable_file`;
    with `skip_unreadable` they are `failures` of the result. Where the disk has no room, `say` is told
    and pictures are decoded whenever they are asked for.
    """
    make = _Maker(dataset, preprocess, max_pixels)
    needed = len(dataset) * (preprocess.size**2 + SIDE**2) * 3
    if needed <= in_memory:
        prepared = _in_memory(make, progress)
    else:
        folder = cache if cache is not None else cache_folder() / "prepared"
        prepared = _kept(make, folder, needed, progress, say)
    if prepared.failures and not skip_unreadable:
        raise refuse(prepared.failures, len(dataset), unreadable_file)
    if len(prepared.failures) == len(dataset):
        raise DataError(f"None of the {len(dataset)} images of '{dataset.name}' can be read.")
    return prepared


def cache_key(dataset: ImageDataset, preprocess: Preprocess, max_pixels: int = MAX_PIXELS) -> str:
    """SHA-256 over all that prepared pixels depend on: the files, the recipe, the decoders."""
    codecs = [f"{name} {features.version(name)}" for name in _CODECS]
    recipe = f"{_RECIPE_VERSION} {preprocess.size} {max_pixels} {PIL.__version__} {codecs}"
    digest = hashlib.sha256(recipe.encode())
    digest.update("\0".join(dataset.ids).encode())
    digest.update(dataset.source.stamp())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Maker:
    """From an index to prepared pixels."""

    dataset: ImageDataset
    preprocess: Preprocess
    max_pixels: int

    def into(self, sink: Arrays | RowFiles, index: int) -> None:
        """Fill one row; raises `ImageError`."""
        name = str(self.dataset.ids[index])
        image = load_image(self.dataset.source.read(index), name, max_pixels=self.max_pixels)
        resized = self.preprocess.resized(image)
        sink.put(
            index, self.preprocess.padded(resized), thumb(min(image, resized, key=_area)), _is_small(image)
        )

    def pixels(self, index: int) -> Pixels:
        data = self.dataset.source.read(index)
        image = load_image(data, str(self.dataset.ids[index]), max_pixels=self.max_pixels)
        return self.preprocess.pixels(image)


def _area(image: Image.Image) -> int:
    return image.width * image.height


def _is_small(image: Image.Image) -> bool:
    return max(image.size) < SMALL_SIDE


def _fill(make: _Maker, sink: Arrays | RowFiles, progress: Progress) -> tuple[Unreadable, ...]:
    failures: list[Unreadable] = []

    def work(index: int) -> None:
        try:
            make.into(sink, index)
        except ImageError as error:
            failures.append(Unreadable.of(index, str(make.dataset.ids[index]), error))

    for_each_sample(work, len(make.dataset), progress, "Preparing pictures")
    return tuple(sorted(failures))


def _in_memory(make: _Maker, progress: Progress) -> Prepared:
    count, size = len(make.dataset), make.preprocess.size
    arrays = Arrays(
        np.zeros((count, size, size, 3), np.uint8),
        np.zeros((count, SIDE, SIDE, 3), np.uint8),
        np.zeros(count, bool),
    )
    failures = _fill(make, arrays, progress)
    return Prepared(arrays.pixels, failures, arrays.thumbs, arrays.small)


def _kept(
    make: _Maker, folder: Path, needed: int, progress: Progress, say: Callable[[str], None]
) -> Prepared:
    """Mapped from the cache; built first, by one process at a time, where it is not there yet."""
    count, size = len(make.dataset), make.preprocess.size
    place = folder / cache_key(make.dataset, make.preprocess, make.max_pixels)
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
        return _streamed(make, progress)
    arrays, failures = found
    return Prepared(arrays.pixels, failures, arrays.thumbs, arrays.small)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed * 1.05:
        raise OSError(f"{needed / 2**30:.1f} GiB are needed, {free / 2**30:.1f} GiB are free")


def _build(make: _Maker, place: Path, progress: Progress) -> None:
    with create(place, len(make.dataset), make.preprocess.size) as files:
        failures = _fill(make, files, progress)
        files.finish(failures, make.dataset.name)


@dataclass(frozen=True, eq=False)
class _Streamed:
    """Pictures decoded whenever they are asked for."""

    make: _Maker

    def __len__(self) -> int:
        return len(self.make.dataset)

    def __getitem__(self, key: Any) -> Pixels:
        indices = np.arange(len(self))[key]
        if np.ndim(indices) == 0:
            return self.make.pixels(int(indices))
        size = self.make.preprocess.size
        rows = np.empty((len(indices), size, size, 3), np.uint8)

        def work(place: int) -> None:
            rows[place] = self.make.pixels(int(indices[place]))

        for_each_sample(work, len(indices), silent, "")
        return rows


def _streamed(make: _Maker, progress: Progress) -> Prepared:
    """Decoded once to learn what cannot be read."""
    failures: list[Unreadable] = []

    def work(index: int) -> None:
        try:
            make.pixels(index)
        except ImageError as error:
            failures.append(Unreadable.of(index, str(make.dataset.ids[index]), error))

    for_each_sample(work, len(make.dataset), progress, "Checking pictures")
    return Prepared(_Streamed(make), tuple(sorted(failures)))
