"""What a naive random split would have claimed, and what one that cuts no group gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snaptune.data.dataset import ImageDataset, Ints
from snaptune.errors import DataError
from snaptune.evaluation.intervals import Estimate, bootstrap, has_groups, ratio, share
from snaptune.evaluation.probe import out_of_fold_hits
from snaptune.model_choice import for_probing, frozen_features
from snaptune.models.build import build_model


@dataclass(frozen=True)
class GroupGap:
    """Cross-validated accuracy of a cheap probe with pictures, and with whole groups, dealt to the folds.

    `gap` is the first less the second; the intervals resample whole groups.
    """

    random: Estimate
    grouped: Estimate
    gap: Estimate

    def rows(self) -> list[tuple[str, str]]:
        """What is compared, and what was found, in words."""
        verdict = (
            "a random split flatters" if self.gap.low > 0 else "no difference that can be told from chance"
        )
        return [
            ("random split", self.random.as_share()),
            ("whole groups", self.grouped.as_share()),
            ("gap", f"{self.gap.as_share()}: {verdict}"),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<15}{text}" for name, text in self.rows())


def group_gap(dataset: ImageDataset, model: str, *, weights: str = "pretrained", size: int = 128) -> GroupGap:
    """Probe the frozen features of `model` on at most 1000 pictures, none of them from a test part.

    Raises `DataError` for a data set without groups.
    """
    if not has_groups(dataset.groups):
        raise DataError(
            f"'{dataset.name}' has no groups to compare. Name a group column, or a pattern on the path "
            "that tells who or what is on a picture."
        )
    chosen = for_probing(dataset)
    assert chosen.groups is not None  # noqa: S101  a subset keeps its groups
    features = frozen_features(build_model(model, 0, weights, size=size), model, chosen, size)
    return gap_of(features, chosen.labels, chosen.groups)


def gap_of(features: npt.NDArray[np.float32], labels: Ints, groups: Ints) -> GroupGap:
    """The gap on features [n, k] that are at hand."""
    _, units = np.unique(groups, return_inverse=True)
    random = out_of_fold_hits(features, labels, np.arange(len(labels)))
    grouped = out_of_fold_hits(features, labels, units)
    difference = np.column_stack([random.astype(np.float64) - grouped, np.ones(len(labels))])
    return GroupGap(share(random, groups), share(grouped, groups), bootstrap(difference, ratio, groups))
