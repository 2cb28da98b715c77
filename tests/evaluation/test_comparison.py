import numpy as np
import pytest

from snaptune.evaluation.comparison import compare_answers, mcnemar, paired_difference


def answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    return a, b


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"), [(0, 0, 1), (3, 3, 1), (0, 6, 0.03125), (1, 9, 0.021484375), (10, 5, 0.30176)]
)
def test_mcnemar_is_the_two_sided_sign_test(only_a: int, only_b: int, p: float) -> None:
    assert mcnemar(only_a, only_b) == pytest.approx(p, abs=1e-5)
    assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a)


def test_paired_interval_is_the_published_one() -> None:
    """Newcombe (1998), table II, method 10: 36, 12, 2, 0 of 50 give 0.0569 to 0.3404."""
    b, a = answers(36, 12, 2, 0)
    found = paired_difference(a, b)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0569, 0.3404)


def test_equal_answers_do_not_prove_equal_models() -> None:
    found = paired_difference(*answers(45, 0, 0, 5))
    assert found.value == 0
    assert found.low < 0 < found.high


@pytest.mark.parametrize(
    ("only_a", "only_b", "verdict"),
    [(2, 20, "better"), (20, 2, "worse"), (8, 10, "cannot tell"), (0, 5, "cannot tell")],
)
def test_verdict(only_a: int, only_b: int, verdict: str) -> None:
    assert compare_answers(*answers(100, only_a, only_b, 10)).verdict == verdict


def test_one_group_that_changes_is_no_proof() -> None:
    """All twenty changes come from one of six people: McNemar alone would call that better."""
    a, b = answers(100, 0, 20, 0)
    groups = np.concatenate([np.arange(100) % 5, np.full(20, 5)])
    found = compare_answers(a, b, groups)
    assert found.p_value < 0.001
    assert found.verdict == "cannot tell"


@pytest.mark.parametrize("groups", [None, 4, 12])
def test_equal_models_are_seldom_called_better(groups: int | None) -> None:
    """Two equally good models; where there are groups, each model is better at some of them by chance."""
    rng = np.random.default_rng(7)
    verdicts = []
    for _ in range(300):
        members = None if groups is None else np.arange(180) % groups
        lean = 0 if members is None else rng.normal(0, 0.08, groups)[members]
        a = rng.random(180) < 0.85 + lean
        b = rng.random(180) < 0.85 - lean
        verdicts.append(compare_answers(a, b, members).verdict)
    assert verdicts.count("better") / 300 <= 0.05
    assert verdicts.count("worse") / 300 <= 0.05


def test_a_real_difference_is_seen() -> None:
    rng = np.random.default_rng(8)
    verdicts = [
        compare_answers(rng.random(400) < 0.80, rng.random(400) < 0.92, np.arange(400) % 20).verdict
        for _ in range(40)
    ]
    assert verdicts.count("better") >= 36


def test_summary_says_all_of_it() -> None:
    text = compare_answers(*answers(100, 2, 20, 10), a="runs/one", b="runs/two").summary()
    assert text == (
        "A  runs/one: 77.3 % of 132 pictures right\n"
        "B  runs/two: 90.9 %\n"
        "B is better than A: +13.6 points (95 % interval +7.0 to +20.8, n = 132).\n"
        "Right in A alone: 2, in B alone: 20 (McNemar, exact: p = 0.00012)."
    )
