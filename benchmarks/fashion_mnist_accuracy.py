"""A subset of Fashion-MNIST at 64 pixels: is the default recipe, chosen on drawn hands, good there too?

    python -m benchmarks.fashion_mnist_accuracy --fastai .fastai/bin/python

1000 pictures to train and 2000 to test, the first of each class in the Debian package
`dataset-fashion-mnist`. Prints a table; every run goes to `benchmarks/results/fashion_mnist_accuracy.json`.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from benchmarks.fashion_mnist import export
from benchmarks.peers import arguments, compare


def main() -> None:
    parser = arguments(str(__doc__), seconds=45)
    parser.add_argument("--train", type=int, default=100, help="pictures a class to train")
    parser.add_argument("--test", type=int, default=200, help="pictures a class to test")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        export(root, "train", "train", args.train)
        export(root, "test", "t10k", args.test)
        with (root / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["file_name", "label", "group"])
            for path in sorted(root.glob("*/*/*.png")):
                part, label, _ = path.relative_to(root).parts
                rows.writerow([path.relative_to(root).as_posix(), label, part])
        compare("fashion_mnist_accuracy", root, 64, args)


if __name__ == "__main__":
    main()
