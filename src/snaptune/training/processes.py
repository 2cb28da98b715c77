"""Several processes that train as one: the same global batches, the same decisions, one writer.

Started by `accelerate launch -m snaptune train ...` or `torchrun -m snaptune train ...`; a process by
itself needs none of this.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Processes:
    """This process's place among all; every method is called by all of them at the same point."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def share(self, samples: Indices) -> Indices:
        """This process's part of samples that all have in the same order."""
        return np.array_split(samples, self.count)[self.rank]

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' values."""
        if self.count > 1:
            torch.distributed.all_reduce(values)
        return values

    def together(self, part: Tensor, total: int) -> Tensor:
        """The rows of all processes, `total` in all, in the order in which `share` handed them out."""
        if self.count == 1:
            return part
        own = torch.from_numpy(self.share(np.arange(total)))
        rows = part.new_zeros(total, *part.shape[1:])
        rows[own] = part
        return self.total(rows)  # exact: of the numbers that are added, all but one are zero

    def any(self, here: bool, device: torch.device) -> bool:
        """Whether it is so in at least one process; they then all do the same."""
        return here if self.count == 1 else bool(self.total(torch.tensor([int(here)], device=device)))

    def same(self, text: str) -> str:
        """The leader's text."""
        if self.count == 1:
            return text
        from accelerate.utils import broadcast_object_list

        texts = [text]
        broadcast_object_list(texts)
        return texts[0]

    def joined(self, model: nn.Module) -> nn.Module:
        """The model with its gradients averaged over the processes."""
        return model if self.count == 1 else nn.parallel.DistributedDataParallel(model)


def join_processes() -> tuple[Processes, torch.device]:
    """This process's place, from what the launcher put in the environment, and its device."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes(), best_device()
    from accelerate import PartialState

    # unless it is told, Accelerate takes processes without an accelerator for single ones
    state = PartialState(cpu=best_device().type in ("cpu", "mps"))
    return Processes(state.process_index, state.num_processes), state.device


def best_device() -> torch.device:
    """CUDA, then Intel XPU, then Apple MPS, then the processor (spec S2)."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")
