import math

import numpy as np
import pytest

from snaptune.evaluation.intervals import bootstrap, percent, ratio, share, student_t, wilson


def mean_columns(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values))], axis=1).astype(np.float64)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718), (20, 20, 0.8389, 1.0)],
)
def test_wilson_gives_the_published_intervals(hits: int, n: int, low: float, high: float) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3."""
    found = wilson(hits, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert (found.value, found.n) == (hits / n, n)


def test_a_share_of_nothing_is_unknown() -> None:
    found = wilson(0, 0)
    assert math.isnan(found.value)
    assert (found.low, found.high, found.n) == (0, 1, 0)


def test_bootstrap_of_a_mean_agrees_with_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    found = bootstrap(mean_columns(values), ratio)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)


def test_bootstrap_is_the_same_each_time() -> None:
    columns = mean_columns(np.arange(50.0))
    assert bootstrap(columns, ratio) == bootstrap(columns, ratio)
    assert bootstrap(columns, ratio, seed=1) != bootstrap(columns, ratio)


def test_copies_inside_a_group_add_nothing() -> None:
    """Ten pictures of each of 30 people that all go the same way are 30 facts, not 300."""
    people = np.random.default_rng(1).random(30) < 0.7
    pictures, groups = np.repeat(people, 10), np.repeat(np.arange(30), 10)
    by_group, by_picture = share(pictures, groups), share(pictures)
    assert by_group.high - by_group.low == pytest.approx(
        math.sqrt(10) * (by_picture.high - by_picture.low), rel=0.15
    )


def test_one_group_cannot_be_resampled() -> None:
    right = np.arange(20) < 15
    assert share(right, np.zeros(20, dtype=np.int64)) == wilson(15, 20)


def test_groups_that_are_all_right_do_not_make_it_certain() -> None:
    assert share(np.ones(40, dtype=bool), np.arange(40) % 4) == wilson(40, 40)


@pytest.mark.parametrize(
    ("freedom", "point"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (5, 2.5706), (10, 2.2281), (100, 1.9840)]
)
def test_student_t_matches_the_tables(freedom: int, point: float) -> None:
    assert student_t(freedom) == pytest.approx(point, rel=2e-3)


def test_percent_never_rounds_up_to_all_or_down_to_none() -> None:
    assert [percent(value) for value in (1, 0.99999, 0.5, 0.0001, 0)] == [
        "100.0 %", ">99.9 %", "50.0 %", "<0.1 %", "0.0 %",
    ]  # fmt: skip
