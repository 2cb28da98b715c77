"""How often 95 % intervals of pictures in groups hold the truth, and how often equal models are told apart.

Groups of 25 pictures; each group's accuracy is beta distributed about the truth, with this correlation inside
groups. For comparing, both models have the same truth and groups of their own ease for each. Beside the
coverage stands the mean width of the interval.

    python -m benchmarks.interval_coverage [--repeats 2000]
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
import numpy.typing as npt

from snaptune.evaluation.comparison import compare_answers
from snaptune.evaluation.intervals import share

GROUPS, LIKENESS, TRUTHS = (3, 5, 8, 15, 40), (0.05, 0.2, 0.4), (0.7, 0.8, 0.9, 0.95, 0.98)
SIZE = 25


def answers(
    rng: np.random.Generator, groups: int, likeness: float, truth: float, size: int = SIZE
) -> npt.NDArray[np.bool_]:
    """Whether each picture is right, [groups * size], group by group."""
    strength = (1 - likeness) / likeness
    ease = rng.beta(truth * strength, (1 - truth) * strength, groups)
    return np.asarray(rng.random(groups * size) < np.repeat(ease, size))


def coverage(
    groups: int, likeness: float, truth: float, repeats: int, size: int = SIZE
) -> tuple[float, float]:
    """Share of intervals that hold the truth, and their mean width."""
    rng = np.random.default_rng(groups)
    members = np.repeat(np.arange(groups), size)
    found = [share(answers(rng, groups, likeness, truth, size), members) for _ in range(repeats)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    return float(covered), float(np.mean([one.high - one.low for one in found]))


def false_verdicts(groups: int, likeness: float, truth: float, repeats: int) -> float:
    """Share of pairs of equally good models of which one is called better."""
    rng = np.random.default_rng(groups)
    members = np.repeat(np.arange(groups), SIZE)
    pairs = ([answers(rng, groups, likeness, truth) for _ in "ab"] for _ in range(repeats))
    return float(np.mean([compare_answers(a, b, members).verdict != "cannot tell" for a, b in pairs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    repeats = parser.parse_args().repeats
    print("groups  correlation  accuracy  coverage  width  false better or worse")
    for groups, likeness, truth in product(GROUPS, LIKENESS, TRUTHS):
        covered, width = coverage(groups, likeness, truth, repeats)
        false = false_verdicts(groups, likeness, truth, repeats // 4)
        row = f"{groups:>6}  {likeness:>11}  {truth:>8}  {covered:>8.1%}  {width:>5.2f}  {false:>21.1%}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
