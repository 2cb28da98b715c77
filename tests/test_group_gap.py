"""The gap between a random and an honest split is found where there is one, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snaptune.data.dataset import ImageDataset
from snaptune.errors import DataError
from snaptune.group_gap import gap_of, group_gap


def test_on_the_sample_a_random_split_flatters_clearly(hands: ImageDataset) -> None:
    found = group_gap(hands, "tf_efficientnet_lite0")
    assert found.gap.low > 0
    assert found.random.value - found.grouped.value == pytest.approx(found.gap.value)
    assert "a random split flatters" in str(found)


@pytest.mark.parametrize("leaks", [True, False])
def test_features_of_the_group_make_a_gap_and_noise_makes_none(leaks: bool) -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(40), 10)
    labels = rng.integers(0, 4, 40)[groups] if leaks else rng.integers(0, 4, 400)
    who = rng.normal(size=(40, 60))[groups]
    features = (who + 0.1 * rng.normal(size=who.shape)).astype(np.float32)
    found = gap_of(features, labels, groups)
    assert (found.gap.low > 0.2) == leaks
    assert (found.gap.low > 0) == leaks


def test_without_groups_there_is_nothing_to_compare(hands: ImageDataset) -> None:
    with pytest.raises(DataError, match=r"'hand-emoji' has no groups to compare. Name a group column"):
        group_gap(replace(hands, groups=None), "tf_efficientnet_lite0")
