"""The Hugging Face Trainer on a timm model.

Documented defaults: AdamW at 5e-5 falling linearly, batches of 8, no worker processes, and the crop of its
image-classification example without the flip. Tuned: 1e-3 with warm-up and cosine, batches of 32, workers, a
milder crop.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from transformers import Trainer, TrainerCallback, TrainingArguments

from benchmarks.peers.contract import Clock, Task, build, normalisation, task


class WithLoss(nn.Module):
    """What the Trainer wants of a model: the loss beside the logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.model(pixels)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Timed(TrainerCallback):  # type: ignore[misc]
    """Tells the clock when epochs begin and end."""

    def __init__(self, clock: Clock, pictures: int) -> None:
        self.clock, self.pictures = clock, pictures

    def on_epoch_begin(self, *args: Any, **more: Any) -> None:
        self.clock.begin()

    def on_epoch_end(self, *args: Any, **more: Any) -> None:
        self.clock.end(self.pictures)

    def on_evaluate(self, *args: Any, metrics: dict[str, float], **more: Any) -> None:
        self.clock.scored(metrics["eval_accuracy"])


def pictures(given: Task, part: str) -> ImageFolder:
    last = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(*normalisation(given))]
    if part == "train":
        first = [v2.RandomResizedCrop(given.size, scale=(0.6, 1.0) if given.tuned else (0.08, 1.0))]
    else:
        first = [v2.Resize(given.size), v2.CenterCrop(given.size)]
    return ImageFolder(str(given.pictures / part), transform=v2.Compose([*first, *last]), allow_empty=True)


def together(samples: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
    return {
        "pixels": torch.stack([pixels for pixels, _ in samples]),
        "labels": torch.tensor([label for _, label in samples]),
    }


def main() -> None:
    given = task()
    clock = Clock(given.device)
    tuned: dict[str, Any] = {
        "per_device_train_batch_size": 32,
        "per_device_eval_batch_size": 64,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "dataloader_num_workers": given.workers,
        "dataloader_persistent_workers": given.workers > 0,
    }
    train = pictures(given, "train")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=given.epochs,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            seed=given.seed,
            use_cpu=given.device == "cpu",
            bf16=given.device != "cpu",
            **(tuned if given.tuned else {}),
        )
        trainer = Trainer(
            model=WithLoss(build(given)),
            args=arguments,
            train_dataset=train,
            eval_dataset=pictures(given, "val"),
            data_collator=together,
            compute_metrics=lambda found: {"accuracy": np.mean(found[0].argmax(1) == found[1])},
            callbacks=[Timed(clock, len(train))],
        )
        trainer.train()
    clock.report()


if __name__ == "__main__":
    main()
