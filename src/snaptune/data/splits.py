"""Who is trained on and who is not: decided once, written down, never cutting a group."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snaptune.data.dataset import ImageDataset, Ints
from snaptune.errors import ConfigError, DataError, closest

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """The part of every sample, as an index into `PARTS`, and a sentence on how it was chosen."""

    parts: npt.NDArray[np.uint8]
    how: str

    def indices(self, part: str) -> Ints:
        return np.flatnonzero(self.parts == PARTS.index(part)).astype(np.int64)


def split_by_group(dataset: ImageDataset, held_out: tuple[str, ...]) -> Split:
    """Whole groups out of training: the samples of `held_out` are the validation part.

    Raises `DataError` for a group that does not exist or where nothing would be left.
    """
    if dataset.groups is None:
        raise DataError(
            f"'{dataset.name}' has no groups to hold out. Add a group column, or drop --hold-out."
        )
    names = [str(name) for name in dataset.group_names]
    unknown = [name for name in held_out if name not in names]
    if unknown:
        listed = ", ".join(names[:20])
        raise DataError(
            f"Unknown group {', '.join(map(repr, unknown))} in '{dataset.name}'. Its groups: {listed}. "
            f"Closest: {closest(unknown[0], names) or 'none'}."
        )
    chosen = np.isin(dataset.groups, [names.index(name) for name in held_out])
    if chosen.all():
        raise DataError("Every group is held out; nothing is left to train on. Name fewer in --hold-out.")
    return Split(chosen.astype(np.uint8), f"whole groups held out: {', '.join(held_out)}")


def split_automatically(dataset: ImageDataset, share: float, seed: int) -> Split:
    """About `share` of the samples for validation: whole groups where there are any, else stratified."""
    if not 0 < share < 1:
        raise ConfigError(f"validation share {share} must be between 0 and 1; usual values: 0.1 to 0.3.")
    if dataset.groups is None:
        return _stratified(dataset, share, seed)
    return _whole_groups(dataset, share, seed)


def _whole_groups(dataset: ImageDataset, share: float, seed: int) -> Split:
    groups = dataset.groups
    assert groups is not None  # noqa: S101  the caller has looked
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        raise DataError(f"'{dataset.name}' has one group; splitting by group needs at least 2.")
    order = np.random.default_rng(seed).permutation(len(sizes))
    taken = np.cumsum(sizes[order]) <= max(share * len(dataset), sizes[order[0]])
    taken[-1] = False
    held_out = tuple(str(dataset.group_names[group]) for group in order[taken])
    return split_by_group(dataset, held_out)


def _stratified(dataset: ImageDataset, share: float, seed: int) -> Split:
    counts = dataset.class_counts()
    tiny = [name for name, count in zip(dataset.class_names, counts, strict=True) if count < 2]
    if tiny:
        raise DataError(
            f"Class {', '.join(map(repr, tiny))} has fewer than 2 images; splitting needs at least 2 per "
            f"class. Add images or pass --exclude {tiny[0]}."
        )
    parts = np.zeros(len(dataset), dtype=np.uint8)
    rng = np.random.default_rng(seed)
    for label, count in enumerate(counts):
        members = np.flatnonzero(dataset.labels == label)
        wanted = min(max(1, round(share * count)), count - 1)
        parts[rng.permutation(members)[:wanted]] = 1
    return Split(parts, f"random {share:.0%} of each class (no groups known)")


def write_split(path: Path, dataset: ImageDataset, split: Split) -> None:
    """One row a sample: id, label, group, part."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "group", "part"])
        for index in range(len(dataset)):
            label = dataset.class_names[dataset.labels[index]]
            part = PARTS[split.parts[index]]
            writer.writerow([dataset.ids[index], label, dataset.group_of(index), part])


def read_split(path: Path, dataset: ImageDataset) -> Split:
    """The split written by `write_split`, aligned to the data set by id."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            part_of = {row["id"]: PARTS.index(row["part"]) for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(f"'{path}' is not a split with the columns id and part: {error}.") from error
    missing = [str(name) for name in dataset.ids if str(name) not in part_of]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(dataset)} images are not in '{path}' (first: {missing[0]}). "
            "The data have changed since the split was made; make a new one."
        )
    codes = [part_of[str(name)] for name in dataset.ids]
    return Split(np.asarray(codes, dtype=np.uint8), f"read from {path.name}")
