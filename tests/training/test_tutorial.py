"""The worked example's recipe from end to end (spec P3–P7, T3–T7), a tiny network in place of resnet18d."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset, strings
from snaptune.data.splits import split_automatically
from snaptune.models.build import build_model, parameter_groups
from snaptune.run_folder import Run
from snaptune.training.batches import PreparedBatches
from snaptune.training.optim import build_optimizer
from snaptune.training.train import train

RECIPE = TrainConfig.recipe("tutorial")
SMALL = replace(
    RECIPE,
    model="test_resnet",
    weights="none",
    image_size=32,
    batch_size=4,
    validation=0.25,
    threads=1,
    precision="float32",
    memory_format="channels_last",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, small_dataset: ImageDataset) -> Run:
    return train(small_dataset, SMALL, tmp_path_factory.mktemp("tutorial"), say=lambda text: None)


def epochs(run: Run) -> list[dict[str, float]]:
    events = [json.loads(line) for line in run.events_file.read_text("utf-8").splitlines()]
    return [event for event in events if event["event"] == "EpochDone"]


def test_the_optimiser_is_torchs_adamw_with_two_values_changed() -> None:
    model = build_model("test_resnet", 19, "none")
    groups = parameter_groups(
        model,
        weight_decay=RECIPE.weight_decay,
        layer_decay=RECIPE.layer_decay,
        decay_norms=RECIPE.decay_norms,
    )
    ours = build_optimizer(groups, lr=RECIPE.lr, eps=RECIPE.adam_eps)
    theirs = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-5).param_groups[0]
    learnt = [parameter for group in ours.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in learnt} == {id(parameter) for parameter in model.parameters()}
    for group in ours.param_groups:
        assert group["lr_scale"] == 1.0
        same = theirs.keys() - {"params", "fused"}  # fused: the same arithmetic in one kernel
        assert {name: group[name] for name in same} == {name: theirs[name] for name in same}


def test_the_schedule_is_stepped_every_batch(run: Run) -> None:
    """The rate of each epoch's last batch, beside torch's scheduler over all batches of three epochs."""
    [steps] = {
        json.loads(line)["steps_per_epoch"]
        for line in run.events_file.read_text("utf-8").splitlines()
        if '"Started"' in line
    }
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=3 * steps)
    rates = []
    for _ in range(3 * steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < 3 * steps:
            schedule.step()
    assert [event["lr"] for event in epochs(run)] == pytest.approx(rates[steps - 1 :: steps], rel=1e-9)


def test_the_epoch_of_the_lowest_validation_loss_is_kept_with_its_figures(run: Run) -> None:
    best = min(epochs(run), key=lambda event: event["validation_loss"])
    assert run.metadata() == {
        "epoch": best["epoch"],
        "train_loss": best["train_loss"],
        "valid_loss": best["validation_loss"],
        "metric_value": best["validation_accuracy"],
        "learning_rate": best["lr"],
        "model_architecture": "test_resnet",
    }
    assert len(epochs(run)) == 3


def test_the_class_names_lie_beside_the_weights(run: Run, small_dataset: ImageDataset) -> None:
    file = run.path / f"{small_dataset.name}-classes.json"
    assert json.loads(file.read_text("utf-8")) == {"classes": ["fist", "ok", "palm"]}


class Nowhere:
    """Pictures that are counted and never read."""

    def __init__(self, count: int) -> None:
        self.ids = strings([f"{number}.jpg" for number in range(count)])

    def read(self, index: int) -> bytes:
        raise NotImplementedError

    def stamp(self) -> bytes:
        raise NotImplementedError


def test_the_worked_examples_counts() -> None:
    """Of 153,735 pictures it holds out 15,374; here, class by class, about as many (P3, P7)."""
    others = 153_735 // 22
    labels = np.repeat(np.arange(19), [153_735 - 18 * others, *[others] * 18])
    dataset = ImageDataset("hagrid", Nowhere(len(labels)), labels, tuple(f"class {n}" for n in range(19)))
    split = split_automatically(dataset, RECIPE.validation, RECIPE.seed)
    held_out = len(split.indices("validation"))
    assert abs(held_out - 15_374) <= 19
    rows = np.zeros((1, 1, 1, 3), dtype=np.uint8)
    batches = PreparedBatches(rows, labels, np.arange(138_361), RECIPE.batch_size, torch.device("cpu"))
    assert len(batches) == 4_324
