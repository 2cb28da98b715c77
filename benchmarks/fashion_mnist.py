"""Fashion-MNIST from the Debian package `dataset-fashion-mnist` as PNG files in class folders.

python benchmarks/fashion_mnist.py TARGET [pictures a class and part]
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SOURCE = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
)


def unpacked(name: str, header: int) -> np.ndarray:
    with gzip.open(SOURCE / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def export(target: Path, part: str, prefix: str, limit: int, *, skip: int = 0) -> int:
    """Write `target/part/class/number.png` of `limit` pictures a class after the first `skip`; how many."""
    pictures = unpacked(f"{prefix}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = unpacked(f"{prefix}-labels-idx1-ubyte.gz", 8)
    written = 0
    for label, name in enumerate(CLASSES):
        folder = target / part / name
        folder.mkdir(parents=True, exist_ok=True)
        for index in np.flatnonzero(labels == label)[skip : skip + limit]:
            Image.fromarray(pictures[index]).save(folder / f"{index:05d}.png")
            written += 1
    return written


def main() -> None:
    target = Path(sys.argv[1])
    limit = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    counts = {
        part: export(target, part, prefix, limit) for part, prefix in (("train", "train"), ("test", "t10k"))
    }
    print(", ".join(f"{count:,} in {target / part}" for part, count in counts.items()))


if __name__ == "__main__":
    main()
