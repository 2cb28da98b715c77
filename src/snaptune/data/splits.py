"""Who is trained on and who is not: decided once, written down, never cutting a group or a duplicate."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from snaptune.data.columns import coded, coded_as
from snaptune.data.dataset import PARTS, Codes, ImageDataset, Ints, strings
from snaptune.data.duplicates import Pairs, clusters
from snaptune.errors import ConfigError, DataError, closest, shown

TRAIN, VALIDATION, TEST, SKIPPED = range(4)
NAMES = (*PARTS, "skipped")
"""The parts as `split.csv` names them; pictures that could not be read are in none of `PARTS`."""


@dataclass(frozen=True, eq=False)
class Split:
    """The part of every sample, as an index into `NAMES`, and a sentence on how it was chosen."""

    parts: Codes
    how: str

    def indices(self, part: str) -> Ints:
        return np.flatnonzero(self.parts == NAMES.index(part)).astype(np.int64)

    def without(self, samples: Ints) -> Split:
        """The same split with some samples in no part."""
        parts = self.parts.copy()
        parts[samples] = SKIPPED
        how = f"{self.how}; {len(samples)} unreadable pictures skipped" if len(samples) else self.how
        return Split(parts, how)


def group_by_pattern(dataset: ImageDataset, pattern: str) -> ImageDataset:
    """The data set with groups read from its ids by a regular expression: its first bracket, or all of it.

    Raises `DataError` where ids do not match.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"group pattern {pattern!r} is no regular expression: {error}.") from error
    found = [compiled.search(str(name)) for name in dataset.ids]
    lacking = [index for index, match in enumerate(found) if match is None]
    if lacking:
        raise DataError(
            f"{len(lacking)} of {len(dataset)} images do not match the group pattern {pattern!r} "
            f"(first: {shown(str(dataset.ids[lacking[0]]))})."
        )
    which = 1 if compiled.groups else 0
    names, groups = coded([match[which] or "" for match in found if match])
    reading = dataset.reading and dataset.reading.then("group pattern", pattern)
    return replace(dataset, groups=groups, group_names=strings(names), reading=reading)


def split_by_group(dataset: ImageDataset, held_out: tuple[str, ...]) -> Split:
    """Whole groups out of training: the samples of `held_out` are the validation part.

    Raises `DataError` for a group that does not exist or where nothing would be left.
    """
    if dataset.groups is None:
        raise DataError(
            f"'{dataset.name}' has no groups to hold out. Add a group column, or drop --hold-out."
        )
    codes = coded_as(held_out, [str(name) for name in dataset.group_names])
    if (codes < 0).any():
        unknown = [name for name, code in zip(held_out, codes, strict=True) if code < 0]
        listed = ", ".join(str(name) for name in dataset.group_names[:20])
        near = closest(unknown[0], [str(name) for name in dataset.group_names[:10_000]])
        raise DataError(
            f"Unknown group {', '.join(map(repr, unknown))} in '{dataset.name}'. Its groups: {listed}. "
            f"Closest: {near or 'none'}."
        )
    chosen = np.isin(dataset.groups, codes)
    if chosen.all():
        raise DataError("Every group is held out; nothing is left to train on. Name fewer in --hold-out.")
    return Split(chosen.astype(np.uint8), f"whole groups held out: {', '.join(held_out)}")


def split_automatically(
    dataset: ImageDataset, share: float, seed: int, *, test: float = 0.0, duplicates: Pairs | None = None
) -> Split:
    """About `share` of the samples for validation and `test` for a test part, stratified by class.

    Parts that the data come with are kept. Whole groups go to one part, and so do samples that
    `duplicates` pairs link. Raises `DataError`, with the arithmetic, for what cannot be split.
    """
    if not 0 < share < 1:
        raise ConfigError(f"validation share {share} must be between 0 and 1; usual values: 0.1 to 0.3.")
    if not 0 <= test < 1 or share + test >= 1:
        raise ConfigError(
            f"test share {test} and validation share {share} must leave something to train on; "
            "usual values: 0.1 and 0.1."
        )
    if dataset.parts is not None:
        return _as_they_come(dataset, dataset.parts, share, seed)
    shares = {VALIDATION: share} | ({TEST: test} if test else {})
    pairs = np.empty((0, 2), np.int64) if duplicates is None else duplicates
    if dataset.groups is None and not len(pairs):
        return _stratified(dataset, shares, seed)
    return _by_units(dataset, shares, seed, pairs)


def _as_they_come(dataset: ImageDataset, parts: Codes, share: float, seed: int) -> Split:
    """Predefined parts; a missing validation part is taken out of train, never out of test."""
    if not (parts == TRAIN).any():
        raise DataError(f"'{dataset.name}' comes without a train part. Name one of its folders train.")
    if (parts == VALIDATION).any():
        return Split(parts, "the parts that the data come in")
    train = np.flatnonzero(parts == TRAIN)
    inner = split_automatically(replace(dataset.subset(train), parts=None), share, seed)
    merged = parts.copy()
    merged[train] = inner.parts
    return Split(merged, f"test part as the data come; of the rest, {inner.how}")


def _stratified(dataset: ImageDataset, shares: dict[int, float], seed: int) -> Split:
    _check_counts(dataset, needed=len(shares) + 1)
    parts = np.zeros(len(dataset), dtype=np.uint8)
    rng = np.random.default_rng(seed)
    for members in _members(dataset.labels, len(dataset.class_names)):
        shuffled = rng.permutation(members)
        begin = 0
        for part, share in shares.items():
            room = len(members) - 1 - begin - (len(shares) - part)
            wanted = min(max(1, round(share * len(members))), max(1, room))
            parts[shuffled[begin : begin + wanted]] = part
            begin += wanted
    listed = " and ".join(f"{share:.0%}" for share in shares.values())
    return Split(parts, f"random {listed} of each class (no groups known)")


def _members(labels: Ints, count: int) -> list[Ints]:
    """The samples of each class that has any."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=count))
    return [members for members in np.split(order, ends[:-1]) if len(members)]


def _check_counts(dataset: ImageDataset, needed: int) -> None:
    counts = dataset.class_counts()
    tiny = [
        (name, int(count))
        for name, count in zip(dataset.class_names, counts, strict=True)
        if 0 < count < needed
    ]
    if not tiny:
        return
    names = ",".join(name for name, _ in tiny)
    if len(tiny) == 1:
        what = f"Class '{tiny[0][0]}' has {tiny[0][1]} image{'' if tiny[0][1] == 1 else 's'}"
    else:
        what = "Classes " + ", ".join(f"'{name}' ({count})" for name, count in tiny) + " have too few images"
    raise DataError(
        f"{what}; splitting needs at least {needed} per class. Add images or pass --exclude {names}."
    )


def _by_units(dataset: ImageDataset, shares: dict[int, float], seed: int, pairs: Pairs) -> Split:
    """Whole units (groups, and duplicates with them), at random, while they fit what classes still want."""
    units = _units(dataset, pairs)
    count = int(units.max()) + 1
    if count <= len(shares):
        kind = "duplicates" if dataset.groups is None else "groups"
        raise DataError(
            f"'{dataset.name}' has {count} set{'s' * (count > 1)} of samples that belong together ({kind}); "
            f"{len(shares) + 1} parts need at least {len(shares) + 1}."
        )
    members = _members(units, count)
    left = dataset.class_counts().astype(np.float64)
    part_of = np.zeros(count, np.uint8)
    order = np.random.default_rng(seed).permutation(count)
    for part, share in sorted(shares.items(), reverse=True):
        wanted = share * dataset.class_counts()
        for unit in _take(order, part_of, members, dataset.labels, wanted, left, reserve=part - 1):
            part_of[unit] = part
    return Split(part_of[units], _how(dataset, part_of, units, shares))


def _units(dataset: ImageDataset, pairs: Pairs) -> Ints:
    """A number a sample: equal for one group, for linked samples, and for groups that linked samples join."""
    if dataset.groups is None:
        return clusters(len(dataset), pairs)
    joined = clusters(int(dataset.groups.max()) + 1, dataset.groups[pairs])
    return np.unique(joined[dataset.groups], return_inverse=True)[1].astype(np.int64)


def _take(
    order: Ints,
    part_of: Codes,
    members: Sequence[Ints],
    labels: Ints,
    wanted: np.ndarray,
    left: np.ndarray,
    reserve: int,
) -> list[int]:
    """Units, in random order, that fill more of what is wanted than they overshoot; at least one.

    None takes the last samples of a class out of training, and `reserve` units are left for later parts.
    """
    taken: list[int] = []
    free = [int(unit) for unit in order if part_of[unit] == TRAIN]
    spare = len(free) - 1 - reserve
    fallback, fallback_gain = -1, -np.inf
    for unit in free:
        if wanted.sum() < 0.5 or len(taken) >= spare:
            break
        classes, counts = np.unique(labels[members[unit]], return_counts=True)
        if (left[classes] - counts < 1).any():
            continue
        gain = 2 * np.minimum(counts, np.maximum(wanted[classes], 0)).sum() - counts.sum()
        if gain > 0:
            taken.append(unit)
            wanted[classes] -= counts
            left[classes] -= counts
        elif not taken and gain > fallback_gain:
            fallback, fallback_gain = unit, gain
    if taken:
        return taken
    if fallback < 0:
        raise DataError(
            "No group can be held out: each holds all images of some class. Add images of those classes in "
            "other groups, or name the groups to hold out with --hold-out."
        )
    np.subtract.at(left, labels[members[fallback]], 1)
    return [fallback]


def _how(dataset: ImageDataset, part_of: Codes, units: Ints, shares: dict[int, float]) -> str:
    parts = part_of[units]
    text = "duplicates kept on one side" if dataset.groups is None else _groups_held_out(dataset, parts)
    bare = [
        f"{PARTS[part]} lacks {', '.join(missing)}"
        for part in shares
        if (missing := _missing_classes(dataset, parts == part))
    ]
    return "; ".join([text, *bare])


def _groups_held_out(dataset: ImageDataset, parts: Codes) -> str:
    assert dataset.groups is not None  # noqa: S101  the caller has looked
    held_out = np.unique(dataset.groups[parts != TRAIN])
    if len(held_out) > 10:
        return f"whole groups held out: {len(held_out):,} of {len(dataset.group_names):,}"
    return f"whole groups held out: {', '.join(str(name) for name in dataset.group_names[held_out])}"


def _missing_classes(dataset: ImageDataset, chosen: np.ndarray) -> list[str]:
    counts = np.bincount(dataset.labels[chosen], minlength=len(dataset.class_names))
    lacking = np.flatnonzero((counts == 0) & (dataset.class_counts() > 0))
    names = [dataset.class_names[label] for label in lacking[:5]]
    return [*names, f"and {len(lacking) - 5} more classes"] if len(lacking) > 5 else names


def write_split(path: Path, dataset: ImageDataset, split: Split) -> None:
    """One row a sample: id, label, group, part."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "group", "part"])
        for index in range(len(dataset)):
            label = dataset.class_names[dataset.labels[index]]
            part = NAMES[split.parts[index]]
            writer.writerow([dataset.ids[index], label, dataset.group_of(index), part])


def read_split(path: Path, dataset: ImageDataset) -> Split:
    """The split written by `write_split`, aligned by id; rows for other pictures are ignored."""
    rows = _read_rows(path)
    found = coded_as(dataset.ids, rows["id"].to_pylist())
    missing = np.flatnonzero(found < 0)
    if len(missing):
        raise DataError(
            f"{len(missing)} of {len(dataset)} images are not in '{path}' (first: "
            f"{shown(str(dataset.ids[missing[0]]))}). "
            "The data have changed since the split was made; make a new one."
        )
    names, codes = coded(rows["part"])
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise DataError(
            f"Unknown part {', '.join(map(repr, unknown))} in '{path}'. Allowed: {', '.join(NAMES)}."
        )
    places = np.asarray([NAMES.index(name) for name in names], np.uint8)
    return Split(places[codes][found], f"read from {path.name}")


def _read_rows(path: Path) -> pa.Table:
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    convert = pa.csv.ConvertOptions(
        column_types={"id": pa.string(), "part": pa.string()}, include_columns=["id", "part"]
    )
    try:
        return pa.csv.read_csv(path, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"'{path}' cannot be read as a split (columns id and part are needed): {error}"
        ) from error
