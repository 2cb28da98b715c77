"""Is B better than A, on the same pictures, or is it luck?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snaptune.evaluation.intervals import (
    Bools,
    Estimate,
    Floats,
    Ints,
    has_groups,
    percent,
    ratio,
    resampled,
    share,
    student_t,
    unit_sums,
    wilson,
)

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Comparison:
    """Two models on the same pictures; `difference` is accuracy of B minus accuracy of A.

    `only_a` pictures are answered rightly by A alone, `only_b` by B alone; `p_value` is McNemar's, exact.
    """

    a: str
    b: str
    accuracy_a: Estimate
    accuracy_b: Estimate
    difference: Estimate
    only_a: int
    only_b: int
    p_value: float

    @property
    def verdict(self) -> str:
        """Of B: 'better' or 'worse' where interval and test agree, else 'cannot tell'."""
        if self.p_value >= SIGNIFICANT or self.difference.low <= 0 <= self.difference.high:
            return "cannot tell"
        return "better" if self.difference.value > 0 else "worse"

    def summary(self) -> str:
        """Verdict and figures, for a terminal."""
        found = self.difference
        sentence = {
            "better": "B is better than A",
            "worse": "B is worse than A",
            "cannot tell": "Cannot tell which is better",
        }[self.verdict]
        return (
            f"A  {self.a}: {percent(self.accuracy_a.value)} of {found.n} pictures right\n"
            f"B  {self.b}: {percent(self.accuracy_b.value)}\n"
            f"{sentence}: {100 * found.value:+.1f} points "
            f"(95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f}, n = {found.n}).\n"
            f"Right in A alone: {self.only_a}, in B alone: {self.only_b} "
            f"(McNemar, exact: p = {self.p_value:.2g})."
        )


def compare_answers(
    right_a: Bools, right_b: Bools, groups: Ints | None = None, *, a: str = "A", b: str = "B"
) -> Comparison:
    """Compare which pictures [n] two models answer rightly."""
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return Comparison(
        a,
        b,
        accuracy_a=share(right_a, groups),
        accuracy_b=share(right_b, groups),
        difference=paired_difference(right_a, right_b, groups),
        only_a=only_a,
        only_b=only_b,
        p_value=mcnemar(only_a, only_b),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value that two counts of opposite changes come from even odds (McNemar, 1947)."""
    changes = only_a + only_b
    tail = sum(math.comb(changes, count) for count in range(min(only_a, only_b) + 1))
    return min(1.0, float(2 * tail / 2**changes))


def paired_difference(right_a: Bools, right_b: Bools, groups: Ints | None = None) -> Estimate:
    """Share right of B minus that of A.

    The interval is that of Newcombe (1998), "Improved confidence intervals for the difference between
    binomial proportions based on paired data", method 10; with two groups or more it is at least as wide
    as Student's interval from a bootstrap of whole groups.
    """
    single = _newcombe(right_a, right_b)
    if not has_groups(groups):
        return single
    change = right_b.astype(np.float64) - right_a
    low, high = _grouped(unit_sums(np.stack([change, np.ones(len(change))], axis=1), groups))
    return Estimate(single.value, min(single.low, low), max(single.high, high), single.n)


def _newcombe(right_a: Bools, right_b: Bools) -> Estimate:
    n = len(right_a)
    a, b = wilson(int(right_a.sum()), n), wilson(int(right_b.sum()), n)
    value, like = b.value - a.value, _likeness(right_a, right_b)
    down = _joined(b.value - b.low, a.high - a.value, like)
    up = _joined(b.high - b.value, a.value - a.low, like)
    return Estimate(value, max(-1.0, value - down), min(1.0, value + up), n)


def _joined(one: float, other: float, like: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * like * one * other + other * other))


def _likeness(right_a: Bools, right_b: Bools) -> float:
    """The correlation phi of the two answers, with Newcombe's continuity correction."""
    both, neither = int((right_a & right_b).sum()), int((~right_a & ~right_b).sum())
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if margins == 0:
        return 0.0
    product = float(both * neither - only_a * only_b)
    if product > 0:
        product = max(product - len(right_a) / 2, 0)
    return product / math.sqrt(margins)


def _grouped(units: Floats) -> tuple[float, float]:
    count = len(units)
    value = float(ratio(units.sum(axis=0, keepdims=True))[0])
    spread = float(np.concatenate([ratio(totals) for totals in resampled(units)]).std())
    reach = student_t(count - 1) * math.sqrt(count / (count - 1)) * spread
    return max(-1.0, value - reach), min(1.0, value + reach)
