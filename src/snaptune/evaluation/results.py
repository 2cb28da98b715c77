"""What an evaluation found: from predictions to figures, each with its n and its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from snaptune.evaluation import metrics
from snaptune.evaluation.intervals import Estimate, Floats, Ints, bootstrap, ratio, share, wilson


@dataclass(frozen=True, eq=False)
class Predictions:
    """Scored pictures, one row each.

    `labels` and the columns of `probabilities` follow `class_names`; `groups`, where known, index
    `group_names`. `parts` says where each picture stood in training.
    """

    ids: tuple[str, ...]
    parts: tuple[str, ...]
    labels: Ints
    probabilities: Floats
    class_names: tuple[str, ...]
    groups: Ints | None = None
    group_names: tuple[str, ...] = ()

    @property
    def predicted(self) -> Ints:
        return np.asarray(self.probabilities.argmax(axis=1).astype(np.int64))

    @property
    def confidence(self) -> Floats:
        return np.asarray(self.probabilities.max(axis=1))

    def group_of(self, index: int) -> str:
        return "" if self.groups is None else self.group_names[self.groups[index]]


@dataclass(frozen=True)
class Share:
    """Accuracy inside one group."""

    name: str
    accuracy: Estimate


@dataclass(frozen=True)
class ClassScore:
    """`support` is the number of pictures whose true class this is."""

    name: str
    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Confused:
    """`count` of the `support` pictures of `label` were taken for `predicted`."""

    label: str
    predicted: str
    count: int
    support: int


@dataclass(frozen=True)
class EvaluationReport:
    """All figures of one evaluation. `about` are sentences on where the pictures come from.

    `top5` is missing with five classes or fewer. `confusion[true][predicted]` counts pictures.
    """

    run: str
    dataset: str
    part: str
    about: tuple[str, ...]
    accuracy: Estimate
    top5: Estimate | None
    balanced_accuracy: Estimate
    log_loss: Estimate
    groups: tuple[Share, ...]
    classes: tuple[ClassScore, ...]
    confused: tuple[Confused, ...]
    confusion: tuple[tuple[int, ...], ...]

    def summary(self) -> str:
        """The headline figures and where the pictures come from, for a terminal."""
        rows = [("accuracy", self.accuracy), ("top 5", self.top5), ("balanced", self.balanced_accuracy)]
        lines = [f"{name:>10}  {_in_words(found)}" for name, found in rows if found]
        lines += [f"{group.name:>10}  {_in_words(group.accuracy)}" for group in self.groups[:_GROUPS_SHOWN]]
        return "\n".join([*lines, *self.about])


_GROUPS_SHOWN = 10


def _in_words(found: Estimate) -> str:
    return f"{found.value:.1%} (95 % interval {found.low:.1%} to {found.high:.1%}, n = {found.n})"


def summarise(
    predictions: Predictions, *, run: str, dataset: str, part: str, about: tuple[str, ...]
) -> EvaluationReport:
    """Every figure of the report from the predictions alone."""
    labels, probabilities, groups = predictions.labels, predictions.probabilities, predictions.groups
    names = predictions.class_names
    confusion = metrics.confusion_matrix(labels, predictions.predicted, len(names))
    return EvaluationReport(
        run=run,
        dataset=dataset,
        part=part,
        about=about,
        accuracy=share(metrics.hits(labels, probabilities), groups),
        top5=share(metrics.hits(labels, probabilities, 5), groups) if len(names) > 5 else None,
        balanced_accuracy=_balanced_accuracy(predictions),
        log_loss=_mean(metrics.losses(labels, probabilities), groups),
        groups=_by_group(predictions),
        classes=_by_class(confusion, names),
        confused=_confused(confusion, names),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def to_json(value: object) -> Any:
    """A result as JSON values; a figure that does not exist becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _mean(values: Floats, groups: Ints | None) -> Estimate:
    return bootstrap(np.stack([values, np.ones(len(values))], axis=1), ratio, groups)


def _balanced_accuracy(predictions: Predictions) -> Estimate:
    """Mean recall over the classes that occur; a resample without a class leaves it out."""
    present, codes = np.unique(predictions.labels, return_inverse=True)
    of_class = np.eye(len(present))[codes]
    right = metrics.hits(predictions.labels, predictions.probabilities)
    columns = np.concatenate([of_class * right[:, None], of_class], axis=1)
    return bootstrap(columns, _mean_recall, predictions.groups)


def _mean_recall(totals: Floats) -> Floats:
    right, support = np.split(totals, 2, axis=1)
    recall = np.divide(right, support, out=np.full(right.shape, np.nan), where=support > 0)
    return np.asarray(np.nanmean(recall, axis=1))


def _by_group(predictions: Predictions) -> tuple[Share, ...]:
    """Accuracy of each group, the worst first."""
    if predictions.groups is None:
        return ()
    right = metrics.hits(predictions.labels, predictions.probabilities)
    found = [
        Share(predictions.group_names[group], share(right[predictions.groups == group]))
        for group in np.unique(predictions.groups)
    ]
    return tuple(sorted(found, key=lambda item: item.accuracy.value))


def _by_class(confusion: Ints, names: tuple[str, ...]) -> tuple[ClassScore, ...]:
    taken, support = confusion.sum(axis=0), confusion.sum(axis=1)
    return tuple(
        ClassScore(
            name,
            int(support[index]),
            precision=wilson(int(confusion[index, index]), int(taken[index])),
            recall=wilson(int(confusion[index, index]), int(support[index])),
            f1=_f1(int(confusion[index, index]), int(taken[index] + support[index])),
        )
        for index, name in enumerate(names)
    )


def _f1(right: int, taken_and_support: int) -> Estimate:
    """F1 with an interval: J = right / (taken or support) is a share, and F1 = 2J / (1 + J) grows with it."""
    jaccard = wilson(right, taken_and_support - right)
    value, low, high = (2 * end / (1 + end) for end in (jaccard.value, jaccard.low, jaccard.high))
    return Estimate(value, low, high, jaccard.n)


def _confused(confusion: Ints, names: tuple[str, ...], most: int = 10) -> tuple[Confused, ...]:
    """The pairs of classes mistaken most often, by count."""
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(cell), len(names)) for cell in order]
    return tuple(
        Confused(names[true], names[taken], int(wrong[true, taken]), int(confusion[true].sum()))
        for true, taken in pairs
        if wrong[true, taken]
    )
