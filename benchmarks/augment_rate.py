"""Pictures a second of trivial augmentation: snaptune's batches against torchvision's single pictures.

All do one operation of the wide space a picture, on the same 32 pictures, give one float32 batch, and take
turns in one run, so that a busy machine is as unfair to each. `snaptune` and `torchvision` start from a
uint8 batch on `--device`, `torchvision PIL` from PIL pictures, which only the processor can augment.

    python benchmarks/augment_rate.py [--device cuda] [--rounds 15] [--threads 1]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torchvision.transforms import TrivialAugmentWide
from torchvision.transforms.functional import to_pil_image

from snaptune.training.trivial import TrivialAugment
from snaptune.trivial_space import WIDE

BATCH = 32
Contender = Callable[[int], object]


def contenders(side: int, device: torch.device) -> dict[str, Contender]:
    """Each takes the number of the round and augments the whole batch once."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (BATCH, side, side, 3), dtype=torch.uint8, generator=random).permute(
        0, 3, 1, 2
    )
    pictures, moved, samples = [to_pil_image(one) for one in pixels], pixels.to(device), np.arange(BATCH)
    ours, theirs = TrivialAugment(0, WIDE), TrivialAugmentWide()
    return {
        "snaptune": lambda number: ours(moved, number, samples),
        "torchvision": lambda number: torch.stack([theirs(one) for one in moved]).float(),
        "torchvision PIL": lambda number: torch.from_numpy(
            np.stack([np.asarray(theirs(one)) for one in pictures])
        ).to(device, torch.float32),
    }


def seconds(contender: Contender, number: int, device: torch.device) -> float:
    start = time.perf_counter()
    contender(number)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def measure(side: int, device: torch.device, rounds: int) -> dict[str, list[float]]:
    """Pictures a second in each round; the first two rounds warm up and do not count."""
    racing = contenders(side, device)
    rates: dict[str, list[float]] = {name: [] for name in racing}
    for number in range(rounds + 2):
        for name, contender in racing.items():
            rates[name].append(BATCH / seconds(contender, number, device))
    return {name: found[2:] for name, found in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures a second of trivial augmentation.")
    parser.add_argument("--device", default="cpu", help="device of the tensors")
    parser.add_argument("--rounds", type=int, default=15, help="batches timed for each contender")
    parser.add_argument("--threads", type=int, default=1, help="processor threads of PyTorch")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    print(
        f"batch {BATCH}, {device}, {args.threads} threads, {args.rounds} rounds, pictures/s: min median max"
    )
    for side in (128, 288):
        for name, rates in measure(side, device, args.rounds).items():
            shown = " ".join(f"{rate:8.0f}" for rate in (min(rates), float(np.median(rates)), max(rates)))
            print(f"{side:4} px  {name:16} {shown}")


if __name__ == "__main__":
    main()
