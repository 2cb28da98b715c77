"""Does 90 % sure mean right nine times in ten? And how sure is sure enough to answer?

Everywhere: `logits` [n, classes], `labels` [n]; a confidence is the probability of the top class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snaptune.evaluation.intervals import (
    CONFIDENCE,
    RESAMPLES,
    Bools,
    Estimate,
    Floats,
    Ints,
    has_groups,
    resampled,
    share,
    unit_sums,
    wilson,
)

FOLDS = 5
_MOST_BINS, _LEAST_IN_BIN = 15, 20
_LOWEST, _HIGHEST = 0.05, 20.0
_MOST_FITTED = 20_000
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Calibration:
    """What a run keeps: logits are divided by `temperature`; an answer must be surer than `threshold`.

    The threshold is missing where nothing was fitted, or where `pictures` were too few for `max_wrong`.
    """

    temperature: float = 1.0
    threshold: float | None = None
    max_wrong: float = 0.02
    pictures: int = 0

    def __post_init__(self) -> None:
        if not 1e-3 <= self.temperature <= 1e3:
            raise ValueError(f"temperature {self.temperature} must be between 0.001 and 1000")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold {self.threshold} must be between 0 and 1")
        if not 0 < self.max_wrong < 1:
            raise ValueError(f"max_wrong {self.max_wrong} must be between 0 and 1")


@dataclass(frozen=True)
class Bin:
    """Pictures of like confidence: their mean confidence and the share that was right."""

    confidence: float
    right: Estimate


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error: mean distance between confidence and share right, over `bins`.

    So few pictures would show `chance` (and in 95 of 100 cases at most `chance_most`) if the
    confidences were exactly right.
    """

    error: Estimate
    chance: float
    chance_most: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Threshold:
    """What comes of answering 'unknown' unless surer than `confidence`.

    `answered` is the share of pictures that get an answer, `right` the share of right ones among those,
    `wrong` the share of all pictures that get a wrong answer.
    """

    confidence: float
    answered: Estimate
    right: Estimate
    wrong: Estimate


def softmax(logits: npt.ArrayLike, temperature: npt.ArrayLike = 1.0) -> Floats:
    """Probabilities [n, classes]; `temperature` is one number or one a picture."""
    scaled = np.asarray(logits, dtype=np.float64) / np.reshape(temperature, (-1, 1))
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def fit_temperature(logits: npt.ArrayLike, labels: Ints) -> float:
    """The number that logits are divided by for the smallest log loss (Guo et al., 2017), from 0.05 to 20.

    Of more than 20,000 pictures an even choice is used, which finds it to about one percent.
    """
    step = math.ceil(len(labels) / _MOST_FITTED)
    values, labels = np.asarray(logits, dtype=np.float64)[::step], labels[::step]
    values = values - values[np.arange(len(labels)), labels][:, None]

    def loss(log_temperature: float) -> float:
        scaled = values / math.exp(log_temperature)
        most = scaled.max(axis=1)
        return float((most + np.log(np.exp(scaled - most[:, None]).sum(axis=1))).mean())

    return math.exp(_lowest_point(loss, math.log(_LOWEST), math.log(_HIGHEST)))


def cross_fitted(logits: npt.ArrayLike, labels: Ints, groups: Ints | None, seed: int = 0) -> Floats:
    """One temperature a picture, fitted on pictures of other groups; without groups, on other folds."""
    values = np.asarray(logits, dtype=np.float64)
    folds = _folds(len(labels), groups, seed)
    temperatures = np.ones(len(labels))
    for fold in np.unique(folds):
        inside = folds == fold
        if not inside.all():
            temperatures[inside] = fit_temperature(values[~inside], labels[~inside])
    return temperatures


def calibration_error(confidence: Floats, right: Bools, groups: Ints | None = None) -> CalibrationError:
    """ECE over bins of equally many pictures, at least 20 in each and at most 15 bins.

    ECE of few pictures is too large, as chance alone moves the bins. Its interval has the bootstrap's bias
    taken off, and reaches down to 0 where chance would explain it all.
    """
    bins = _equal_bins(confidence)
    count = int(bins.max()) + 1
    gaps = np.zeros((len(confidence), count + 1))
    gaps[np.arange(len(confidence)), bins] = confidence - right
    gaps[:, count] = 1
    chance, most = _chance(confidence, bins)
    return CalibrationError(
        error=_error_interval(gaps, groups, most),
        chance=chance,
        chance_most=most,
        bins=tuple(
            Bin(float(confidence[inside].mean()), wilson(int(right[inside].sum()), int(inside.sum())))
            for inside in (bins == index for index in range(count))
        ),
    )


def choose_threshold(confidence: Floats, right: Bools, max_wrong: float) -> float | None:
    """The lowest threshold that lets wrong answers through for at most `max_wrong` of all pictures.

    On average, and for new pictures drawn like these: conformal risk control (Angelopoulos et al., 2022),
    where the risk is that a picture gets an answer and it is wrong. None for fewer than 1 / max_wrong - 1
    pictures, which cannot show it.
    """
    allowed = math.floor(max_wrong * (len(confidence) + 1) - 1 + 1e-9)
    if allowed < 0:
        return None
    wrong = np.sort(confidence[~right])[::-1]
    return float(wrong[allowed]) if len(wrong) > allowed else 0.0


def at_threshold(confidence: Floats, right: Bools, threshold: float, groups: Ints | None = None) -> Threshold:
    """How a threshold does on these pictures."""
    answered = confidence > threshold
    return Threshold(
        threshold,
        answered=share(answered, groups),
        right=share(right[answered], None if groups is None else groups[answered]),
        wrong=share(answered & ~right, groups),
    )


def _lowest_point(function: Callable[[float], float], low: float, high: float, rounds: int = 30) -> float:
    """Golden-section search in a valley; 30 rounds leave 1e-6 of the range."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(rounds):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2


def _folds(n: int, groups: Ints | None, seed: int) -> Ints:
    if groups is not None and has_groups(groups):
        return groups
    return np.random.default_rng(seed).permutation(n) % FOLDS


def _equal_bins(confidence: Floats) -> Ints:
    """The bin of each picture, from the least confident up."""
    count = min(_MOST_BINS, max(1, len(confidence) // _LEAST_IN_BIN))
    bins = np.empty(len(confidence), dtype=np.int64)
    for index, members in enumerate(np.array_split(np.argsort(confidence, kind="stable"), count)):
        bins[members] = index
    return bins


def _total_gap(totals: Floats) -> Floats:
    return np.asarray(np.abs(totals[:, :-1]).sum(axis=1) / totals[:, -1])


def _chance(confidence: Floats, bins: Ints) -> tuple[float, float]:
    """Mean and 95 % point of the ECE of exact confidences: each bin's gap is then nearly normal."""
    spread = np.sqrt(np.bincount(bins, confidence * (1 - confidence)))
    noise = np.random.default_rng(0).normal(size=(RESAMPLES, len(spread)))
    errors = np.abs(noise * spread).sum(axis=1) / len(confidence)
    return float(errors.mean()), float(np.quantile(errors, CONFIDENCE))


def _error_interval(gaps: Floats, groups: Ints | None, chance_most: float) -> Estimate:
    value = float(_total_gap(gaps.sum(axis=0, keepdims=True))[0])
    errors = np.concatenate([_total_gap(totals) for totals in resampled(unit_sums(gaps, groups))])
    bias = max(0.0, float(errors.mean()) - value)
    low, high = np.quantile(errors, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    lowest = 0.0 if value <= chance_most else max(0.0, min(value, float(low) - 2 * bias))
    return Estimate(value, lowest, max(value, float(high) - bias), len(gaps))
