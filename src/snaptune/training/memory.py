"""What to do when the device has no memory for a batch: the same batch in smaller pieces."""

from __future__ import annotations

import gc
from dataclasses import replace

import torch

from snaptune.config import TrainConfig
from snaptune.errors import TrainingError

_SIGNS = (
    *("out of memory", "not enough memory", "can't allocate memory"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
)
"""In the texts of CUDA, XPU and MPS; of the CPU on Windows and on Linux; of CUDA's libraries."""


def ran_out(error: RuntimeError) -> bool:
    """Whether an error says that memory ran out; only CUDA and XPU have a class of their own for that."""
    return any(sign in str(error) for sign in _SIGNS) or type(error).__name__ == "OutOfMemoryError"


def free_memory() -> None:
    """Give back to the device what no tensor holds any more."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.memory.empty_cache()


def with_smaller_pieces(config: TrainConfig) -> TrainConfig:
    """Half as many pictures at once; raises `TrainingError` where it was one already."""
    pictures = min(config.micro_batch or config.batch_size, config.batch_size)
    if pictures == 1:
        raise TrainingError(
            f"Memory ran out with one picture of {config.image_size} pixels at a time. Take a smaller "
            "--image-size or another --model, or end what else uses the device."
        )
    return replace(config, micro_batch=pictures // 2)


def refusal(config: TrainConfig) -> TrainingError:
    """For several processes, of which only one may have run out while the others wait for it."""
    pictures = min(config.micro_batch or config.batch_size, config.batch_size)
    return TrainingError(
        f"Memory ran out in one of several processes. Start again with micro_batch = {max(1, pictures // 2)} "
        "in a file given with --config; the result stays the same."
    )
