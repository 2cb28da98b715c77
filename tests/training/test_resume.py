"""Invariant 2: kill training anywhere; after resuming, the finished weights hash the same."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from snaptune.data.dataset import ImageDataset
from snaptune.errors import RunError
from snaptune.run_folder import Run
from snaptune.training.checkpoint import Saver, checkpoints
from snaptune.training.events import Event, Saved, StepDone
from snaptune.training.train import Interrupted, resume_training, train
from tests.conftest import TINY

# a checkpoint after every step, dropout and a moving average: all there is to get wrong
CONFIG = replace(TINY, epochs=3, batch_size=4, checkpoint_minutes=0.0, keep="best")
SCRIPT = """
import sys
from pathlib import Path
from snaptune.config import TrainConfig
from snaptune.data.readers import from_folder
from snaptune.run_folder import Run
from snaptune.training.train import resume_training, train
folder, config, out = sys.argv[1:4]
started = sorted(Path(out).glob("*/checkpoint"))
print("ready", flush=True)
if started:
    resume_training(Run(started[0].parent), from_folder(folder), on_event=lambda e: print(e, flush=True))
else:
    train(from_folder(folder), TrainConfig.read(Path(config)), out, on_event=lambda e: print(e, flush=True))
"""


def digest(run: Run) -> str:
    return hashlib.sha256(run.model_file.read_bytes()).hexdigest()


def silent(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, small_dataset: ImageDataset) -> str:
    return digest(train(small_dataset, CONFIG, tmp_path_factory.mktemp("unbroken"), say=silent))


class StopAfter:
    """An observer that asks for an end after some steps, as a signal would."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, event: Event) -> None:
        if isinstance(event, Saved | StepDone):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("steps", range(1, 11, 3))
def test_stopped_and_resumed_is_as_never_stopped(
    small_dataset: ImageDataset, unbroken: str, tmp_path: Path, steps: int
) -> None:
    with pytest.raises(Interrupted) as stop:
        train(small_dataset, CONFIG, tmp_path, say=silent, on_event=StopAfter(steps))
    run = stop.value.run
    assert not run.model_file.exists()
    with pytest.raises(Interrupted):
        resume_training(run, small_dataset, say=silent, on_event=StopAfter(2))
    finished = resume_training(run, small_dataset, say=silent)
    assert digest(finished) == unbroken
    assert checkpoints(run.checkpoint_folder) == []


def test_killed_at_twenty_random_moments(picture_folder: Path, unbroken: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.to_toml(), encoding="utf-8")
    draw = random.Random(1)  # noqa: S311  no secret
    kills = 0
    attempt = 0
    while kills < 20:
        out = tmp_path / f"runs-{attempt}"
        attempt += 1
        while not list(out.glob("*/model.safetensors")):
            killed = _run_and_kill(
                picture_folder, config, out, draw.uniform(0.0, 0.25) if kills < 20 else 60.0
            )
            kills += killed
        assert digest(Run.open(out)) == unbroken


def _run_and_kill(folder: Path, config: Path, out: Path, after: float) -> bool:
    """Start or resume a process and `kill -9` it a while after training starts; False where it finished."""
    command = [sys.executable, "-c", SCRIPT, str(folder), str(config), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Started"):
                break
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
        assert process.returncode == 0
        return False


def stopped(dataset: ImageDataset, out: Path, steps: int) -> Run:
    with pytest.raises(Interrupted) as stop:
        train(dataset, CONFIG, out, say=silent, on_event=StopAfter(steps))
    return stop.value.run


def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_is_used(
    small_dataset: ImageDataset, unbroken: str, tmp_path: Path
) -> None:
    run = stopped(small_dataset, tmp_path, 8)
    newest, before = checkpoints(run.checkpoint_folder)
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(data)
    said: list[str] = []
    finished = resume_training(run, small_dataset, say=said.append)
    assert said[0] == (
        f"Checkpoint '{newest.name}' is damaged: its content does not match the SHA-256 in its name; "
        "using the one before."
    )
    assert before.name.split("-")[1] in said[1] or "after batch" in said[1]
    assert digest(finished) == unbroken


def test_without_a_usable_checkpoint_it_says_so(small_dataset: ImageDataset, tmp_path: Path) -> None:
    run = stopped(small_dataset, tmp_path, 8)
    for path in checkpoints(run.checkpoint_folder):
        path.write_bytes(b"")
    with pytest.raises(RunError, match=r"No usable checkpoint in '.*'\. '.*' is damaged.*; '.*' is damaged"):
        resume_training(run, small_dataset, say=silent)


def test_other_data_are_refused(small_dataset: ImageDataset, hands: ImageDataset, tmp_path: Path) -> None:
    run = stopped(small_dataset, tmp_path, 2)
    with pytest.raises(RunError, match="is not as it was when"):
        resume_training(run, hands, say=silent)


def test_a_full_disk_loses_no_checkpoint(
    small_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(small_dataset, tmp_path, 6)
    before = checkpoints(run.checkpoint_folder)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        resume_training(run, small_dataset, say=silent)
    assert checkpoints(run.checkpoint_folder) == before


def test_two_checkpoints_stay(small_dataset: ImageDataset, tmp_path: Path) -> None:
    run = stopped(small_dataset, tmp_path, 9)
    assert len(checkpoints(run.checkpoint_folder)) == 2


def test_no_checkpoint_is_written_before_its_time(small_dataset: ImageDataset, tmp_path: Path) -> None:
    saver = Saver(tmp_path, every=60)
    assert not saver.due
    saver.stop()
    assert saver.due
