import numpy as np
import pytest
from sklearn import metrics as reference

from snaptune.evaluation import metrics


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = rng.integers(7, size=500)
    logits = rng.normal(size=(500, 8)) + 1.5 * np.eye(8)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_figures_agree_with_scikit_learn(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = scored
    answers = probabilities.argmax(axis=1)
    assert metrics.accuracy(labels, probabilities) == reference.accuracy_score(labels, answers)
    five = reference.top_k_accuracy_score(labels, probabilities, k=5, labels=range(8))
    assert metrics.accuracy(labels, probabilities, top=5) == pytest.approx(five)
    loss = reference.log_loss(labels, probabilities, labels=range(8))
    assert metrics.log_loss(labels, probabilities) == pytest.approx(loss)


def test_per_class_figures_agree_with_scikit_learn(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = scored
    answers = probabilities.argmax(axis=1)
    confusion = metrics.confusion_matrix(labels, answers, 8)
    assert (confusion == reference.confusion_matrix(labels, answers, labels=range(8))).all()
    found = metrics.per_class(confusion)
    expected = reference.precision_recall_fscore_support(labels, answers, labels=range(7))
    for mine, theirs in zip((found.precision, found.recall, found.f1, found.support), expected, strict=True):
        assert mine[:7] == pytest.approx(theirs)


def test_a_class_that_does_not_occur_has_no_recall_and_does_not_count(
    scored: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, probabilities = scored
    answers = probabilities.argmax(axis=1)
    recall = metrics.per_class(metrics.confusion_matrix(labels, answers, 8)).recall
    assert np.isnan(recall[7])
    assert metrics.balanced_accuracy(labels, probabilities) == pytest.approx(recall[:7].mean())


def test_one_certain_mistake_keeps_log_loss_finite() -> None:
    assert metrics.log_loss(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(27.63, abs=0.01)
