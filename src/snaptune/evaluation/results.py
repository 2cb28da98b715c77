"""What an evaluation found: from predictions to figures, each with its n and its interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snaptune.evaluation import metrics
from snaptune.evaluation.calibration import (
    Calibration,
    CalibrationError,
    Threshold,
    at_threshold,
    calibration_error,
    softmax,
)
from snaptune.evaluation.comparison import paired_difference
from snaptune.evaluation.intervals import (
    Bools,
    Estimate,
    Floats,
    Ints,
    bootstrap,
    ratio,
    share,
    wilson,
)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Scored pictures, one row each.

    `labels` and the columns of `logits` follow `class_names`; `groups`, where known, index `group_names`.
    `parts` says where each picture stood in training. `temperature` is the one that the model answers
    with; `own_temperatures` [n], where it was fitted on these very pictures, are each fitted without
    the picture's fold.
    """

    ids: tuple[str, ...]
    parts: tuple[str, ...]
    labels: Ints
    logits: Floats
    class_names: tuple[str, ...]
    groups: Ints | None = None
    group_names: tuple[str, ...] = ()
    temperature: float = 1.0
    own_temperatures: Floats | None = None

    @cached_property
    def probabilities(self) -> Floats:
        """What the model answers with."""
        return softmax(self.logits, self.temperature)

    @cached_property
    def fair_probabilities(self) -> Floats:
        """What it would answer had the temperature not been fitted on the picture itself."""
        return softmax(
            self.logits, self.temperature if self.own_temperatures is None else self.own_temperatures
        )

    @cached_property
    def right(self) -> Bools:
        return np.asarray(self.predicted == self.labels)

    @cached_property
    def predicted(self) -> Ints:
        return np.asarray(self.probabilities.argmax(axis=1).astype(np.int64))

    @cached_property
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
class Trust:
    """Whether confidences can be taken at their word: without and with the run's temperature.

    `fitted_here` says that the temperature comes from these pictures; the figures "after" are then
    cross-fitted. `unknown` is missing where the run has no threshold.
    """

    calibration: Calibration
    fitted_here: bool
    before: CalibrationError
    after: CalibrationError
    log_loss_before: Estimate
    unknown: Threshold | None


@dataclass(frozen=True)
class Hardship:
    """Accuracy on the same pictures made worse, and how far that is from the accuracy on them as they are."""

    name: str
    strength: str
    accuracy: Estimate
    change: Estimate


@dataclass(frozen=True)
class EvaluationReport:
    """All figures of one evaluation. `about` are sentences on where the pictures come from.

    `top5` is missing with five classes or fewer; `log_loss` is with the temperature, in nats.
    `confusion[true][predicted]` counts pictures; `hardships` are empty unless asked for.
    """

    run: str
    dataset: str
    part: str
    about: tuple[str, ...]
    accuracy: Estimate
    top5: Estimate | None
    balanced_accuracy: Estimate
    log_loss: Estimate
    trust: Trust
    groups: tuple[Share, ...]
    classes: tuple[ClassScore, ...]
    confused: tuple[Confused, ...]
    confusion: tuple[tuple[int, ...], ...]
    hardships: tuple[Hardship, ...] = ()

    def summary(self) -> str:
        """The headline figures and where the pictures come from, for a terminal."""
        rows = [("accuracy", self.accuracy), ("top 5", self.top5), ("balanced", self.balanced_accuracy)]
        lines = [f"{name:>12}  {found.as_share()}" for name, found in rows if found]
        lines += [f"{'calibration':>12}  {_calibration_in_words(self.trust)}"]
        lines += [f"{group.name:>12}  {group.accuracy.as_share()}" for group in self.groups[:_GROUPS_SHOWN]]
        return "\n".join([*lines, *self.about])


_GROUPS_SHOWN = 10


def _calibration_in_words(trust: Trust) -> str:
    before, after = trust.before.error.value, trust.after.error.value
    return f"error {before:.3f}, with temperature {trust.calibration.temperature:.2f}: {after:.3f}"


def summarise(
    predictions: Predictions,
    calibration: Calibration,
    *,
    run: str,
    dataset: str,
    part: str,
    about: tuple[str, ...],
) -> EvaluationReport:
    """Every figure of the report from the predictions alone."""
    labels, probabilities, groups = predictions.labels, predictions.fair_probabilities, predictions.groups
    names = predictions.class_names
    confusion = metrics.confusion_matrix(labels, predictions.predicted, len(names))
    return EvaluationReport(
        run=run,
        dataset=dataset,
        part=part,
        about=about,
        accuracy=share(predictions.right, groups),
        top5=share(metrics.hits(labels, probabilities, 5), groups) if len(names) > 5 else None,
        balanced_accuracy=_balanced_accuracy(predictions),
        log_loss=_mean(metrics.losses(labels, probabilities), groups),
        trust=_trust(predictions, calibration),
        groups=_by_group(predictions),
        classes=_by_class(confusion, names),
        confused=_confused(confusion, names),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def _trust(predictions: Predictions, calibration: Calibration) -> Trust:
    right, groups = predictions.right, predictions.groups
    plain, fair = softmax(predictions.logits), predictions.fair_probabilities.max(axis=1)
    threshold = calibration.threshold
    return Trust(
        calibration,
        fitted_here=predictions.own_temperatures is not None,
        before=calibration_error(plain.max(axis=1), right, groups),
        after=calibration_error(fair, right, groups),
        log_loss_before=_mean(metrics.losses(predictions.labels, plain), groups),
        unknown=None if threshold is None else at_threshold(fair, right, threshold, groups),
    )


def _mean(values: Floats, groups: Ints | None) -> Estimate:
    return bootstrap(np.stack([values, np.ones(len(values))], axis=1), ratio, groups)


def _balanced_accuracy(predictions: Predictions) -> Estimate:
    """Mean recall over the classes that occur; a resample without a class leaves it out."""
    present, codes = np.unique(predictions.labels, return_inverse=True)
    of_class = np.eye(len(present))[codes]
    columns = np.concatenate([of_class * predictions.right[:, None], of_class], axis=1)
    return bootstrap(columns, _mean_recall, predictions.groups)


def _mean_recall(totals: Floats) -> Floats:
    right, support = np.split(totals, 2, axis=1)
    recall = np.divide(right, support, out=np.full(right.shape, np.nan), where=support > 0)
    return np.asarray(np.nanmean(recall, axis=1))


def hardship(predictions: Predictions, worse: Floats, name: str, strength: str) -> Hardship:
    """How the same pictures fare with the logits [n, classes] that they got when made worse."""
    right = worse.argmax(axis=1) == predictions.labels
    change = paired_difference(predictions.right, right, predictions.groups)
    return Hardship(name, strength, share(right, predictions.groups), change)


def _by_group(predictions: Predictions) -> tuple[Share, ...]:
    """Accuracy of each group, the worst first."""
    if predictions.groups is None:
        return ()
    found = [
        Share(predictions.group_names[group], share(predictions.right[predictions.groups == group]))
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
