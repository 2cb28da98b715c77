"""A share of hits among pictures that come in groups, such as the people, artists or videos they show."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_PAIRS = 2000
"""Different (hits, size) of groups for which the ends are computed in about a second."""

_PASSES = (33, 17), (41, 21), (97, 33)
"""Points over the share, and over how much groups differ: first everywhere, then where the mass is."""
_NEGLIGIBLE = 1e-7
_SHIFT = 8


def credible_ends(hits: Ints, sizes: Ints, confidence: float) -> tuple[float, float]:
    """The ends that hold the mean share of groups with this probability, given `hits` of `sizes` [groups].

    Beta-binomial: each group has a share of its own, beta distributed about the mean. Nobody knows how far
    groups differ, and few groups hardly tell, so it is averaged over instead of estimated: the prior is
    Jeffreys' for the mean, and uniform for the standard deviation between groups (Gelman, 2006), taken as a
    part of the largest possible. Groups that are all right thus prove little where they are few.
    """
    pairs, times = np.unique(np.stack([hits, sizes], axis=1), axis=0, return_counts=True)
    edges = (0.0, 1.0), (0.0, 1.0)
    for points in _PASSES:
        angles, spreads = (_middles(ends, count) for ends, count in zip(edges, points, strict=True))
        mass = _mass(pairs, times, np.sin(angles * np.pi / 2) ** 2, spreads**2)
        edges = _around(angles, mass.sum(axis=1)), _around(spreads, mass.sum(axis=0))
    reached = np.concatenate([[0.0], np.cumsum(mass.sum(axis=1))])
    borders = np.concatenate([angles - _step(angles) / 2, angles[-1:] + _step(angles) / 2])
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.sin(np.interp(tails, reached / reached[-1], borders) * np.pi / 2) ** 2
    return float(low), float(high)


def _mass(pairs: Ints, times: Ints, shares: Floats, likeness: Floats) -> Floats:
    """Relative probability [shares, likeness] of a mean share and of the correlation inside groups."""
    strength = (1 - likeness) / likeness
    right, wrong = shares[:, None] * strength, (1 - shares)[:, None] * strength
    logs = np.zeros(right.shape)
    none = _log_gamma(right), _log_gamma(wrong), _log_gamma(strength)
    for (hit, size), count in zip(pairs.tolist(), times.tolist(), strict=True):
        risen = _log_gamma(right + hit) - none[0] + _log_gamma(wrong + size - hit) - none[1]
        logs += count * (risen - (_log_gamma(strength + size) - none[2]))
    mass: Floats = np.exp(logs - logs.max())
    return mass


def _middles(ends: tuple[float, float], count: int) -> Floats:
    low, high = ends
    return low + (high - low) * (np.arange(count) + 0.5) / count


def _around(points: Floats, mass: Floats) -> tuple[float, float]:
    """Where all but a negligible mass lies, and a step more at both ends."""
    there = np.flatnonzero(mass > _NEGLIGIBLE * mass.max())
    step = 1.5 * _step(points)
    return max(0.0, float(points[there[0]]) - step), min(1.0, float(points[there[-1]]) + step)


def _step(points: Floats) -> float:
    return float(points[1] - points[0])


def _log_gamma(values: Floats) -> Floats:
    """Logarithm of the gamma function for positive numbers, to 1e-12: Stirling's series, shifted up."""
    large = values + _SHIFT
    below = np.log(np.prod([values + step for step in range(_SHIFT)], axis=0))
    series = 1 / (12 * large) - 1 / (360 * large**3) + 1 / (1260 * large**5) - 1 / (1680 * large**7)
    logs: Floats = (large - 0.5) * np.log(large) - large + math.log(2 * math.pi) / 2 + series - below
    return logs
