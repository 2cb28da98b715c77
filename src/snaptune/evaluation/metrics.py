"""Functions from labels and probabilities to numbers.

Everywhere: `labels` int64 [n], `probabilities` [n, classes], columns in the order of the class names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snaptune.evaluation.intervals import Bools, Floats, Ints

Probabilities = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_TINY = 1e-12
"""Smallest probability that log loss sees, so that one certain mistake stays finite."""


@dataclass(frozen=True, eq=False)
class PerClass:
    """One value a class; NaN where nothing was of, or taken for, the class."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints


def hits(labels: Ints, probabilities: Probabilities, top: int = 1) -> Bools:
    """Whether the true class is among the `top` most probable ones; ties go to the earlier class."""
    leading = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return np.asarray((leading == labels[:, None]).any(axis=1))


def accuracy(labels: Ints, probabilities: Probabilities, top: int = 1) -> float:
    """Share of pictures whose true class is among the `top` most probable ones."""
    return float(hits(labels, probabilities, top).mean())


def losses(labels: Ints, probabilities: Probabilities) -> Floats:
    """Negative log probability of the true class, in nats, one a picture."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return np.asarray(-np.log(np.maximum(of_truth, _TINY)))


def log_loss(labels: Ints, probabilities: Probabilities) -> float:
    """Mean negative log probability of the true class, in nats."""
    return float(losses(labels, probabilities).mean())


def confusion_matrix(labels: Ints, predicted: Ints, classes: int) -> Ints:
    """Counts [true class, predicted class]."""
    cells = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def per_class(confusion: Ints) -> PerClass:
    """Precision, recall and F1 of each class from a confusion matrix."""
    right = np.diag(confusion).astype(np.float64)
    support, taken = confusion.sum(axis=1), confusion.sum(axis=0)
    return PerClass(
        precision=_divided(right, taken),
        recall=_divided(right, support),
        f1=_divided(2 * right, support + taken),
        support=support.astype(np.int64),
    )


def balanced_accuracy(labels: Ints, probabilities: Probabilities) -> float:
    """Mean recall over the classes that occur."""
    classes = probabilities.shape[1]
    return float(
        np.nanmean(per_class(confusion_matrix(labels, probabilities.argmax(axis=1), classes)).recall)
    )


def _divided(part: Floats, whole: Ints) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))
