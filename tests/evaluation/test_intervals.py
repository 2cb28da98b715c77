import math

import numpy as np
import pytest

from benchmarks.interval_coverage import coverage
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


def test_intervals_of_grouped_shares_cover_the_truth() -> None:
    """The whole table: python -m benchmarks.interval_coverage. Chance moves 1000 repeats by 0.7 points."""
    cells = (3, 0.2, 0.8), (5, 0.4, 0.9), (8, 0.2, 0.95), (15, 0.2, 0.9), (40, 0.05, 0.9), (40, 0.2, 0.98)
    covered = [coverage(*cell, repeats=1000)[0] for cell in cells]
    assert min(covered) >= 0.93
    assert 0.93 <= np.mean(covered) <= 0.97


def test_two_groups_give_a_wide_interval() -> None:
    """Where two of two groups are nearly all right, a third may be anything."""
    found = share(np.arange(50) > 0, np.repeat([0, 1], 25))
    assert found.value == 0.98
    assert found.low < 0.7


@pytest.mark.parametrize("n", [132, 1000])
def test_wilson_covers_the_truth_exactly_summed(n: int) -> None:
    """Coverage summed over all outcomes, averaged over true shares from 0.8 to 0.98."""
    outcomes = [wilson(hits, n) for hits in range(n + 1)]
    covered = []
    for truth in np.linspace(0.8, 0.98, 60):
        chances = [math.comb(n, hits) * truth**hits * (1 - truth) ** (n - hits) for hits in range(n + 1)]
        covered.append(
            sum(p for p, found in zip(chances, outcomes, strict=True) if found.low <= truth <= found.high)
        )
    assert 0.93 <= np.mean(covered) <= 0.97
    assert min(covered) > 0.91


def test_groups_that_are_all_right_do_not_make_it_certain() -> None:
    found = share(np.ones(40, dtype=bool), np.arange(40) % 4)
    assert (found.value, found.high) == (1, 1)
    assert found.low < wilson(40, 40).low - 0.1


def test_groups_never_narrow_the_interval() -> None:
    """Groups that are more alike than chance would have it, as pictures chosen by hand may be."""
    found, single = share(np.arange(40) % 4 > 0, np.arange(40) // 4), wilson(30, 40)
    assert found.low <= single.low
    assert found.high >= single.high


def test_very_many_kinds_of_groups_count_as_a_design_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    people = np.random.default_rng(1).random(300) < 0.7
    pictures, groups = np.repeat(people, 10), np.repeat(np.arange(300), 10)
    exact = share(pictures, groups)
    monkeypatch.setattr("snaptune.evaluation.intervals.MOST_PAIRS", 1)
    assert share(pictures, groups).low == pytest.approx(exact.low, abs=0.005)
    assert share(pictures, groups).high == pytest.approx(exact.high, abs=0.005)


@pytest.mark.parametrize(
    ("freedom", "point"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (5, 2.5706), (10, 2.2281), (100, 1.9840)]
)
def test_student_t_matches_the_tables(freedom: int, point: float) -> None:
    assert student_t(freedom) == pytest.approx(point, rel=2e-3)


def test_percent_never_rounds_up_to_all_or_down_to_none() -> None:
    assert [percent(value) for value in (1, 0.99999, 0.5, 0.0001, 0)] == [
        "100.0 %", ">99.9 %", "50.0 %", "<0.1 %", "0.0 %",
    ]  # fmt: skip
