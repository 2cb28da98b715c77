"""The one shape in which every reader returns a data set."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from snaptune.data.reading import Reading
from snaptune.errors import DataError, ImageError, shown
from snaptune.images.load import MAX_PIXELS, load_image

if TYPE_CHECKING:
    from PIL import Image

    from snaptune.data.figures import Figure

PARTS = ("train", "validation", "test")
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]
Strings = np.ndarray
"""A numpy array of dtype `StringDType`: no Python object a sample."""


def strings(values: object) -> Strings:
    return np.asarray(values, dtype=np.dtypes.StringDType())


class Source(Protocol):
    """Where the encoded pictures lie."""

    @property
    def ids(self) -> Strings:
        """A name a picture, unique in the data set."""

    def read(self, index: int) -> bytes:
        """The encoded picture; raises `ImageError` where it cannot be had."""

    def stamp(self) -> bytes:
        """A digest that changes when any picture's bytes may have changed; found without reading them."""


@dataclass(frozen=True, eq=False)
class Files:
    """Pictures as files below one folder; an id is the path relative to it, with forward slashes."""

    root: Path
    ids: Strings

    def read(self, index: int) -> bytes:
        name = str(self.ids[index])
        try:
            with open(self._path(name), "rb", buffering=0) as file:  # noqa: PTH123  twice as fast
                return file.read()
        except OSError as error:
            reason = error.strerror or str(error)
            raise ImageError(f"'{shown(name)}' cannot be read: {reason}.", reason.lower()) from error

    def stamp(self) -> bytes:
        return stamp_of_files(self._path(str(name)) for name in self.ids)

    def _path(self, name: str) -> str:
        return os.path.join(str(self.root), name)  # noqa: PTH118  a `Path` costs more than reading


def stamp_of_files(paths: Iterable[Path | str]) -> bytes:
    """SHA-256 over size, time of change and time of the last inode change of each file.

    The last cannot be set by a program: it also tells apart files that were unpacked with equal times.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(_stamp_of(path))
    return digest.digest()


def _stamp_of(path: Path | str) -> bytes:
    try:
        found = os.stat(path)  # noqa: PTH116  there may be a million of them
    except OSError:
        return b"missing;"
    return b"%d %d %d;" % (found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True, eq=False)
class Chosen:
    """Some pictures of another source, in the order of `indices`."""

    source: Source
    indices: Ints

    @cached_property
    def ids(self) -> Strings:
        return self.source.ids[self.indices]

    def read(self, index: int) -> bytes:
        return self.source.read(int(self.indices[index]))

    def stamp(self) -> bytes:
        return hashlib.sha256(self.source.stamp() + self.indices.astype("<i8").tobytes()).digest()


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled pictures. Arrays run over the samples, in the order of their ids.

    `labels` index `class_names`; `groups`, where known, index `group_names` (who drew, took or
    is on the picture: what a split must not cut); `parts`, where the data come split, index `PARTS`.
    `reading` says how to open it again, where that is known; `credits` are files that must go where the
    pictures go; `notes` say what the reader left out. No picture of more than `max_pixels` is decoded.
    """

    name: str
    source: Source
    labels: Ints
    class_names: tuple[str, ...]
    groups: Ints | None = None
    group_names: Strings = field(default_factory=lambda: strings([]))
    reading: Reading | None = None
    credits: tuple[Path, ...] = ()
    parts: Codes | None = None
    notes: tuple[str, ...] = ()
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        arrays = (self.source.ids, self.labels, self.groups, self.parts)
        lengths = {len(array) for array in arrays if array is not None}
        if len(lengths) != 1:
            raise ValueError(f"ids, labels, groups and parts differ in length: {sorted(lengths)}")
        if len(self.labels) == 0:
            raise DataError(f"'{self.name}' has no pictures.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ids(self) -> Strings:
        return self.source.ids

    def load(self, index: int) -> Image.Image:
        """A sample as an upright RGB picture; raises `ImageError`."""
        return load_image(self.source.read(index), str(self.ids[index]), max_pixels=self.max_pixels)

    def encoded(self, indices: Iterable[int]) -> Iterator[tuple[str, bytes]]:
        """Id and bytes of samples; no bytes where the file cannot be had, which is no picture either."""
        for index in indices:
            try:
                data = self.source.read(index)
            except ImageError:
                data = b""
            yield str(self.ids[index]), data

    def limited_to(self, max_pixels: int) -> ImageDataset:
        """The data set with another limit for the pixels of a picture; raises `DataError` below 1."""
        if max_pixels < 1:
            raise DataError(f"The largest picture to decode, {max_pixels} pixels, must be at least 1.")
        reading = self.reading and replace(self.reading, max_pixels=max_pixels)
        return replace(self, max_pixels=max_pixels, reading=reading)

    def copy_credits(self, folder: Path) -> None:
        """Copy the credits, where there are any, to a new folder beside copies of the pictures."""
        for file in self.credits:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / file.name)

    def class_counts(self) -> Ints:
        """Pictures a class, in the order of `class_names`."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def group_of(self, index: int) -> str:
        """The sample's group name, empty where the data set has no groups."""
        return "" if self.groups is None else str(self.group_names[self.groups[index]])

    def subset(self, indices: Ints) -> ImageDataset:
        """The samples at `indices`, in that order; class and group names stay as they are."""
        return replace(
            self,
            reading=None,
            source=Chosen(self.source, indices),
            labels=self.labels[indices],
            groups=None if self.groups is None else self.groups[indices],
            parts=None if self.parts is None else self.parts[indices],
        )

    def excluding(self, names: tuple[str, ...]) -> ImageDataset:
        """The data set without some classes; raises `DataError` for one that it does not have."""
        unknown = [name for name in names if name not in self.class_names]
        if unknown:
            listed = ", ".join(self.class_names[:20])
            raise DataError(
                f"'{self.name}' has no class {', '.join(map(repr, unknown))}. Its classes: {listed}."
            )
        kept = [place for place, name in enumerate(self.class_names) if name not in names]
        code_of = np.full(len(self.class_names), -1, np.int64)
        code_of[kept] = np.arange(len(kept))
        left = self.subset(np.flatnonzero(code_of[self.labels] >= 0))
        class_names = tuple(self.class_names[place] for place in kept)
        reading = self.reading and self.reading.then("exclude", *names)
        return replace(left, labels=code_of[left.labels], class_names=class_names, reading=reading)

    def fingerprint(self) -> str:
        """SHA-256 over class names, ids, labels, groups and parts; two equal listings share it."""
        digest = hashlib.sha256()
        for names in (self.class_names, self.ids, self.group_names):
            digest.update("\0".join(names).encode() + b"\1")
        for codes in (self.labels, self.groups):
            digest.update(b"\2" if codes is None else codes.astype("<i8").tobytes())
        if self.parts is not None:
            digest.update(b"\3" + self.parts.tobytes())
        return digest.hexdigest()

    def show(self, seed: int = 0) -> Figure:
        """A near-square grid with one picture of each class, for a notebook."""
        from snaptune.data.figures import sample_grid

        return sample_grid(self, seed)

    def plot_distribution(self) -> Figure:
        """Pictures a class as a bar chart, for a notebook."""
        from snaptune.data.figures import class_bars

        return class_bars(self.class_names, self.class_counts())
