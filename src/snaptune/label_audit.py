"""Which labels are likely wrong? The run's network looks, and no picture is judged by its own label."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snaptune.data.dataset import ImageDataset, Ints
from snaptune.data.duplicates import clusters
from snaptune.data.fixes import COLUMNS
from snaptune.data.prepared import Prepared, Progress, prepare, silent
from snaptune.data.unreadable import Unreadable
from snaptune.errors import DataError, shown
from snaptune.evaluation.pictures import small_jpeg
from snaptune.evaluation.probe import out_of_fold_probabilities
from snaptune.evaluation.suspects import Suspect, suspects
from snaptune.evaluation.suspects_page import Card, render
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run, write_bytes

SHOWN = 500
"""Pictures on the page at most; the table has them all."""
_THUMBNAIL = 180
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class LabelAudit:
    """What `audit` found in a data set: the surest suspects first."""

    dataset: ImageDataset
    pictures: int
    suspects: tuple[Suspect, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def summary(self) -> str:
        """The first few, and how many there are."""
        share = len(self.suspects) / self.pictures
        lines = [f"{len(self.suspects):,} of {self.pictures:,} labels are likely wrong ({share:.1%})"]
        for one in self.suspects[:10]:
            odds = f"{one.suggested_probability:.0%} against {one.label_probability:.0%}"
            lines.append(f"  {shown(one.id)}: {shown(one.label)}, rather {shown(one.suggested)} ({odds})")
        if len(self.suspects) > 10:
            lines.append(f"  … and {len(self.suspects) - 10:,} more")
        if self.unreadable:
            lines.append(f"  {len(self.unreadable):,} pictures cannot be read and were left out")
        return "\n".join(lines)

    def to_csv(self) -> str:
        """A row a suspect, with two empty columns to fill in: the table that `--fix` reads."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([COLUMNS[0], "label", "suggested", "p_label", "p_suggested", *COLUMNS[1:]])
        for one in self.suspects:
            odds = (f"{one.label_probability:.4f}", f"{one.suggested_probability:.4f}")
            writer.writerow([one.id, one.label, one.suggested, *odds, "", ""])
        return text.getvalue()

    def write(self, folder: str | Path) -> Path:
        """`suspects.csv`, and the page to go through them, whose path is returned."""
        page = Path(folder) / "audit.html"
        write_bytes(page.with_name("suspects.csv"), self.to_csv().encode())
        names = self.dataset.class_names
        title = f"{len(self.suspects):,} of {self.pictures:,} labels of {self.dataset.name}"
        write_bytes(page, render(title, names, [self._card(one) for one in self.suspects[:SHOWN]]).encode())
        return page

    def _card(self, one: Suspect) -> Card:
        jpeg = small_jpeg(self.dataset.load(one.index), _THUMBNAIL)
        return Card(one, self.dataset.group_of(one.index), jpeg)


def audit(run: Run, dataset: ImageDataset, progress: Progress = silent) -> LabelAudit:
    """Pictures of a labelled data set, trained on or not, whose label the others speak against.

    What the run's network sees on each picture goes through ridge regression onto the labels: in five folds,
    each answered by the other four, near duplicates in one fold. Classes may be others than the run's.
    Raises `DataError` where no picture can be read or there is one class only.
    """
    if len(np.unique(dataset.labels)) < 2:
        raise DataError(f"'{dataset.name}' has pictures of one class only; no other label can be suggested.")
    classifier = TorchClassifier.load(run)
    prepared = prepare(dataset, classifier.preprocess, progress, skip_unreadable=True)
    samples = prepared.readable()
    probabilities = _out_of_fold(classifier, prepared, dataset, samples, progress)
    labels = dataset.labels[samples]
    places, likely = suspects(probabilities, labels)
    names = dataset.class_names
    found = [
        Suspect(
            int(samples[place]),
            str(dataset.ids[samples[place]]),
            names[labels[place]],
            names[other],
            float(probabilities[place, labels[place]]),
            float(probabilities[place, other]),
        )
        for place, other in zip(places.tolist(), likely.tolist(), strict=True)
    ]
    return LabelAudit(dataset, len(samples), tuple(found), prepared.failures)


def _out_of_fold(
    classifier: TorchClassifier,
    prepared: Prepared,
    dataset: ImageDataset,
    samples: Ints,
    progress: Progress,
) -> np.ndarray:
    """Probabilities [n, classes] of the samples, none from a model that has seen its label."""
    features = _features(classifier, prepared, samples, progress)
    units = clusters(len(dataset), prepared.near_duplicates())[samples]
    _, units = np.unique(units, return_inverse=True)
    return out_of_fold_probabilities(features, dataset.labels[samples], units, len(dataset.class_names))


def _features(
    classifier: TorchClassifier, prepared: Prepared, samples: Ints, progress: Progress
) -> np.ndarray:
    starts: Sequence[int] = range(0, len(samples), _AT_ONCE)
    rows = [
        classifier.features(np.asarray(prepared.pixels[samples[start : start + _AT_ONCE]]))
        for start in progress(starts, len(starts), "Looking")
    ]
    return np.concatenate(rows)
