"""Two processes with gloo train as one process does on the same global batches."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from snaptune.config import TrainConfig
from snaptune.data.readers import from_folder
from snaptune.models.build import build_model
from snaptune.run_folder import Run
from snaptune.training.processes import Processes
from snaptune.training.train import train
from tests.conftest import TINY


def launched(folder: Path, config: TrainConfig, out: Path) -> Run:
    """Train in two processes, through our command line.

    Torch's launcher is what Accelerate's calls for several GPUs; with `--cpu` that starts one process only.
    """
    file = out / "config.toml"
    out.mkdir()
    file.write_text(config.to_toml(), encoding="utf-8")
    launch = ["-m", "torch.distributed.run", "--nproc_per_node=2", "-m", "snaptune", "train"]
    arguments = [str(folder), "--config", str(file), "--out", str(out / "runs")]
    finished = subprocess.run(
        [sys.executable, *launch, *arguments], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return Run.open(out / "runs")


def epochs(run: Run) -> list[dict[str, float]]:
    events = [json.loads(line) for line in run.events_file.read_text("utf-8").splitlines()]
    return [event for event in events if event["event"] == "EpochDone"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A network without batch norms: their statistics would be each process's own."""
    weights = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    save_file(build_model("test_vit", 3, "none").state_dict(), weights)
    return replace(TINY, model="test_vit", image_size=160, weights=str(weights), epochs=3, batch_size=6)


def test_two_processes_train_as_one(picture_folder: Path, config: TrainConfig, tmp_path: Path) -> None:
    dataset = from_folder(picture_folder)
    alone = train(dataset, config, tmp_path / "alone", say=lambda text: None)
    together = launched(picture_folder, config, tmp_path / "together")
    assert len(list((tmp_path / "together" / "runs").iterdir())) == 1
    assert together.split_file.read_bytes() == alone.split_file.read_bytes()
    for one, two in zip(epochs(alone), epochs(together), strict=True):
        assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-4)
        assert two["validation_loss"] == pytest.approx(one["validation_loss"], rel=1e-4)
        assert two["train_accuracy"] == one["train_accuracy"]
        assert two["validation_accuracy"] == one["validation_accuracy"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_samples_are_shared_out_once(count: int) -> None:
    samples = np.arange(10)
    shares = [Processes(rank, count).share(samples) for rank in range(count)]
    assert sorted(np.concatenate(shares).tolist()) == samples.tolist()
