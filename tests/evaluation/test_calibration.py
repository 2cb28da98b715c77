import numpy as np
import pytest

from snaptune.evaluation.calibration import (
    Calibration,
    at_threshold,
    calibration_error,
    choose_threshold,
    cross_fitted,
    fit_temperature,
    softmax,
)
from snaptune.evaluation.metrics import log_loss


def drawn(n: int, seed: int, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits [n, 6] and labels drawn from their probabilities at `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, (n, 6))
    cumulated = softmax(logits, temperature).cumsum(axis=1)
    return logits, (rng.random(n)[:, None] > cumulated).sum(axis=1).clip(max=5)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    logits, labels = drawn(20_000, 0, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.03)


def test_no_other_temperature_has_a_smaller_loss() -> None:
    logits, labels = drawn(300, 1, 1.7)
    best = fit_temperature(logits, labels)
    others = [log_loss(labels, softmax(logits, best * factor)) for factor in (0.9, 0.99, 1.01, 1.1)]
    assert log_loss(labels, softmax(logits, best)) < min(others)


def test_a_picture_has_no_say_in_its_own_temperature() -> None:
    logits, labels = drawn(90, 2)
    groups = np.arange(90) % 3
    before = cross_fitted(logits, labels, groups)
    labels[groups == 1] = (labels[groups == 1] + 1) % 6
    after = cross_fitted(logits, labels, groups)
    assert (before[groups == 1] == after[groups == 1]).all()
    assert (before[groups != 1] != after[groups != 1]).all()


def test_calibrated_probabilities_have_an_error_near_zero() -> None:
    logits, labels = drawn(50_000, 3)
    probabilities = softmax(logits)
    found = calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    assert found.error.value < 0.01
    assert found.error.low == 0


def test_error_of_few_pictures_is_told_from_chance() -> None:
    """Over many small sets, exact confidences show the error that is announced as chance."""
    errors, chances, within = [], [], []
    for seed in range(200):
        logits, labels = drawn(150, seed)
        probabilities = softmax(logits)
        found = calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
        errors.append(found.error.value)
        chances.append(found.chance)
        within.append(found.error.value <= found.chance_most)
    assert np.mean(errors) == pytest.approx(np.mean(chances), abs=0.004)
    assert 0.91 <= np.mean(within) <= 0.98


def test_overconfidence_is_measured() -> None:
    logits, labels = drawn(20_000, 4, temperature=2.5)
    probabilities = softmax(logits)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    found = calibration_error(confidence, right)
    assert found.error.low > found.chance_most
    assert found.error.value == pytest.approx(confidence.mean() - right.mean(), abs=0.002)
    assert sum(item.right.n for item in found.bins) == 20_000


@pytest.mark.parametrize("max_wrong", [0.02, 0.1])
def test_wrong_answers_let_through_stay_within_the_promise(max_wrong: float) -> None:
    """The promise is about the average over sets of 150 pictures, measured on 5000 new ones."""
    logits, labels = drawn(5000, 999)
    probabilities = softmax(logits)
    new_confidence, new_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    wrong = []
    for seed in range(400):
        logits, labels = drawn(150, seed)
        probabilities = softmax(logits)
        threshold = choose_threshold(
            probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, max_wrong
        )
        assert threshold is not None
        wrong.append(at_threshold(new_confidence, new_right, threshold).wrong.value)
    assert 0.5 * max_wrong < np.mean(wrong) < 1.05 * max_wrong


def test_too_few_pictures_promise_nothing() -> None:
    assert choose_threshold(np.full(48, 0.9), np.ones(48, dtype=bool), 0.02) is None
    assert choose_threshold(np.full(49, 0.9), np.ones(49, dtype=bool), 0.02) == 0


def test_threshold_counts() -> None:
    confidence, right = np.array([0.3, 0.5, 0.7, 0.9]), np.array([False, False, True, True])
    found = at_threshold(confidence, right, 0.3)
    assert (found.answered.value, found.wrong.value) == (0.75, 0.25)
    assert found.right.value == pytest.approx(2 / 3)


@pytest.mark.parametrize("values", [{"temperature": 0.0}, {"temperature": float("nan")}, {"threshold": 1.5}])
def test_a_calibration_outside_its_range_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Calibration(**values)  # type: ignore[arg-type]
