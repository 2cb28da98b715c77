"""The worked example's training loop, as it is described: the baseline.

Decoding with Pillow in worker processes, the picture augmented as a PIL image, float32 batches, AdamW with a
one-cycle schedule, mixed precision on a GPU, loss and accuracy fetched at every step. `--workers` sets the
worker processes; as described there are as many as cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import TrivialAugmentWide

from benchmarks.peers.contract import Clock, Task, build, normalisation, task

LR, EPS, BATCH = 1e-3, 1e-5, 32


class Space(TrivialAugmentWide):  # type: ignore[misc]
    """The worked example's own space: 31 bins."""

    def _augmentation_space(self, num_bins: int) -> dict[str, tuple[Tensor, bool]]:
        def upto(most: float) -> Tensor:
            return torch.linspace(0.0, most, num_bins)

        zero = torch.tensor(0.0)
        return {
            "Identity": (zero, False),
            "ShearX": (upto(0.25), True),
            "ShearY": (upto(0.25), True),
            "TranslateX": (upto(32.0), True),
            "TranslateY": (upto(32.0), True),
            "Rotate": (upto(45.0), True),
            "Brightness": (upto(0.75), True),
            "Color": (upto(0.99), True),
            "Contrast": (upto(0.99), True),
            "Sharpness": (upto(0.99), True),
            "Posterize": (8 - (torch.arange(num_bins) / ((num_bins - 1) / 6)).round().int(), False),
            "Solarize": (torch.linspace(255.0, 0.0, num_bins), False),
            "AutoContrast": (zero, False),
            "Equalize": (zero, False),
        }


class Pictures(Dataset[tuple[Tensor, int]]):
    """Decode, resize and pad, augment, to a normalised tensor: everything anew for every epoch."""

    def __init__(self, given: Task, part: str) -> None:
        self.files, self.size = given.files(part), given.size
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in normalisation(given))
        self.augment = Space() if part == "train" else None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        path, label = self.files[place]
        image = padded(path, self.size)
        if self.augment is not None:
            image = self.augment(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (pixels - self.mean) / self.std, label


def padded(path: Path, size: int) -> Image.Image:
    """The longer side to `size`, the edge pixels repeated to a square."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    scale = size / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    across, down = size - image.width, size - image.height
    around = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    return Image.fromarray(np.pad(np.asarray(image), around, mode="edge"))


def main() -> None:
    given = task()
    clock = Clock(given.device)
    train, validation = (
        DataLoader(
            Pictures(given, part),
            batch_size=BATCH,
            shuffle=part == "train",
            num_workers=given.workers,
            persistent_workers=given.workers > 0,
            pin_memory=given.device != "cpu",
        )
        for part in ("train", "val")
    )
    model = build(given)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, eps=EPS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LR, total_steps=given.epochs * len(train)
    )
    scaler = torch.amp.GradScaler(given.device, enabled=given.device != "cpu")
    for _ in range(given.epochs):
        clock.begin()
        run_epoch(model, train, given.device, scaler, optimizer, schedule)
        clock.end(len(train.dataset))  # type: ignore[arg-type]
        clock.scored(run_epoch(model, validation, given.device, scaler))
    clock.report()


def run_epoch(
    model: nn.Module,
    loader: DataLoader[Any],
    device: str,
    scaler: torch.amp.GradScaler,
    optimizer: Any = None,
    schedule: Any = None,
) -> float:
    """Accuracy; learns where there is an optimiser."""
    model.train(optimizer is not None)
    losses, right, seen = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for on_host, labels_on_host in loader:
            pixels, labels = on_host.to(device), labels_on_host.to(device)
            with torch.autocast(device, enabled=device != "cpu"):
                logits = model(pixels)
                loss = nn.functional.cross_entropy(logits, labels)
            if optimizer is not None:
                scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
                schedule.step()
            losses += loss.item() * len(labels)
            right += int((logits.argmax(1) == labels).sum().item())
            seen += len(labels)
    return right / seen


if __name__ == "__main__":
    main()
