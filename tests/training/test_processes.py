"""Two processes with gloo train as one process does on the same global batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
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

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
ACCELERATE = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--main_process_port=0"]
"""With `--cpu` in place of `--multi_gpu` it starts one process, whatever `--num_processes` says."""


def started(command: list[str], launcher: Sequence[str] = TORCHRUN) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, *launcher, *command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )


def launched(folder: Path, config: TrainConfig, out: Path, launcher: Sequence[str] = TORCHRUN) -> Run:
    """Train in two processes through our command line."""
    file = out / "config.toml"
    out.mkdir()
    file.write_text(config.to_toml(), encoding="utf-8")
    command = ["-m", "snaptune", "train", str(folder), "--config", str(file), "--out", str(out / "runs")]
    finished = started(command, launcher)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert "2 processes" in finished.stdout
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


@pytest.mark.parametrize(
    ("mix", "launcher"), [("none", ACCELERATE), ("cutmix", TORCHRUN)], ids=["accelerate", "torchrun"]
)
def test_two_processes_train_as_one(
    picture_folder: Path, config: TrainConfig, tmp_path: Path, mix: str, launcher: Sequence[str]
) -> None:
    dataset, config = from_folder(picture_folder), replace(config, mix=mix)
    alone = train(dataset, config, tmp_path / "alone", say=lambda text: None)
    together = launched(picture_folder, config, tmp_path / "together", launcher)
    assert len(list((tmp_path / "together" / "runs").iterdir())) == 1
    assert together.split_file.read_bytes() == alone.split_file.read_bytes()
    for one, two in zip(epochs(alone), epochs(together), strict=True):
        assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-4)
        assert two["validation_loss"] == pytest.approx(one["validation_loss"], rel=1e-4)
        assert two["train_accuracy"] == one["train_accuracy"]
        assert two["validation_accuracy"] == one["validation_accuracy"]


# both processes kill themselves as soon as the second checkpoint is there
KILLED = """
import os, signal, sys, threading, time
from pathlib import Path

def wait():
    while len(list(Path(sys.argv[-1]).glob("*/checkpoint/*.safetensors"))) < 2:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=wait, daemon=True).start()
from snaptune.cli.main import main
main(sys.argv[1:])
"""


def test_two_processes_killed_and_resumed_are_as_never_killed(
    picture_folder: Path, config: TrainConfig, tmp_path: Path
) -> None:
    config = replace(config, mix="mixup", checkpoint_minutes=0.0, epochs=6)
    unbroken = launched(picture_folder, config, tmp_path / "unbroken")
    runs = tmp_path / "killed" / "runs"
    (tmp_path / "killed.py").write_text(KILLED, encoding="utf-8")
    arguments = [str(picture_folder), "--config", str(tmp_path / "unbroken" / "config.toml")]
    script = [str(tmp_path / "killed.py"), "train", *arguments, "--out", str(runs)]
    assert "Signal 9 (SIGKILL)" in started(script).stderr
    [path] = runs.iterdir()
    assert not Run(path).model_file.exists()
    resumed = started(["-m", "snaptune", "train", "--resume", str(path)])
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert "Going on with" in resumed.stdout
    assert Run(path).model_file.read_bytes() == unbroken.model_file.read_bytes()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_samples_are_shared_out_once(count: int) -> None:
    samples = np.arange(10)
    shares = [Processes(rank, count).share(samples) for rank in range(count)]
    assert sorted(np.concatenate(shares).tolist()) == samples.tolist()
