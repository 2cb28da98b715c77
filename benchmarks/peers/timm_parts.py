"""timm's loader, mixing, optimiser and schedule, put together as its training script does.

The script itself is in no package, so this is not it. Documented defaults: SGD with the learning rate scaled
from 0.1 at 256, a crop from 8 % of the area, colour jitter 0.4; batches of 32 instead of 128, and no flips.
Tuned: AdamW at 1e-3, a milder crop, channels last.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.data import create_dataset, create_loader
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import nn

from benchmarks.peers.contract import Clock, build, normalisation, task

BATCH = 32


def main() -> None:
    given = task()
    clock = Clock(given.device)
    mean, std = normalisation(given)
    common: dict[str, Any] = {
        "input_size": (3, given.size, given.size),
        "batch_size": BATCH,
        "mean": mean,
        "std": std,
        "num_workers": given.workers,
        "device": torch.device(given.device),
        "use_prefetcher": given.device != "cpu",
    }
    labels = {name: label for label, name in enumerate(given.classes)}
    train, validation = (
        create_loader(
            create_dataset("", str(given.pictures / part), class_map=labels),
            is_training=part == "train",
            hflip=0.0,
            scale=(0.6, 1.0) if given.tuned else None,
            crop_pct=1.0,
            **common,
        )
        for part in ("train", "val")
    )
    model = build(given)
    if given.tuned:
        model = model.to(memory_format=torch.channels_last)
    name, lr = ("adamw", 1e-3) if given.tuned else ("sgd", 0.1 * BATCH / 256)
    optimizer = create_optimizer_v2(model, opt=name, lr=lr, weight_decay=2e-5)
    schedule, _ = create_scheduler_v2(
        optimizer, "cosine", num_epochs=given.epochs, step_on_epochs=False, updates_per_epoch=len(train)
    )
    updates = 0
    for _ in range(given.epochs):
        clock.begin()
        model.train()
        for pixels, labels in train:
            loss = nn.functional.cross_entropy(forward(model, pixels, given), labels.to(given.device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            updates += 1
            schedule.step_update(updates)
        clock.end(len(train.dataset))
        model.eval()
        with torch.no_grad():
            right = sum(
                int((forward(model, pixels, given).argmax(1) == labels.to(given.device)).sum())
                for pixels, labels in validation
            )
        clock.scored(right / len(validation.dataset))
    clock.report()


def forward(model: nn.Module, pixels: torch.Tensor, given: Any) -> torch.Tensor:
    pixels = pixels.to(given.device)
    if given.tuned:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    with torch.autocast(given.device, torch.bfloat16, enabled=given.device != "cpu"):
        logits: torch.Tensor = model(pixels)
    return logits


if __name__ == "__main__":
    main()
