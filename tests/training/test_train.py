from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset
from snaptune.data.readers import from_folder
from snaptune.data.splits import read_split
from snaptune.errors import ConfigError, DataError, TrainingError
from snaptune.run_folder import Run
from snaptune.scoring import evaluate
from snaptune.training.batches import PreparedBatches
from snaptune.training.train import train
from tests.conftest import TINY

ONE = replace(TINY, epochs=1)


def trained(dataset: ImageDataset, out: Path, config: TrainConfig = ONE) -> Run:
    return train(dataset, config, out, say=lambda text: None)


def digest(run: Run) -> str:
    return hashlib.sha256(run.model_file.read_bytes()).hexdigest()


def test_one_seed_gives_one_result(small_dataset: ImageDataset, tmp_path: Path) -> None:
    first, second = trained(small_dataset, tmp_path), trained(small_dataset, tmp_path)
    other = trained(small_dataset, tmp_path, replace(ONE, seed=2))
    assert digest(first) == digest(second) != digest(other)
    assert first.split_file.read_bytes() == second.split_file.read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": "trivial"},
        {"augment": "trivial", "trivial_space": {"operations": [{"name": "Equalize"}]}},
        {"augment": "none"},
        {"mix": "mixup"},
        {"mix": "cutmix"},
        {"sampling": "balanced"},
        {"class_weights": "balanced"},
        {"freeze": "backbone"},
        {"precision": "bfloat16"},
        {"accumulate": 2},
        {"clip": 0.1},
        {"ema_decay": 0.0},
        {"norm_statistics": "learned"},
    ],
    ids=str,
)
def test_every_setting_changes_what_is_learnt(
    small_dataset: ImageDataset, tmp_path: Path, changes: dict[str, object]
) -> None:
    plain = trained(small_dataset, tmp_path)
    changed = trained(small_dataset, tmp_path, ONE.replaced(changes))
    same_by_nature = changes in ({"class_weights": "balanced"}, {"norm_statistics": "learned"})
    assert (
        digest(plain) == digest(changed)
    ) == same_by_nature  # the classes are balanced; nothing is pretrained


def test_a_frozen_backbone_stays_as_it_was(small_dataset: ImageDataset, tmp_path: Path) -> None:
    config = replace(ONE, freeze="backbone", ema_decay=0.0)
    short, long = (
        trained(small_dataset, tmp_path, config),
        trained(small_dataset, tmp_path, replace(config, epochs=3)),
    )
    one, three = short.weights(), long.weights()
    learnt = {name for name in one if not torch.equal(one[name], three[name])}
    assert {name for name in learnt if "running_" not in name and "num_batches" not in name} == {
        "fc.weight",
        "fc.bias",
    }


def test_balanced_sampling_shows_each_class_as_often() -> None:
    labels = np.array([0] * 900 + [1] * 100)
    pixels = np.zeros((1000, 2, 2, 3), dtype=np.uint8)
    batches = PreparedBatches(pixels, labels, np.arange(1000), 50, torch.device("cpu"), balanced=True)
    drawn = np.concatenate([batch.labels.numpy() for batch in batches.shuffled(1, 0)])
    assert len(drawn) == 1000
    assert 0.4 < drawn.mean() < 0.6


def test_the_run_holds_the_arithmetic_that_was_measured(
    small_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPTUNE_CACHE", str(tmp_path / "cache"))
    said: list[str] = []
    config = replace(ONE, precision="auto", memory_format="auto")
    run = train(small_dataset, config, tmp_path, say=said.append)
    assert run.config().precision in {"float32", "bfloat16"}
    assert run.config().memory_format in {"channels_last", "channels_first"}
    assert "(measured: float32/channels_last " in said[0]


@pytest.fixture
def partly_broken(tmp_path: Path, picture_folder: Path) -> ImageDataset:
    """Two classes of six pictures, one in each cut off."""
    for name in ("fist", "palm"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, file in enumerate(sorted((picture_folder / name).iterdir())[:6]):
            data = file.read_bytes()
            (tmp_path / "photos" / name / f"{number}.jpg").write_bytes(data[:500] if number == 3 else data)
    return from_folder(tmp_path / "photos")


def test_pictures_that_cannot_be_read_stop_training_with_their_list(
    partly_broken: ImageDataset, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as error:
        trained(partly_broken, tmp_path / "runs")
    [listed] = (tmp_path / "runs").glob("*/unreadable.csv")
    assert str(error.value).startswith("2 of 12 images cannot be read (first: fist/3.jpg, truncated).")
    assert str(error.value).endswith(f" Full list: {listed}. Fix them or pass --skip-unreadable.")
    assert len(listed.read_text(encoding="utf-8").splitlines()) == 3


def test_pictures_that_cannot_be_read_are_skipped_where_asked(
    partly_broken: ImageDataset, tmp_path: Path
) -> None:
    run = train(partly_broken, ONE, tmp_path / "runs", skip_unreadable=True, say=lambda text: None)
    skipped = [line for line in run.split_file.read_text("utf-8").splitlines() if line.endswith(",skipped")]
    assert skipped == ["fist/3.jpg,fist,,skipped", "palm/3.jpg,palm,,skipped"]
    assert evaluate(run, partly_broken).accuracy.n == len(
        read_split(run.split_file, partly_broken).indices("validation")
    )


def test_the_same_picture_is_never_on_both_sides(picture_folder: Path, tmp_path: Path) -> None:
    for name in ("fist", "palm"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, file in enumerate(sorted((picture_folder / name).iterdir())[:4]):
            for copy in "ab":
                (tmp_path / "photos" / name / f"{number}{copy}.jpg").write_bytes(file.read_bytes())
    dataset = from_folder(tmp_path / "photos")
    for seed in range(3):
        run = trained(dataset, tmp_path / "runs", replace(ONE, seed=seed))
        parts = read_split(run.split_file, dataset).parts
        assert (parts[0::2] == parts[1::2]).all()
        assert set(parts) == {0, 1}


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_streamed_training_gives_the_weights_of_prepared_training(
    small_dataset: ImageDataset, tiny_run: Run, tmp_path: Path, workers: int
) -> None:
    """Whatever the number of workers; the split, which depends on near duplicates, is the same, too."""
    config = replace(TINY, stream=True, workers=workers)
    assert digest(trained(small_dataset, tmp_path, config)) == digest(tiny_run)


def test_the_best_weights_stay_where_the_loss_is_no_longer_a_number(
    small_dataset: ImageDataset, tmp_path: Path
) -> None:
    """They are on the disk, with where they come from, as after any other run."""

    def spoilt(pixels: Tensor, epoch: int, samples: npt.NDArray[np.int64]) -> Tensor:
        return pixels.float() * (math.nan if epoch == 2 else 1.0)

    config = replace(TINY, epochs=4, keep="best")
    with pytest.raises(TrainingError, match=r"became nan in epoch 3, batch 1\. Lower --lr") as error:
        train(small_dataset, config, tmp_path, augment=spoilt, say=lambda text: None)
    [path] = tmp_path.iterdir()
    run = Run.open(path)
    events = [json.loads(line) for line in run.events_file.read_text("utf-8").splitlines()]
    losses = [event["validation_loss"] for event in events if event["event"] == "EpochDone"]
    assert len(losses) == 2
    best = losses.index(min(losses)) + 1
    assert str(error.value).splitlines()[1] == f"The weights of epoch {best} stay in '{run.path}'."
    assert run.metadata()["valid_loss"] == min(losses)
    assert run.metadata()["epoch"] == losses.index(min(losses))
    assert all(value.isfinite().all() for value in run.weights().values())


def upside_down(pixels: Tensor, epoch: int, samples: npt.NDArray[np.int64]) -> Tensor:
    return pixels.flip(2).float()


def test_an_augmentation_of_ones_own_is_used_and_its_place_is_in_the_run(
    small_dataset: ImageDataset, tiny_run: Run, tmp_path: Path
) -> None:
    run = train(small_dataset, TINY, tmp_path, augment=upside_down, say=lambda text: None)
    assert run.config().augment == "own"
    assert digest(run) != digest(tiny_run)
    with pytest.raises(ConfigError) as error:
        trained(small_dataset, tmp_path, run.config())
    assert str(error.value) == (
        "augment='own' is a function of yours, which no file holds. Give it in Python: "
        "train(dataset, config, augment=function), or resume_training(run, dataset, augment=function)."
    )
