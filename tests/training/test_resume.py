"""Invariant 2: kill training anywhere; after resuming, the finished weights hash the same."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from snaptune.data.dataset import ImageDataset
from snaptune.errors import ConfigError, RunError
from snaptune.run_folder import Run
from snaptune.training.checkpoint import Saver, checkpoints
from snaptune.training.events import Event, Saved, StepDone
from snaptune.training.job import Interrupted
from snaptune.training.train import resume_training, train
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
started = sorted(Path(out).glob("*/environment.json"))
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


def test_a_stop_passes_through_the_users_context_managers(tmp_path: Path) -> None:
    @contextmanager
    def around() -> Iterator[None]:
        yield

    with pytest.raises(Interrupted, match=f"Go on with: snaptune train --resume {tmp_path}"), around():
        raise Interrupted(Run(tmp_path))


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


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(CONFIG.to_toml(), encoding="utf-8")
    return file


def test_killed_at_twenty_random_moments(
    picture_folder: Path, config_file: Path, unbroken: str, tmp_path: Path
) -> None:
    draw = random.Random(1)  # noqa: S311  no secret
    kills = 0
    attempt = 0
    while kills < 20:
        out = tmp_path / f"runs-{attempt}"
        attempt += 1
        while not list(out.glob("*/model.safetensors")):
            after = draw.uniform(0.0, 0.25) if kills < 20 else 60.0
            kills += _run_and_kill(picture_folder, config_file, out, after)
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


# kills itself at the n-th time that it comes to a moment
AIMED = """
import os, signal, sys
from snaptune.training import batches, checkpoint

wanted, left, saving = sys.argv[4], int(sys.argv[5]), False

def now(moment):
    global left
    left -= moment == wanted
    return moment == wanted and left == 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def fsync(descriptor, really=os.fsync):
    if saving and now("half written"):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        die()
    really(descriptor)
    if saving and now("written, not renamed"):
        die()

def write_bytes(path, data, really=checkpoint.write_bytes):
    global saving
    saving = True
    really(path, data)
    saving = False
    if now("renamed, old ones not removed"):
        die()

def in_order(self, really=batches.PreparedBatches.in_order):
    for batch in really(self):
        yield batch
        if now("validation"):
            die()

os.fsync, checkpoint.write_bytes, batches.PreparedBatches.in_order = fsync, write_bytes, in_order
"""


HALF, WHOLE, RENAMED = "half written", "written, not renamed", "renamed, old ones not removed"
VALIDATION = "validation"


def test_killed_during_a_checkpoint_write_and_during_validation(
    picture_folder: Path, config_file: Path, unbroken: str, tmp_path: Path
) -> None:
    """Each moment twice, the very first write among them; what a write left is gone with the next one."""
    kills = [
        *((HALF, 1), (VALIDATION, 1), (WHOLE, 1), (RENAMED, 3)),
        *((HALF, 2), (VALIDATION, 1), (WHOLE, 2), (RENAMED, 1)),
    ]
    arguments = [str(picture_folder), str(config_file), str(tmp_path / "runs")]
    for moment, times in kills:
        command = [sys.executable, "-c", AIMED + SCRIPT, *arguments, moment, str(times)]
        killed = subprocess.run(command, capture_output=True, text=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        halves = list((tmp_path / "runs").glob("*/checkpoint/*.partial"))
        assert bool(halves) == (moment in (HALF, WHOLE))
    subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, check=True)
    assert digest(Run.open(tmp_path / "runs")) == unbroken


OWN_SPACE = {"bins": 3, "operations": [{"name": "Rotate", "high": 30, "signed": True}, {"name": "Equalize"}]}


def test_a_space_of_ones_own_comes_back(small_dataset: ImageDataset, tmp_path: Path) -> None:
    config = CONFIG.replaced({"augment": "trivial", "trivial_space": OWN_SPACE})
    unbroken = train(small_dataset, config, tmp_path / "unbroken", say=silent)
    usual = train(small_dataset, CONFIG.replaced({"augment": "trivial"}), tmp_path / "usual", say=silent)
    assert digest(unbroken) != digest(usual)
    with pytest.raises(Interrupted) as stop:
        train(small_dataset, config, tmp_path / "broken", say=silent, on_event=StopAfter(4))
    assert stop.value.run.config().trivial_space == config.trivial_space
    assert digest(resume_training(stop.value.run, small_dataset, say=silent)) == digest(unbroken)


def brighter(pixels: Tensor, epoch: int, samples: npt.NDArray[np.int64]) -> Tensor:
    return (pixels.float() + 10 * epoch).clamp(0, 255)


def test_an_augmentation_of_ones_own_must_be_given_again(small_dataset: ImageDataset, tmp_path: Path) -> None:
    unbroken = train(small_dataset, CONFIG, tmp_path / "unbroken", augment=brighter, say=silent)
    with pytest.raises(Interrupted) as stop:
        train(small_dataset, CONFIG, tmp_path / "b", augment=brighter, say=silent, on_event=StopAfter(4))
    run = stop.value.run
    with pytest.raises(ConfigError, match="'own' is a function of yours, which no file holds"):
        resume_training(run, small_dataset, say=silent)
    assert digest(resume_training(run, small_dataset, augment=brighter, say=silent)) == digest(unbroken)


def test_another_augmentation_is_refused(small_dataset: ImageDataset, tmp_path: Path) -> None:
    run = stopped(small_dataset, tmp_path, 2)
    with pytest.raises(ConfigError) as error:
        resume_training(run, small_dataset, augment=brighter, say=silent)
    assert str(error.value) == f"'{run.path}' began with augment='gentle' and goes on with it; give none."


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


@pytest.mark.parametrize("from_write", [1, 3])
def test_a_full_disk_loses_neither_checkpoint_nor_best_weights(
    small_dataset: ImageDataset,
    unbroken: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    from_write: int,
) -> None:
    """Room for some bytes of the file is there, as it would be."""
    run = stopped(small_dataset, tmp_path, 6)
    for _ in range(2):  # a second try on a disk that is still full
        before = checkpoints(run.checkpoint_folder)
        monkeypatch.setattr("os.fsync", FullDisk(from_write))
        with pytest.raises(RunError) as error:
            resume_training(run, small_dataset, say=silent)
        monkeypatch.undo()
        assert str(error.value) == (
            f"'{run.path}' cannot be written: No space left on device. The last checkpoint is whole. "
            f"Make room, then: snaptune train --resume {run.path}"
        )
        after = checkpoints(run.checkpoint_folder)
        assert after[-1] in before or from_write > 1
        assert len(after) == 2
        assert [path.suffix for path in run.checkpoint_folder.iterdir()] == [".safetensors"] * 2
    assert digest(resume_training(run, small_dataset, say=silent)) == unbroken


class FullDisk:
    """Syncing a file, which fails from the `from_write`-th on with half of it on the disk."""

    def __init__(self, from_write: int) -> None:
        self.left, self.sync = from_write, os.fsync

    def __call__(self, descriptor: int) -> None:
        self.left -= 1
        if self.left <= 0:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            raise OSError(errno.ENOSPC, "No space left on device")
        self.sync(descriptor)


def test_a_disk_that_is_full_at_the_end_loses_nothing(
    small_dataset: ImageDataset, unbroken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(small_dataset, tmp_path, 6)

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("snaptune.run_folder.write_bytes", full)
    with pytest.raises(RunError, match="cannot be written: No space left"):
        resume_training(run, small_dataset, say=silent)
    monkeypatch.undo()
    assert not run.model_file.exists()
    assert len(checkpoints(run.checkpoint_folder)) == 2
    assert digest(resume_training(run, small_dataset, say=silent)) == unbroken


def test_a_run_without_any_checkpoint_begins_again(
    small_dataset: ImageDataset, unbroken: str, tmp_path: Path
) -> None:
    """As one that was killed before the first; also where the weights come from a file."""
    run = stopped(small_dataset, tmp_path, 1)
    for path in checkpoints(run.checkpoint_folder):
        path.unlink()
    torch.manual_seed(0)
    said: list[str] = []
    assert digest(resume_training(run, small_dataset, say=said.append)) == unbroken
    assert said == [f"{run.path} has no checkpoint yet; it begins again."]


def test_a_finished_run_is_not_begun_again(small_dataset: ImageDataset, tiny_run: Run) -> None:
    with pytest.raises(RunError) as error:
        resume_training(tiny_run, small_dataset, say=silent)
    assert str(error.value) == f"'{tiny_run.path}' is finished; there is nothing to go on with."


def test_two_checkpoints_stay(small_dataset: ImageDataset, tmp_path: Path) -> None:
    run = stopped(small_dataset, tmp_path, 9)
    assert len(checkpoints(run.checkpoint_folder)) == 2


def test_no_checkpoint_is_written_before_its_time(small_dataset: ImageDataset, tmp_path: Path) -> None:
    saver = Saver(tmp_path, every=60)
    assert not saver.due
    saver.stop()
    assert saver.due
