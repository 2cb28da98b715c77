"""What the bars say while a model learns (spec T1)."""

from __future__ import annotations

from pathlib import Path

import pytest

import snaptune as st
from snaptune.data.dataset import ImageDataset
from snaptune.training.events import Finished, Started
from snaptune.training.train import train
from tests.conftest import TINY


def test_bars_show_accuracy_loss_average_loss_and_learning_rate(
    small_dataset: ImageDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(small_dataset, TINY, tmp_path, on_event=st.TrainingBars(), say=lambda text: None)
    captured = capsys.readouterr()
    text = captured.out + captured.err
    for label in ("accuracy 0.", "loss ", "average loss ", "lr "):
        assert label in text.split("Train:", 1)[1]
    assert "Epochs: 100%" in text
    assert "  epoch 2: train loss " in text
    assert "ended after" not in text


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        ("time", "  ended after epoch 3: the time was up"),
        (
            "patience",
            "  ended after epoch 3: patience ended without a lower validation loss",
        ),
        ("epochs", ""),
    ],
)
def test_what_ended_training_early_is_told(capsys: pytest.CaptureFixture[str], ending: str, why: str) -> None:
    bars = st.TrainingBars()
    bars(Started(epochs=9, steps_per_epoch=2, train_samples=8, validation_samples=4))
    bars(Finished(ending, epochs=3, kept_epoch=2, seconds=1.0))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ([why] if why else [])
