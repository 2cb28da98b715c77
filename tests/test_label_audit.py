"""Labels that are likely wrong: found, shown, put right on the page, and read again."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from snaptune.cli.main import main
from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset
from snaptune.data.fixes import fixed
from snaptune.errors import DataError
from snaptune.label_audit import LabelAudit, audit
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run
from snaptune.training.train import train
from tests.conftest import SAMPLE


@pytest.fixture(scope="module")
def mislabelled(hands: ImageDataset) -> tuple[ImageDataset, np.ndarray]:
    """Hands, one in twenty of them labelled as another gesture."""
    draw = np.random.default_rng(0)
    wrong = draw.permutation(len(hands))[: len(hands) // 20]
    labels = hands.labels.copy()
    labels[wrong] = (labels[wrong] + draw.integers(1, 19, len(wrong))) % 19
    return replace(hands, labels=labels), wrong


@pytest.fixture(scope="module")
def found(
    mislabelled: tuple[ImageDataset, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> LabelAudit:
    dataset, _ = mislabelled
    folder = tmp_path_factory.mktemp("audited")
    run = train(dataset, TrainConfig(epochs=3), folder, say=lambda text: None)
    return audit(run, dataset)


def label_of(dataset: ImageDataset) -> dict[str, str]:
    names = dataset.class_names
    return {str(name): names[label] for name, label in zip(dataset.ids, dataset.labels, strict=True)}


def test_most_planted_labels_are_found_and_stand_near_the_top(
    found: LabelAudit, mislabelled: tuple[ImageDataset, np.ndarray]
) -> None:
    _, wrong = mislabelled
    listed = [one.index for one in found.suspects]
    assert np.isin(wrong, listed).mean() >= 0.7
    share = np.isin(listed[: len(wrong)], wrong).mean()
    assert share > 4 * len(wrong) / found.pictures
    assert found.suspects[0].suggested_probability > found.suspects[0].label_probability
    assert f"{len(listed)} of 767 labels are likely wrong" in found.summary()


def test_what_is_decided_in_the_table_is_applied(
    found: LabelAudit, mislabelled: tuple[ImageDataset, np.ndarray], hands: ImageDataset, tmp_path: Path
) -> None:
    """As by someone who looks: suggestions are taken for the labels that are wrong, and for no other."""
    dataset, wrong = mislabelled
    planted = {str(dataset.ids[index]) for index in wrong}
    found.write(tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "suspects.csv").read_text(encoding="utf-8"))))
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows({**row, "new_label": row["suggested"] if row["id"] in planted else ""} for row in rows)
    (tmp_path / "fixes.csv").write_text(text.getvalue(), encoding="utf-8")
    truth, after = label_of(hands), label_of(fixed(dataset, tmp_path / "fixes.csv"))
    still_wrong = {name for name in truth if truth[name] != after[name]}
    assert still_wrong < planted
    assert len(still_wrong) < 0.5 * len(planted)


def test_features_go_through_the_last_layer_to_the_answers(tiny_run: Run) -> None:
    classifier = TorchClassifier.load(tiny_run)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    features = classifier.features(pixels)
    head = classifier.network.get_submodule("fc")
    assert isinstance(head, nn.Linear)
    weights, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    assert np.allclose(features @ weights.T + bias, classifier.logits(pixels), atol=1e-4)


def test_one_class_has_no_other_label(tiny_run: Run, small_dataset: ImageDataset) -> None:
    one = small_dataset.subset(np.flatnonzero(small_dataset.labels == 0))
    with pytest.raises(DataError, match="has pictures of one class only; no other label can be suggested"):
        audit(tiny_run, one)


def test_the_command_writes_page_and_table(
    tiny_run: Run, picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "audit"
    assert main(["audit", str(tiny_run.path), str(picture_folder), "--out", str(out)]) == 0
    assert "labels are likely wrong" in capsys.readouterr().out
    header = (out / "suspects.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "id,label,suggested,p_label,p_suggested,new_label,remove"
    assert (
        main(["check", str(picture_folder), "--fix", str(out / "suspects.csv"), "--out", str(tmp_path)]) == 0
    )


def test_the_samples_known_flaw_can_be_put_right(hands: ImageDataset) -> None:
    after = fixed(hands, SAMPLE / "fixes.csv")
    changed = {name for name, label in label_of(after).items() if label_of(hands)[name] != label}
    assert len(after) == len(hands)
    assert {name.split("_default")[0] for name in changed if "default" in name} == {
        "point_right/fluent3d",
        "point_right/fluentflat",
    }
    assert len(changed) == 12
