"""Ultralytics' classification trainer on the same timm network.

Its own weights come from a hub, so the network is put into its model class, with the normalisation inside.
Documented defaults but for the flip, which would turn left into right. Tuned: pictures kept in memory, one
worker, AdamW at 1e-3.
"""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.nn.tasks import ClassificationModel

from benchmarks.peers.contract import Clock, Task, build, normalisation, task


class Normalised(nn.Module):
    """The network behind the normalisation of its weights; has what Ultralytics asks of a layer."""

    def __init__(self, given: Task) -> None:
        super().__init__()
        self.network = build(given)
        self.mean: Tensor
        self.std: Tensor
        for name, values in zip(("mean", "std"), normalisation(given), strict=True):
            self.register_buffer(name, torch.tensor(values, device=given.device).view(3, 1, 1))
        for name, value in {"f": -1, "i": 0, "type": "timm", "np": 0}.items():
            setattr(self, name, value)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network((pixels - self.mean) / self.std)
        return logits


class Trainer(ClassificationTrainer):  # type: ignore[misc]
    """Trains the given network in the place of one of its own."""

    given: Task

    def setup_model(self) -> None:
        self.model = ClassificationModel("yolo11n-cls.yaml", nc=len(self.given.classes), verbose=False)
        self.model.model = nn.Sequential(Normalised(self.given))


def main() -> None:
    given = task()
    clock = Clock(given.device)

    def scored(trainer: Any) -> None:
        if (
            len(clock.epochs) < given.epochs
        ):  # one more call comes with the best epoch, chosen on these pictures
            clock.scored(trainer.metrics["metrics/accuracy_top1"])

    tuned = {"cache": "ram", "workers": 1, "optimizer": "AdamW", "lr0": 1e-3} if given.tuned else {}
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {
            "model": "yolo11n-cls.yaml",
            "data": str(given.pictures),
            "epochs": given.epochs,
            "imgsz": given.size,
            "seed": given.seed,
            "device": given.device,
            "project": folder,
            "fliplr": 0.0,
            "plots": False,
            "save": False,
            "verbose": False,
            **tuned,
        }
        trainer = Trainer(overrides=settings)
        trainer.given = given
        trainer.add_callback("on_train_epoch_start", lambda trainer: clock.begin())
        trainer.add_callback(
            "on_train_epoch_end", lambda trainer: clock.end(len(trainer.train_loader.dataset))
        )
        trainer.add_callback("on_fit_epoch_end", scored)
        trainer.train()
    clock.report()


if __name__ == "__main__":
    main()
