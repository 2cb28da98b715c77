"""Several processes that work as one: the same decisions, each sample once, one writer.

Started by `accelerate launch -m snaptune train ...` (or `predict`), or by `torchrun` in its place; a process
by itself needs none of this.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # a process by itself works without torch: an exported file needs none to answer
    import torch
    from torch import Tensor, nn

Indices = npt.NDArray[np.int64]
T = TypeVar("T")

TURN = 128
"""Items of a stream that a process takes before it is the next one's turn."""


@dataclass(frozen=True)
class Processes:
    """This process's place among all; every method is called by all of them at the same point."""

    rank: int = 0
    count: int = 1
    on_this_machine: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def share(self, samples: Indices) -> Indices:
        """This process's part of samples that all have in the same order."""
        return np.array_split(samples, self.count)[self.rank]

    def in_turns(self, items: Iterable[T]) -> Iterator[T]:
        """This process's part of a stream that all have in the same order; all of it for one process."""
        return (item for number, item in enumerate(items) if number // TURN % self.count == self.rank)

    def in_order(self, answers: Iterable[T]) -> Iterator[T]:
        """For the leader, all processes' answers to their `in_turns`, in the order of the stream; else none.

        Holds one turn of each process at a time.
        """
        if self.count == 1:
            yield from answers
            return
        import torch

        own, whole = iter(answers), True
        while whole:
            parts: list[list[T] | None] = [None] * self.count
            torch.distributed.all_gather_object(parts, list(islice(own, TURN)))
            turns = [part or [] for part in parts]
            for turn in turns if self.leads else ():
                yield from turn
            whole = min(map(len, turns)) == TURN
        for _ in own:  # ends what lies behind the answers; there are more only where the streams differ
            continue

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' values."""
        if self.count > 1:
            import torch

            torch.distributed.all_reduce(values)
        return values

    def together(self, part: Tensor, total: int) -> Tensor:
        """The rows of all processes, `total` in all, in the order in which `share` handed them out."""
        if self.count == 1:
            return part
        import torch

        own = torch.from_numpy(self.share(np.arange(total)))
        rows = part.new_zeros(total, *part.shape[1:])
        rows[own] = part
        return self.total(rows)  # exact: of the numbers that are added, all but one are zero

    def any(self, here: bool, device: torch.device | str) -> bool:
        """Whether it is so in at least one process; they then all do the same."""
        if self.count == 1:
            return here
        import torch

        return bool(self.total(torch.tensor([int(here)], device=device)))

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
        if self.count == 1:
            return model
        from torch import nn

        return nn.parallel.DistributedDataParallel(model)


def join_processes() -> tuple[Processes, torch.device]:
    """This process's place, from what the launcher put in the environment, and its device."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes(), best_device()
    from accelerate import PartialState

    # without `cpu` Accelerate joins no processes on a machine that has no accelerator: each would work alone
    state = PartialState(cpu=best_device().type in ("cpu", "mps"))
    atexit.register(state.destroy_process_group)  # gloo's threads abort a program that ends before they do
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return Processes(state.process_index, state.num_processes, here), state.device


def best_device() -> torch.device:
    """CUDA, then Intel XPU, then Apple MPS, then the processor (spec S2)."""
    import torch

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")
