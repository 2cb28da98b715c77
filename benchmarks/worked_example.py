"""The worked example's training loop, as it is described: the baseline for the default recipe.

Decoding with Pillow in worker processes, the picture augmented as a PIL image, float32 batches, AdamW with a
one-cycle schedule, loss and accuracy fetched at every step, the weights of the lowest validation loss kept.

    python -m benchmarks.worked_example --hold-out noto --epochs 5
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import TrivialAugmentWide

from snaptune.data.dataset import ImageDataset
from snaptune.data.readers import open_dataset
from snaptune.data.splits import Split, split_by_group
from snaptune.images.load import load_image
from snaptune.models.build import build_model, preprocess_for

MODEL = "tf_efficientnet_lite0"


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

    def __init__(self, dataset: ImageDataset, samples: np.ndarray, size: int, augment: bool) -> None:
        self.dataset, self.samples = dataset, samples
        self.recipe = preprocess_for(MODEL, size)
        self.augment = Space() if augment else None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        index = int(self.samples[place])
        image = load_image(self.dataset.source.read(index), str(self.dataset.ids[index]))
        image = Image.fromarray(self.recipe.pixels(image))
        if self.augment is not None:
            image = self.augment(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.recipe.mean, self.recipe.std))
        return (pixels - mean) / std, int(self.dataset.labels[index])


def train(dataset: ImageDataset, split: Split, epochs: int, size: int, seed: int) -> dict[str, Any]:
    """Accuracy of the kept weights and of the last epoch's on the validation part; the seconds it took."""
    torch.manual_seed(seed)
    started = time.perf_counter()
    loaders = [
        DataLoader(
            Pictures(dataset, split.indices(part), size, augment=part == "train"),
            batch_size=32,
            shuffle=part == "train",
            num_workers=os.cpu_count() or 1,
            persistent_workers=True,
        )
        for part in ("train", "validation")
    ]
    model = build_model(MODEL, len(dataset.class_names), "pretrained")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-5)
    steps = epochs * len(loaders[0])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps)
    best = last = (float("inf"), 0.0)
    for _ in range(epochs):
        run_epoch(model, loaders[0], optimizer, schedule)
        last = run_epoch(model, loaders[1])
        best = min(best, last)
    seconds = time.perf_counter() - started
    return {
        "seed": seed,
        "accuracy": best[1],
        "last": last[1],
        "seconds": round(seconds, 1),
    }


def run_epoch(
    model: nn.Module, loader: DataLoader[Any], optimizer: Any = None, schedule: Any = None
) -> tuple[float, float]:
    """Mean loss and accuracy; learns where there is an optimiser."""
    model.train(optimizer is not None)
    losses, right, seen = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for pixels, labels in loader:
            logits = model(pixels)
            loss = nn.functional.cross_entropy(logits, labels)
            if optimizer is not None:
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
            losses += loss.item() * len(labels)
            right += int((logits.argmax(1) == labels).sum())
            seen += len(labels)
    return losses / seen, right / seen


def main() -> None:
    parser = argparse.ArgumentParser(description="The worked example's training loop.")
    parser.add_argument("--hold-out", default="noto")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    dataset = open_dataset("sample:hand-emoji")
    split = split_by_group(dataset, (args.hold_out,))
    found = train(dataset, split, args.epochs, args.size, args.seed)
    print(json.dumps({"artist": args.hold_out, **found}), flush=True)


if __name__ == "__main__":
    main()
