import math

import numpy as np
import pytest

from snaptune.evaluation.grouped import _log_gamma, credible_ends


def brute_force(hits: list[int], sizes: list[int]) -> tuple[float, float]:
    """The same model summed up over a fine grid, one logarithm of the gamma function at a time."""
    angles, spreads = (np.arange(400) + 0.5) / 400, (np.arange(120) + 0.5) / 120
    mass = np.zeros((400, 120))
    for row, mean in enumerate(np.sin(angles * math.pi / 2) ** 2):
        for column, likeness in enumerate(spreads**2):
            a, b = mean * (1 / likeness - 1), (1 - mean) * (1 / likeness - 1)
            mass[row, column] = math.exp(
                sum(
                    math.lgamma(a + hit) - math.lgamma(a) + math.lgamma(b + size - hit) - math.lgamma(b)
                    - math.lgamma(a + b + size) + math.lgamma(a + b)
                    for hit, size in zip(hits, sizes, strict=True)
                )
            )  # fmt: skip
    reached = mass.sum(axis=1).cumsum() / mass.sum()
    low, high = np.sin(np.interp([0.025, 0.975], reached, angles + 0.5 / 400) * math.pi / 2) ** 2
    return float(low), float(high)


@pytest.mark.parametrize(
    ("hits", "sizes"), [([9, 7, 10, 8], [10, 10, 10, 10]), ([3, 0], [4, 1]), ([8, 8, 8], [8, 8, 8])]
)
def test_ends_are_those_of_the_model_summed_up(hits: list[int], sizes: list[int]) -> None:
    found = credible_ends(np.array(hits), np.array(sizes), 0.95)
    assert found == pytest.approx(brute_force(hits, sizes), abs=0.003)


def test_groups_of_one_picture_are_jeffreys_interval() -> None:
    """15 of 20: 0.5358 to 0.8976 (quantiles 2.5 and 97.5 % of the beta distribution 15.5, 5.5)."""
    found = credible_ends(np.repeat([1, 0], [15, 5]), np.ones(20, dtype=np.int64), 0.95)
    assert found == pytest.approx((0.5358, 0.8976), abs=0.001)


def test_many_pictures_are_resolved_finely() -> None:
    """A million pictures in 40 groups that do not differ: nearly as narrow as independent ones."""
    low, high = credible_ends(np.full(40, 20_000), np.full(40, 25_000), 0.95)
    assert low < 0.8 < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.8 * 0.2 / 1e6), rel=0.1)


def test_log_gamma() -> None:
    values = np.array([1e-8, 1e-3, 0.5, 1, 2, 9.5, 1e3, 1e7])
    expected = [math.lgamma(value) for value in values]
    np.testing.assert_allclose(_log_gamma(values), expected, rtol=1e-11, atol=1e-11)
