"""Pictures that were corrected on the browser page, added to the data set that the model came from."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from snaptune.data.columns import coded
from snaptune.data.dataset import ImageDataset, Ints, Source, Strings, stamp_of_files, strings
from snaptune.data.reading import Reading
from snaptune.errors import DataError, ImageError, shown

LABELS = "labels.csv"
MAX_BYTES = 256 * 2**20
"""Largest file that is unpacked, in memory; nothing is ever written to disk."""


@dataclass(frozen=True, eq=False)
class Zipped:
    """Pictures inside one zip file; an id is the zip's name and the name within it."""

    path: Path
    members: tuple[str, ...]

    @cached_property
    def ids(self) -> Strings:
        return strings([f"{self.path.name}/{member}" for member in self.members])

    def read(self, index: int) -> bytes:
        name = self.members[index]
        try:
            with zipfile.ZipFile(self.path) as file:
                return _unpacked(file, name)
        except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ImageError(f"'{shown(name)}' in '{self.path}' cannot be read: {error}.") from error

    def stamp(self) -> bytes:
        return stamp_of_files([self.path])


@dataclass(frozen=True, eq=False)
class Joined:
    """The pictures of one source, then those of another."""

    first: Source
    second: Source

    @cached_property
    def ids(self) -> Strings:
        return strings([*self.first.ids, *self.second.ids])

    def read(self, index: int) -> bytes:
        count = len(self.first.ids)
        return self.first.read(index) if index < count else self.second.read(index - count)

    def stamp(self) -> bytes:
        return hashlib.sha256(self.first.stamp() + self.second.stamp()).digest()


def from_corrections(path: str | Path) -> ImageDataset:
    """The labelled pictures of a zip with `labels.csv` (file, label, group), as the page writes it.

    Raises `DataError` where it is no such zip or names files that it does not hold.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as file:
            held = set(file.namelist())
            rows = list(_rows(_unpacked(file, LABELS).decode("utf-8-sig")))
    except (OSError, KeyError, zipfile.BadZipFile, UnicodeDecodeError, ImageError) as error:
        raise DataError(f"'{path}' is not a zip of corrections with {LABELS}: {error}.") from error
    missing = [file for file, _, _ in rows if file not in held]
    if missing or not rows:
        what = (
            f"names {len(missing)} files that it does not hold (first: {shown(missing[0])})"
            if missing
            else "is empty"
        )
        raise DataError(f"{LABELS} in '{path}' {what}. Download the corrections again.")
    files, labels, groups = zip(*rows, strict=True)
    class_names, codes = coded(labels)
    group_names, group_codes = coded(groups)
    source = Zipped(path, tuple(files))
    return ImageDataset(
        *(path.stem, source, codes, class_names, group_codes, strings(group_names)),
        reading=Reading(str(path.resolve())),
    )


def joined(first: ImageDataset, second: ImageDataset) -> ImageDataset:
    """One data set of both, with the classes of both; what has no groups counts as a group a picture."""
    first, second = _grouped(first), _grouped(second)
    class_names = tuple(sorted({*first.class_names, *second.class_names}))
    group_names = strings(np.unique(strings([*first.group_names, *second.group_names])))
    both = (first, second)
    source = Joined(first.source, second.source)
    order = np.argsort(source.ids, kind="stable")
    whole = replace(
        first,
        source=source,
        labels=np.concatenate([_recoded(one.labels, one.class_names, class_names) for one in both]),
        class_names=class_names,
        groups=np.concatenate([_recoded(_codes(one), one.group_names, group_names) for one in both]),
        group_names=group_names,
        parts=None,
    )
    reading = first.reading and second.reading and first.reading.then("add", second.reading.place)
    return replace(whole.subset(order), reading=reading)


def _grouped(dataset: ImageDataset) -> ImageDataset:
    if dataset.groups is not None:
        return dataset
    return replace(dataset, groups=np.arange(len(dataset)), group_names=dataset.ids)


def _codes(dataset: ImageDataset) -> np.ndarray:
    return np.empty(0, np.int64) if dataset.groups is None else dataset.groups


def _recoded(codes: Ints, names: Iterable[object], among: Iterable[object]) -> Ints:
    """Codes into `names` as codes into `among`."""
    place = {str(name): index for index, name in enumerate(among)}
    code_of = np.asarray([place[str(name)] for name in names], np.int64)
    recoded: Ints = code_of[codes]
    return recoded


def _rows(text: str) -> Iterator[tuple[str, str, str]]:
    reader = csv.DictReader(io.StringIO(text))
    if not {"file", "label", "group"} <= set(reader.fieldnames or ()):
        raise KeyError("the columns file, label and group are needed")
    for row in reader:
        yield row["file"], row["label"], row["group"]


def _unpacked(file: zipfile.ZipFile, name: str) -> bytes:
    """One file of a zip, no larger than `MAX_BYTES` whatever its header claims."""
    with file.open(name) as member:
        data = member.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ImageError(f"'{shown(name)}' is larger than {MAX_BYTES // 2**20} MiB.")
    return data
