import json

import numpy as np
import pytest

from snaptune.evaluation.calibration import Calibration
from snaptune.evaluation.formats import read_epochs, to_json
from snaptune.evaluation.results import EvaluationReport, Predictions, summarise

NAMES = ("cat", "dog", "emu")


def predictions(labels: list[int], answers: list[int], groups: list[int] | None = None) -> Predictions:
    return Predictions(
        ids=tuple(f"{number}.jpg" for number in range(len(labels))),
        parts=("validation",) * len(labels),
        labels=np.array(labels),
        logits=np.log(np.eye(3)[answers] * 0.7 + 0.1),
        class_names=NAMES,
        groups=None if groups is None else np.array(groups),
        group_names=("ann", "bob"),
    )


def report(labels: list[int], answers: list[int], groups: list[int] | None = None) -> EvaluationReport:
    scored = predictions(labels, answers, groups)
    return summarise(scored, Calibration(), run="r", dataset="d", part="validation", about=())


def test_most_confused_pairs_come_by_count() -> None:
    found = report([0, 0, 0, 1, 2, 2], [1, 1, 0, 1, 0, 2]).confused
    assert [(pair.label, pair.predicted, pair.count, pair.support) for pair in found] == [
        ("cat", "dog", 2, 3),
        ("emu", "cat", 1, 2),
    ]


def test_groups_come_worst_first_each_with_its_n() -> None:
    found = report([0, 1, 2, 0, 1], [0, 1, 2, 1, 1], [0, 0, 0, 1, 1]).groups
    assert [(group.name, group.accuracy.value, group.accuracy.n) for group in found] == [
        ("bob", 0.5, 2),
        ("ann", 1, 3),
    ]


def test_f1_and_its_interval_hold_together() -> None:
    cat = report([0, 0, 0, 1, 2, 2], [0, 0, 1, 0, 2, 2]).classes[0]
    assert cat.f1.value == pytest.approx(2 / 3)
    assert 0 < cat.f1.low < cat.f1.value < cat.f1.high < 1


def test_a_class_without_pictures_becomes_null_in_json() -> None:
    written = json.loads(json.dumps(to_json(report([0, 0, 1], [0, 0, 1])), allow_nan=False))
    assert written["classes"][2]["recall"] == {"value": None, "low": 0.0, "high": 1.0, "n": 0}
    assert written["accuracy"]["n"] == 3
    assert written["top5"] is None


def test_an_epoch_gone_through_again_counts_once() -> None:
    def line(epoch: int, loss: float) -> str:
        scores = dict.fromkeys(("train_loss", "train_accuracy", "validation_accuracy"), 0.5)
        return json.dumps(
            {"event": "EpochDone", "epoch": epoch, "validation_loss": loss, "kept": True, **scores}
        )

    epochs = read_epochs("\n".join([line(0, 3.0), line(1, 2.0), line(1, 1.0)]), "events.jsonl")
    assert [epoch.validation_loss for epoch in epochs] == [3.0, 1.0]
