"""A split is seeded, stratified, and cuts neither a group nor a duplicate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snaptune.data.dataset import Files, ImageDataset, strings
from snaptune.data.splits import (
    Split,
    group_by_pattern,
    read_split,
    split_automatically,
    split_by_group,
    write_split,
)
from snaptune.errors import ConfigError, DataError


def made(labels: list[int], groups: list[int] | None = None, parts: list[int] | None = None) -> ImageDataset:
    count = len(labels)
    names = strings([f"g{code}" for code in range(max(groups, default=-1) + 1)] if groups else [])
    return ImageDataset(
        "made",
        Files(Path(), strings([f"user{index % 5}/{index:04d}.png" for index in range(count)])),
        np.asarray(labels, np.int64),
        tuple(f"c{code}" for code in range(max(labels) + 1)),
        None if groups is None else np.asarray(groups, np.int64),
        names,
        parts=None if parts is None else np.asarray(parts, np.uint8),
    )


def share_of(split: Split, part: str) -> float:
    return len(split.indices(part)) / len(split.parts)


def test_each_class_gives_its_share_to_each_part() -> None:
    dataset = made([0] * 100 + [1] * 50 + [2] * 10)
    split = split_automatically(dataset, 0.2, 1, test=0.1)
    for label, (validation, test) in enumerate([(20, 10), (10, 5), (2, 1)]):
        members = dataset.labels == label
        assert (split.parts[members] == 1).sum() == validation
        assert (split.parts[members] == 2).sum() == test


def test_the_worked_example_splits_into_138361_and_15374() -> None:
    labels = np.repeat(np.arange(19), [7000] * 6 + [27735] + [7000] * 12)
    dataset = replace(made([0]), source=Files(Path(), strings(np.arange(153_735).astype(str))), labels=labels)
    dataset = replace(dataset, class_names=tuple(f"c{code:02d}" for code in range(19)))
    split = split_automatically(dataset, 0.1, 1234)
    assert len(split.indices("validation")) == 15374
    assert len(split.indices("train")) == 138361


def test_the_seed_decides() -> None:
    dataset = made([0, 1] * 50)
    one, again, other = (split_automatically(dataset, 0.2, seed).parts for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_group_and_no_duplicate_is_ever_cut(data: st.DataObject) -> None:
    count = data.draw(st.integers(12, 80))
    labels = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    groups = data.draw(st.none() | st.lists(st.integers(0, 9), min_size=count, max_size=count))
    pairs = np.asarray(data.draw(st.lists(st.tuples(*[st.integers(0, count - 1)] * 2), max_size=8)), np.int64)
    dataset = made(labels, groups)
    test = data.draw(st.sampled_from([0.0, 0.2]))
    try:
        parts = split_automatically(dataset, 0.2, 7, test=test, duplicates=pairs.reshape(-1, 2)).parts
    except DataError:
        return
    assert set(parts) == ({0, 1, 2} if test else {0, 1})
    for one, other in pairs.reshape(-1, 2):
        assert parts[one] == parts[other]
    for group in set(groups or []):
        assert len(set(parts[np.asarray(groups) == group])) == 1
    assert set(dataset.labels[parts == 0]) == set(dataset.labels)


def test_groups_fill_the_share_of_each_class() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 3000)
    dataset = made((rng.integers(0, 5, 3000)).tolist(), groups.tolist())
    split = split_automatically(dataset, 0.2, 3, test=0.1)
    assert 0.17 < share_of(split, "validation") < 0.23
    assert 0.08 < share_of(split, "test") < 0.13
    for label in range(5):
        assert 0.12 < (split.parts[dataset.labels == label] == 1).mean() < 0.28
    assert split.how.startswith("whole groups held out: ")


def test_duplicates_join_the_groups_that_they_link() -> None:
    dataset = made([0, 1] * 20, [index // 4 for index in range(40)])
    pairs = np.array([[0, 39]])
    parts = split_automatically(dataset, 0.3, 5, duplicates=pairs).parts
    assert len(set(parts[[0, 1, 2, 3, 36, 37, 38, 39]])) == 1


def test_a_class_that_lives_in_one_group_stays_in_training_and_is_named() -> None:
    dataset = made([0] * 30 + [1] * 4, [index // 5 for index in range(30)] + [6] * 4)
    split = split_automatically(dataset, 0.2, 1)
    assert set(split.parts[30:]) == {0}
    assert "validation lacks c1" in split.how


def test_predefined_parts_are_kept_and_a_missing_validation_part_comes_out_of_train() -> None:
    kept = split_automatically(made([0, 1] * 6, parts=[0, 0, 1, 1, 2, 2] * 2), 0.5, 1)
    assert kept.parts.tolist() == [0, 0, 1, 1, 2, 2] * 2
    assert kept.how == "the parts that the data come in"
    filled = split_automatically(made([0, 1] * 10, parts=[0] * 10 + [2] * 10), 0.2, 1)
    assert (filled.parts[10:] == 2).all()
    assert sorted(filled.parts[:10].tolist()) == [0] * 8 + [1] * 2
    with pytest.raises(DataError, match="comes without a train part"):
        split_automatically(made([0, 1], parts=[1, 2]), 0.2, 1)


@pytest.mark.parametrize(
    ("labels", "test", "text"),
    [
        (
            [0, 0, 1],
            0.0,
            "Class 'c1' has 1 image; splitting needs at least 2 per class. Add images or pass --exclude c1.",
        ),
        (
            [0, 0, 0, 1, 1],
            0.2,
            "Class 'c1' has 2 images; splitting needs at least 3 per class. Add images or pass --exclude c1.",
        ),
        (
            [0, 1, 2, 2],
            0.0,
            "Classes 'c0' (1), 'c1' (1) have too few images; splitting needs at least 2 per class. "
            "Add images or pass --exclude c0,c1.",
        ),
    ],
)
def test_classes_that_are_too_small_are_refused_with_the_arithmetic(
    labels: list[int], test: float, text: str
) -> None:
    with pytest.raises(DataError) as caught:
        split_automatically(made(labels), 0.2, 1, test=test)
    assert str(caught.value) == text


def test_three_images_are_enough_for_three_parts() -> None:
    assert sorted(split_automatically(made([0] * 3), 0.4, 1, test=0.4).parts.tolist()) == [0, 1, 2]


def test_too_few_groups_are_refused_with_the_arithmetic() -> None:
    with pytest.raises(
        DataError, match=r"has 1 set of samples that belong together \(groups\); 2 parts need at least 2"
    ):
        split_automatically(made([0, 1, 0, 1], [0] * 4), 0.2, 1)
    with pytest.raises(DataError, match=r"has 2 sets .* 3 parts need at least 3"):
        split_automatically(made([0, 1, 0, 1], [0, 0, 1, 1]), 0.2, 1, test=0.2)
    with pytest.raises(DataError, match=r"No group can be held out: each holds all images of some class"):
        split_automatically(made([0, 0, 1, 1], [0, 0, 1, 1]), 0.2, 1)


@pytest.mark.parametrize(("share", "test"), [(0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (0.2, -0.1)])
def test_shares_must_leave_something_to_train_on(share: float, test: float) -> None:
    with pytest.raises(ConfigError, match=r"share .* must"):
        split_automatically(made([0, 1] * 9), share, 1, test=test)


def test_groups_come_from_a_pattern_on_the_path() -> None:
    dataset = group_by_pattern(made([0, 1] * 10), r"user(\d)/")
    assert [str(name) for name in dataset.group_names] == ["0", "1", "2", "3", "4"]
    assert dataset.group_of(7) == "2"
    assert group_by_pattern(dataset, r"^\w+").group_of(7) == "user2"
    with pytest.raises(
        DataError, match=r"16 of 20 images do not match the group pattern 'user1' \(first: user0/0000"
    ):
        group_by_pattern(dataset, "user1")
    with pytest.raises(ConfigError, match="is no regular expression"):
        group_by_pattern(dataset, "user(")


def test_groups_are_held_out_by_name() -> None:
    dataset = made([0, 1] * 6, [0, 0, 1, 1, 2, 2] * 2)
    assert split_by_group(dataset, ("g1",)).parts.tolist() == [0, 0, 1, 1, 0, 0] * 2
    with pytest.raises(DataError, match=r"Unknown group 'g9' in 'made'. Its groups: g0, g1, g2. Closest: g"):
        split_by_group(dataset, ("g9",))
    with pytest.raises(DataError, match="Every group is held out"):
        split_by_group(dataset, ("g0", "g1", "g2"))
    with pytest.raises(DataError, match="has no groups to hold out"):
        split_by_group(made([0, 1]), ("g0",))


def test_a_split_is_read_back_by_id_in_any_order(tmp_path: Path) -> None:
    dataset = made([0, 1] * 10, [index // 4 for index in range(20)])
    split = split_automatically(dataset, 0.3, 1)
    write_split(tmp_path / "split.csv", dataset, split)
    lines = (tmp_path / "split.csv").read_text().splitlines()
    (tmp_path / "turned.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    assert np.array_equal(read_split(tmp_path / "turned.csv", dataset).parts, split.parts)
    assert lines[0] == "id,label,group,part"


def test_a_split_that_does_not_fit_says_so(tmp_path: Path) -> None:
    dataset = made([0, 1] * 10)
    path = tmp_path / "split.csv"
    path.write_text("id,part\nuser0/0000.png,train\n")
    with pytest.raises(
        DataError, match=r"19 of 20 images are not in .* \(first: user1/0001.png\). The data have"
    ):
        read_split(path, dataset)
    write_split(path, dataset, split_automatically(dataset, 0.3, 1))
    path.write_text(path.read_text().replace(",validation", ",holdout"))
    with pytest.raises(DataError, match=r"Unknown part 'holdout' in .*. Allowed: train, validation, test."):
        read_split(path, dataset)
    path.write_text("name,part\nx,train\n")
    with pytest.raises(DataError, match="cannot be read as a split"):
        read_split(path, dataset)
