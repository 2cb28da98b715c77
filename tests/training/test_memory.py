"""Memory runs out: the same batches in smaller pieces, from the last checkpoint, nothing counted twice."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset
from snaptune.errors import TrainingError
from snaptune.models.build import build_model
from snaptune.run_folder import Run
from snaptune.training.events import Event, OutOfMemory, StepDone
from snaptune.training.job import Interrupted
from snaptune.training.memory import ran_out, refusal
from snaptune.training.train import resume_training, train
from tests.conftest import TINY


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Batches of eight and norms that keep their statistics; a checkpoint after every step."""
    weights = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    torch.manual_seed(0)
    save_file(build_model("test_resnet", 3, "none").state_dict(), weights)
    return replace(TINY, weights=str(weights), checkpoint_minutes=0.0)


@contextmanager
def room_for(pictures: int, steps: int = 0) -> Iterator[None]:
    """Any network raises the error of a full device above so many pictures, after `steps` training steps."""
    calls = 0

    def check(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal calls
        if hasattr(module, "pretrained_cfg"):
            calls += module.training
            if calls > steps and len(inputs[0]) > pictures:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    hook = nn.modules.module.register_module_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()


def trained(dataset: ImageDataset, config: TrainConfig, out: Path, **options: Any) -> Run:
    return train(dataset, config, out, **{"say": lambda text: None, **options})


def digest(run: Run) -> str:
    return hashlib.sha256(run.model_file.read_bytes()).hexdigest()


def epochs(run: Run) -> list[dict[str, float]]:
    events = [json.loads(line) for line in run.events_file.read_text("utf-8").splitlines()]
    return [event for event in events if event["event"] == "EpochDone"]


def largest_difference(one: Run, two: Run) -> float:
    first, second = one.weights(), two.weights()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def test_training_goes_on_in_pieces_and_the_run_says_so(
    small_dataset: ImageDataset, config: TrainConfig, tmp_path: Path
) -> None:
    events: list[Event] = []
    said: list[str] = []
    with room_for(3):
        run = trained(small_dataset, config, tmp_path / "out", on_event=events.append, say=said.append)
    assert [event for event in events if isinstance(event, OutOfMemory)] == [OutOfMemory(4), OutOfMemory(2)]
    assert run.config() == replace(config, micro_batch=2, threads=run.config().threads, compile="off")
    assert '{"event": "OutOfMemory", "micro_batch": 2}' in run.events_file.read_text("utf-8").splitlines()
    assert said[-1] == (
        "Memory ran out: from here on batches of 8 are computed in pieces of 2. "
        "Each update is still that of a whole batch."
    )
    asked_for = trained(small_dataset, replace(config, micro_batch=2), tmp_path / "asked")
    assert digest(run) == digest(asked_for)


def test_the_result_is_that_of_whole_batches(
    small_dataset: ImageDataset, config: TrainConfig, tmp_path: Path
) -> None:
    whole = trained(small_dataset, config, tmp_path / "whole")
    with room_for(4, steps=4):  # in the second epoch: back to the checkpoint after the fourth step
        pieces = trained(small_dataset, config, tmp_path / "pieces")
    assert pieces.config().micro_batch == 4
    assert largest_difference(whole, pieces) < 1e-5
    for one, two in zip(epochs(whole), epochs(pieces), strict=True):
        assert two["train_accuracy"] == one["train_accuracy"]
        assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-4)


def test_nothing_stays_of_the_steps_before_without_a_checkpoint(
    small_dataset: ImageDataset, config: TrainConfig, tmp_path: Path
) -> None:
    rare = replace(config, batch_size=4, accumulate=2, checkpoint_minutes=1e3)
    with room_for(2, steps=3):  # one update is done, and half of the gradients of the next are there
        pieces = trained(small_dataset, rare, tmp_path / "pieces")
    asked_for = trained(small_dataset, replace(rare, micro_batch=2), tmp_path / "asked")
    assert digest(pieces) == digest(asked_for)


def test_a_resumed_run_goes_on_in_the_same_pieces(
    small_dataset: ImageDataset, config: TrainConfig, tmp_path: Path
) -> None:
    def stop_in_the_second_epoch(event: Event) -> None:
        if isinstance(event, StepDone) and event.epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    longer = replace(config, epochs=3)
    with room_for(4):
        unbroken = trained(small_dataset, longer, tmp_path / "unbroken")
    with room_for(4), pytest.raises(Interrupted) as stop:
        trained(small_dataset, longer, tmp_path / "broken", on_event=stop_in_the_second_epoch)
    finished = resume_training(stop.value.run, small_dataset, say=lambda text: None)
    assert digest(finished) == digest(unbroken)


def test_norms_that_learn_see_pieces_and_the_user_is_told(
    small_dataset: ImageDataset, config: TrainConfig, tmp_path: Path
) -> None:
    said: list[str] = []
    learning = replace(config, norm_statistics="learned", epochs=1)
    with room_for(4):
        trained(small_dataset, learning, tmp_path, say=said.append)
    assert said[-1].endswith("but batch norms see the statistics of a piece.")


def test_one_picture_too_many_is_the_end(
    small_dataset: ImageDataset, config: TrainConfig, tmp_path: Path
) -> None:
    with room_for(0), pytest.raises(TrainingError) as error:
        trained(small_dataset, config, tmp_path)
    assert str(error.value) == (
        "Memory ran out with one picture of 32 pixels at a time. Take a smaller --image-size or another "
        "--model, or end what else uses the device."
    )


def test_another_error_is_not_taken_for_it(
    small_dataset: ImageDataset, config: TrainConfig, tmp_path: Path
) -> None:
    def broken(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    hook = nn.modules.module.register_module_forward_pre_hook(broken)
    try:
        with pytest.raises(RuntimeError, match="mat1 and mat2"):
            trained(small_dataset, config, tmp_path)
    finally:
        hook.remove()


@pytest.mark.parametrize(
    "text",
    [
        "MPS backend out of memory (MPS allocated: 8.00 GB)",
        "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes.",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_every_device_has_words_of_its_own(text: str) -> None:
    assert ran_out(RuntimeError(text))
    assert ran_out(torch.OutOfMemoryError())
    assert not ran_out(RuntimeError("shape mismatch"))


def test_the_processors_own_error_is_known() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert ran_out(error.value)


def test_several_processes_are_told_what_to_set(config: TrainConfig) -> None:
    assert str(refusal(config)) == (
        "Memory ran out in one of several processes. Start again with micro_batch = 4 in a file given with "
        "--config; the result stays the same."
    )
