"""How far features tell classes apart: ridge regression onto them, each fold answered by the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snaptune.evaluation.calibration import fit_temperature, softmax
from snaptune.evaluation.intervals import Bools, Floats, Ints

FOLDS = 5
RIDGE = 0.1
"""Weight of the penalty for each picture, on features of unit variance."""

Features = npt.NDArray[np.float32]


def out_of_fold_scores(features: Features, labels: Ints, units: Ints, classes: int) -> Floats:
    """What regression on the other folds gives each picture, [n, classes]; a unit is never cut."""
    folds = np.random.default_rng(0).permutation(int(units.max()) + 1)[units] % FOLDS
    scores = np.zeros((len(labels), classes))
    for fold in np.unique(folds):
        held = folds == fold
        scores[held] = _ridge(features[~held], labels[~held], features[held], classes)
    return scores


def out_of_fold_probabilities(features: Features, labels: Ints, units: Ints, classes: int) -> Floats:
    """The scores as probabilities [n, classes], none from a model that has seen the picture's own label.

    One temperature, the one under which the scores have the smallest log loss, makes them so.
    """
    scores = out_of_fold_scores(features, labels, units, classes)
    return softmax(scores, fit_temperature(scores, labels))


def out_of_fold_hits(features: Features, labels: Ints, units: Ints) -> Bools:
    """Whether regression on the other folds gets each picture right."""
    scores = out_of_fold_scores(features, labels, units, int(labels.max()) + 1)
    return np.asarray(scores.argmax(axis=1) == labels)


def _ridge(known: Features, labels: Ints, asked: Features, classes: int) -> Floats:
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
    known, asked = (known - mean) / spread, (asked - mean) / spread
    targets = np.eye(classes)[labels]
    gram = known.T @ known + RIDGE * len(known) * np.eye(known.shape[1])
    weights = np.linalg.solve(gram.astype(np.float64), known.T @ (targets - targets.mean(axis=0)))
    return np.asarray(asked @ weights + targets.mean(axis=0))
