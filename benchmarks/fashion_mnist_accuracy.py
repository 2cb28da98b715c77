"""A subset of Fashion-MNIST at 64 pixels: is the default recipe, chosen on drawn hands, good there too?

    python -m benchmarks fashion_mnist_accuracy

1000 pictures to train and 2000 to test, of the Debian package `dataset-fashion-mnist`. As many before them
of each class, in both parts, are left out: how far the default augmentation zooms and shifts was chosen on
those.
What was measured is kept in `results/fashion_mnist_accuracy.json`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks._accuracy import arguments, compare
from benchmarks.fashion_mnist import export

TRAIN, TEST = 100, 200
"""Pictures of a class."""


def main() -> None:
    args = arguments(str(__doc__)).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        export(root, "train", "train", TRAIN, skip=TRAIN)
        export(root, "val", "t10k", TEST, skip=TEST)
        compare("fashion_mnist_accuracy", {"Fashion-MNIST, other pictures": lambda: root}, args, size=64)


if __name__ == "__main__":
    main()
