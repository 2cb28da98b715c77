from __future__ import annotations

import numpy as np
import pytest

from snaptune.data.dataset import PARTS, ImageDataset
from snaptune.errors import DataError
from snaptune.model_choice import choose, probe


def test_the_ranked_come_first_and_each_other_says_why(small_dataset: ImageDataset) -> None:
    names = ("resnet50d", "test_resnet", "tf_efficientnet_lite0")
    ranked, untried, dropped = choose(small_dataset, names, max_ms=1e6, max_mb=20, runtime="torch", size=64)
    assert (ranked.name, ranked.verdict, ranked.why) == ("tf_efficientnet_lite0", "ranked", "")
    assert ranked.probe is not None
    assert ranked.probe.n == len(small_dataset)
    assert ranked.probe.value > 1 / 3
    assert ranked.megabytes == pytest.approx(13.7, abs=0.1)
    assert (untried.name, untried.verdict, untried.probe) == ("test_resnet", "untried", None)
    assert untried.milliseconds is not None
    assert (dropped.name, dropped.why, dropped.milliseconds) == ("resnet50d", "94.3 MB is over 20 MB", None)


def test_a_slow_model_is_dropped_with_its_latency_in_onnx_runtime(small_dataset: ImageDataset) -> None:
    [choice] = choose(small_dataset, ("test_resnet",), max_ms=1e-6, max_mb=20, runtime="onnx", size=32)
    assert choice.verdict == "dropped"
    assert choice.milliseconds is not None
    assert choice.why == f"{choice.milliseconds:.1f} ms is over 1e-06 ms"


def test_the_test_part_chooses_nothing(small_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    parts = np.zeros(len(small_dataset), dtype=np.uint8)
    parts[::2] = PARTS.index("test")
    dataset = replace(small_dataset, parts=parts)
    [choice] = choose(dataset, ("tf_efficientnet_lite0",), max_ms=1e6, max_mb=20, runtime="torch", size=32)
    assert choice.probe is not None
    assert choice.probe.n == len(small_dataset) // 2


def test_the_probe_learns_what_can_be_learned_and_nothing_else() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 600)
    noise = rng.normal(size=(600, 8)).astype(np.float32)
    told = noise + 3 * np.eye(3, 8, dtype=np.float32)[labels]
    assert probe(told, labels, None).value > 0.9
    assert probe(noise, labels, None).value == pytest.approx(1 / 3, abs=0.08)


def test_the_probe_never_cuts_a_group() -> None:
    """Features that tell the group alone tell the label only to who has seen the group."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(60), 10)
    labels = rng.integers(0, 2, 60)[groups]
    features = np.eye(60, dtype=np.float32)[groups] + rng.normal(0, 0.01, (600, 60)).astype(np.float32)
    assert probe(features, labels, None).value > 0.9
    assert probe(features, labels, groups).value < 0.75


def test_one_picture_is_too_few() -> None:
    with pytest.raises(DataError, match="One picture is too few"):
        probe(np.zeros((1, 2), np.float32), np.zeros(1, np.int64), None)
