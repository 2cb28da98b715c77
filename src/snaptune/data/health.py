"""Is this data set fit to learn from? Counted, measured and listed; nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snaptune.data.dataset import PARTS, ImageDataset, Ints
from snaptune.data.duplicates import SMALL_SIDE, Floats, Pairs, clusters, contrast_of, near_pairs, sides_of
from snaptune.data.measures import BLURRED, Measures, bright_share, exact_pairs, measure
from snaptune.data.parallel import Progress, silent
from snaptune.data.splits import Split
from snaptune.data.unreadable import Unreadable

DARK, BLANK = 60.0, 2.0
ODD_SIDE, ODD_ASPECT = 4.0, 4.0

KINDS = {
    "unreadable": ("Cannot be read", "Mend or remove them, or train with --skip-unreadable."),
    "conflict": ("One picture under two labels", "Decide on one label; the model cannot learn both."),
    "leak": ("One picture in two parts", "Split again: the score counts pictures that were trained on."),
    "exact": ("Exact duplicates", "The same pixels more than once. A new split keeps them on one side."),
    "near": ("Near duplicates", "Re-encoded, resized or hardly changed. A new split keeps them on one side."),
    "blank": ("Blank", "Nothing to see: hardly any difference between pixels."),
    "dark": ("Dark", "Even the brightest parts are dark."),
    "blurred": ("Blurred", "No sharp edge anywhere."),
    "odd": (
        "Odd size or shape",
        "Its long side is 4 times off the usual, or 4 times its short one.",
    ),
}
"""Kind of finding -> title and what to do, in the order of the report."""


@dataclass(frozen=True)
class Finding:
    """Samples (by index) with one trouble: a single picture, or all that are duplicates of each other."""

    kind: str
    samples: tuple[int, ...]
    detail: str = ""


@dataclass(frozen=True, eq=False)
class DataReport:
    """What `check` found. Counts run over the pictures that can be read, class counts over all."""

    dataset: ImageDataset
    class_counts: Ints
    part_counts: tuple[tuple[str, int], ...]
    sizes: np.ndarray
    formats: tuple[tuple[str, int], ...]
    modes: tuple[tuple[str, int], ...]
    conversions: tuple[tuple[str, int], ...]
    unreadable: tuple[Unreadable, ...]
    findings: tuple[Finding, ...]

    @property
    def imbalance(self) -> float:
        """The largest class as a multiple of the smallest that has any picture."""
        counts = self.class_counts[self.class_counts > 0]
        return float(counts.max() / counts.min())

    def of_kind(self, kind: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.kind == kind)


def check(
    dataset: ImageDataset,
    *,
    split: Split | None = None,
    progress: Progress = silent,
) -> DataReport:
    """Decode every picture once and report; with a split, on duplicates across its parts too."""
    measures = measure(dataset, progress)
    exact = exact_pairs(dataset, measures)
    contrast = contrast_of(measures.thumbs)
    near = near_pairs(measures.thumbs, sides_of(measures.sizes), contrast)
    parts = split.parts if split else dataset.parts
    codes = np.zeros(len(dataset), np.uint8) if parts is None else parts
    findings = (
        *(Finding("unreadable", (item.index,), item.reason) for item in measures.failures),
        *_repeated(dataset, exact, near, codes),
        *_odd_pictures(measures, contrast),
    )
    order = list(KINDS)
    used = np.unique(codes) if parts is not None else ()
    return DataReport(
        dataset,
        dataset.class_counts(),
        tuple((PARTS[part], int((codes == part).sum())) for part in used),
        measures.sizes[measures.readable()],
        _ranked(measures.formats),
        _ranked(measures.modes),
        _ranked(measures.conversions),
        measures.failures,
        tuple(sorted(findings, key=lambda finding: (order.index(finding.kind), finding.samples))),
    )


def _ranked(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _repeated(dataset: ImageDataset, exact: Pairs, near: Pairs, parts: np.ndarray) -> list[Finding]:
    """Duplicates by cluster, and those clusters that cross labels or parts."""
    count = len(dataset)
    same = clusters(count, exact)
    fresh = near[same[near[:, 0]] != same[near[:, 1]]]
    everything = _members(clusters(count, np.concatenate([exact, fresh])))
    findings = [Finding("exact", group) for group in _members(same)]
    linked = set(fresh.ravel().tolist())
    findings += [Finding("near", group) for group in everything if linked.intersection(group)]
    for kind, codes, names in (("conflict", dataset.labels, dataset.class_names), ("leak", parts, PARTS)):
        findings += _crossing(kind, everything, codes, names)
    return findings


def _crossing(
    kind: str, groups: Sequence[tuple[int, ...]], codes: np.ndarray, names: Sequence[str]
) -> list[Finding]:
    """The clusters whose members differ in `codes`."""
    crossing = [(group, sorted({names[codes[index]] for index in group})) for group in groups]
    return [Finding(kind, group, " / ".join(found)) for group, found in crossing if len(found) > 1]


def _members(numbers: Ints) -> list[tuple[int, ...]]:
    """The samples of each cluster of two or more."""
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers))
    sizes = np.diff(ends, prepend=0)
    return [
        tuple(order[end - size : end].tolist()) for end, size in zip(ends, sizes, strict=True) if size > 1
    ]


def _odd_pictures(measures: Measures, contrast: Floats) -> list[Finding]:
    readable = measures.readable()
    bright = bright_share(measures.thumbs, DARK)
    longest, shortest = measures.sizes.max(axis=1), measures.sizes.min(axis=1)
    usual = float(np.median(longest[readable])) if readable.any() else 1.0
    aspect = longest / np.maximum(shortest, 1)
    blank = readable & (contrast < BLANK)
    dark = readable & ~blank & (bright < 0.01)
    blurred = readable & ~blank & ~dark & (shortest >= SMALL_SIDE) & (measures.sharpness < BLURRED)
    odd = readable & ((longest > ODD_SIDE * usual) | (longest * ODD_SIDE < usual) | (aspect > ODD_ASPECT))
    masks = {"blank": blank, "dark": dark, "blurred": blurred, "odd": odd}
    shapes = {"odd": [f"{width}x{height}" for width, height in measures.sizes[odd].tolist()]}
    return [
        Finding(kind, (int(index),), shapes.get(kind, [""] * (place + 1))[place])
        for kind, mask in masks.items()
        for place, index in enumerate(np.flatnonzero(mask))
    ]
