"""The one shape in which every reader returns a data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from snaptune.errors import DataError, ImageError, shown

Ints = npt.NDArray[np.int64]
Strings = np.ndarray
"""A numpy array of dtype `StringDType`: no Python object a sample."""


def strings(values: object) -> Strings:
    return np.asarray(values, dtype=np.dtypes.StringDType())


class Source(Protocol):
    """Where the encoded pictures lie."""

    ids: Strings

    def read(self, index: int) -> bytes:
        """The encoded picture; raises `ImageError` where it cannot be had."""


@dataclass(frozen=True, eq=False)
class Files:
    """Pictures as files below one folder; an id is the path relative to it, with forward slashes."""

    root: Path
    ids: Strings

    def read(self, index: int) -> bytes:
        name = str(self.ids[index])
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise ImageError(f"'{shown(name)}' cannot be read: {reason}.", reason.lower()) from error


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled pictures. Arrays run over the samples, in the order of their ids.

    `labels` index `class_names`; `groups`, where known, index `group_names` (who drew, took or
    is on the picture: what a split must not cut). `location` is what the user typed to open it;
    `credits` are files that must go where the pictures go.
    """

    name: str
    source: Source
    labels: Ints
    class_names: tuple[str, ...]
    groups: Ints | None = None
    group_names: Strings = field(default_factory=lambda: strings([]))
    location: str = ""
    credits: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.source.ids), len(self.labels)} | (
            set() if self.groups is None else {len(self.groups)}
        )
        if len(lengths) != 1:
            raise ValueError(f"ids, labels and groups differ in length: {sorted(lengths)}")
        if len(self.labels) == 0:
            raise DataError(f"'{self.name}' has no pictures.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ids(self) -> Strings:
        return self.source.ids

    def class_counts(self) -> Ints:
        """Pictures a class, in the order of `class_names`."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def group_of(self, index: int) -> str:
        """The sample's group name, empty where the data set has no groups."""
        return "" if self.groups is None else str(self.group_names[self.groups[index]])

    def fingerprint(self) -> str:
        """SHA-256 over class names, ids, labels and groups; two equal listings share it."""
        digest = hashlib.sha256()
        for names in (self.class_names, self.ids, self.group_names):
            digest.update("\0".join(names).encode() + b"\1")
        for codes in (self.labels, self.groups):
            digest.update(b"\2" if codes is None else codes.astype("<i8").tobytes())
        return digest.hexdigest()
