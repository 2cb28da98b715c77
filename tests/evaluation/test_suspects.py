from __future__ import annotations

import numpy as np

from snaptune.evaluation.calibration import softmax
from snaptune.evaluation.probe import out_of_fold_hits, out_of_fold_scores
from snaptune.evaluation.suspects import suspects


def test_the_surest_come_first_with_the_class_that_is_likelier() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.4, 0.35, 0.25], [0.05, 0.05, 0.9], [0.2, 0.7, 0.1]])
    labels = np.array([0, 1, 0, 0])
    found, likely = suspects(probabilities, labels)
    assert found.tolist() == [2, 3, 1]
    assert likely.tolist() == [2, 1, 0]


def test_no_label_is_suspect_where_each_is_the_likeliest() -> None:
    found, likely = suspects(np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 1]))
    assert len(found) == len(likely) == 0


def test_planted_labels_are_found_with_hardly_any_other() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 4, 400)
    features = (6 * np.eye(4, 50)[truth] + draw.normal(size=(400, 50))).astype(np.float32)
    labels = truth.copy()
    wrong = draw.permutation(400)[:20]
    labels[wrong] = (labels[wrong] + 1) % 4
    scores = out_of_fold_scores(features, labels, np.arange(400), 4)
    found, likely = suspects(softmax(scores, 0.1), labels)
    assert np.isin(wrong, found).all()
    assert len(found) <= 22
    assert (likely[np.isin(found, wrong)] == truth[found[np.isin(found, wrong)]]).all()


def test_a_unit_is_never_on_both_sides() -> None:
    """Each picture is there twice, with features of its own: only its double could give it away."""
    draw = np.random.default_rng(1)
    features = np.repeat(draw.normal(size=(200, 1000)), 2, axis=0).astype(np.float32)
    labels = np.repeat(draw.integers(0, 2, 200), 2)
    apart = out_of_fold_hits(features, labels, np.arange(400))
    together = out_of_fold_hits(features, labels, np.repeat(np.arange(200), 2))
    assert apart.mean() > 0.85
    assert together.mean() < 0.6
