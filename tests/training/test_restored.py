"""Everything that a checkpoint holds comes back: each item is in the next checkpoint of a resumed run."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset
from snaptune.run_folder import Run
from snaptune.training.augment import plain
from snaptune.training.batches import PreparedBatches
from snaptune.training.checkpoint import Kept, Learner, Progress, Saver, checkpoints, resume
from snaptune.training.events import Event, Saved
from snaptune.training.job import Interrupted
from snaptune.training.loop import Plan, fit
from snaptune.training.numerics import Numerics
from snaptune.training.optim import build_optimizer
from snaptune.training.train import resume_training, train
from tests.conftest import TINY

# float16 scales the loss, also on a processor
CONFIG = replace(TINY, epochs=4, batch_size=4, precision="float16", keep="best", checkpoint_minutes=0.0)


class StopAt:
    """An observer that asks for an end once a step has been saved: it comes after the next one."""

    def __init__(self, epoch: int, step: int) -> None:
        self.place = (epoch, step)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Saved) and (event.epoch, event.step) == self.place:
            os.kill(os.getpid(), signal.SIGTERM)


def newest(run: Run) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The numbers and the tensors of the newest checkpoint."""
    with safe_open(checkpoints(run.checkpoint_folder)[0], framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return json.loads(file.metadata()["snaptune"]), tensors


def stopped(dataset: ImageDataset, config: TrainConfig, out: Path, *places: tuple[int, int]) -> Run:
    """A run that was stopped one step after each of these places, and gone on with between them."""
    with pytest.raises(Interrupted) as stop:
        train(dataset, config, out, on_event=StopAt(*places[0]), say=lambda text: None)
    run = stop.value.run
    for place in places[1:]:
        with pytest.raises(Interrupted):
            resume_training(run, dataset, on_event=StopAt(*place), say=lambda text: None)
    return run


def test_a_resumed_run_saves_what_an_unbroken_one_saves(small_dataset: ImageDataset, tmp_path: Path) -> None:
    """Model, optimiser, average, loss scale, schedule, sums, patience, best weights and their figures."""
    unbroken, before = newest(stopped(small_dataset, CONFIG, tmp_path / "unbroken", (2, 3)))
    broken, tensors = newest(stopped(small_dataset, CONFIG, tmp_path / "broken", (2, 1), (2, 3)))
    assert broken.pop("seconds") > 0
    assert unbroken.pop("seconds") > 0
    assert broken == unbroken
    assert tensors.keys() == before.keys()
    assert [name for name in before if not torch.equal(before[name], tensors[name])] == []
    assert unbroken["scaler"]["_growth_tracker"] > 2  # so that one which starts anew would differ
    assert {name.split("/")[0] for name in tensors} == {"model", "optimizer", "ema", "kept"}


def fitted(progress: Progress, tmp_path: Path) -> Kept | None:
    pixels = np.zeros((8, 8, 8, 3), dtype=np.uint8)
    batches = PreparedBatches(pixels, np.arange(8) % 2, np.arange(8), 4, torch.device("cpu"))
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    return fit(
        Learner(model, build_optimizer([{"params": [*model.parameters()]}], lr=0.1, eps=1e-8), None),
        batches,
        batches,
        Plan(epochs=10, lr=0.1, warmup=0.0, seed=1, seconds=60, patience=9),
        augment=plain,
        normalise=lambda pixels: pixels.float(),
        numerics=Numerics(torch.device("cpu")),
        saver=Saver(tmp_path, every=1e9),
        progress=progress,
    )


@pytest.mark.parametrize(
    ("progress", "last"),
    [
        (Progress(), 9),
        (Progress(seconds=60.0), 0),
        (Progress(lowest_loss=-1.0, epochs_without_gain=8), 0),
        (Progress(lowest_loss=-1.0, epochs_without_gain=5), 3),
    ],
    ids=["new", "budget spent", "patience nearly over", "patience half over"],
)
def test_budget_and_patience_go_on_where_they_were(tmp_path: Path, progress: Progress, last: int) -> None:
    kept = fitted(progress, tmp_path)
    assert kept is not None
    assert kept.epoch == last


def test_every_number_of_progress_comes_back(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    learner = Learner(model, build_optimizer([{"params": [*model.parameters()]}], lr=0.1, eps=1e-8), None)
    progress = Progress(3, 4, 0.5, 2.5, 6, 8, 0.25, 2, 12.5, {"scale": 4.0})
    assert None not in [getattr(progress, item.name) for item in fields(Progress) if item.name != "kept"]
    Saver(tmp_path, every=0).save(learner, progress)
    assert resume(tmp_path, learner) == (progress, [])
