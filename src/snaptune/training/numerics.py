"""On which device, in which precision and memory layout the network is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

FLOAT32 = "float32"


@dataclass(frozen=True)
class Numerics:
    """`precision` is float32, bfloat16 or float16 (mixed: weights stay float32)."""

    device: torch.device
    precision: str = FLOAT32
    channels_last: bool = True
    compile: bool = False

    def autocast(self) -> torch.autocast:
        dtype = getattr(torch, self.precision)
        return torch.autocast(self.device.type, dtype, enabled=self.precision != FLOAT32)

    def scaler(self, state: Mapping[str, Any]) -> torch.amp.GradScaler:
        """Loss scaling for float16, nothing otherwise; `state` comes from a checkpoint and may be empty."""
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")
        if state:
            scaler.load_state_dict(dict(state))
        return scaler

    def laid_out(self, pixels: Tensor) -> Tensor:
        """A float batch in the memory layout of choice."""
        return pixels.contiguous(memory_format=self._format)

    def placed(self, model: nn.Module) -> nn.Module:
        """The model on the device, in the memory layout of choice."""
        moved: nn.Module = model.to(self.device, memory_format=self._format)  # type: ignore[call-overload]
        return moved

    def compiled(self, network: nn.Module) -> nn.Module:
        """The network as one compiled function of the same weights, where that is the choice.

        Each size of batch costs a compilation, so an odd one should go through `network` itself.
        """
        if not self.compile:
            return network
        torch.compiler.reset()  # earlier networks count towards a limit, after which none is compiled
        fast: nn.Module = torch.compile(network, dynamic=False)  # type: ignore[assignment]
        return fast

    @property
    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def __str__(self) -> str:
        layout = "channels last" if self.channels_last else "channels first"
        return f"{self.device}, {self.precision}, {layout}{', compiled' if self.compile else ''}"
