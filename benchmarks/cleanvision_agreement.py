"""Dark, blurred, blank and oddly sized pictures: what `check` finds against what cleanvision finds.

python -m benchmarks cleanvision_agreement [FASHION_MNIST]

On the sample, on a folder of Fashion-MNIST where one is given (`python -m benchmarks fashion_mnist`), and on
pieces of the photographs inside scikit-image and scikit-learn, of which a sixth each are spoilt on purpose.
cleanvision decodes every picture again, once for itself; it gets an environment of its own under `.peers/`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks._environments import python_of
from benchmarks.photographs import photographs
from snaptune.data.dataset import ImageDataset
from snaptune.data.health import check
from snaptune.data.readers import open_dataset

PIECES, SIDE = 24, (320, 240)
PEER = Path(__file__).parent / "peers" / "cleanvision_findings.py"
Found = dict[str, set[str]]


def blank(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size, image.getpixel((0, 0)))


def odd(image: Image.Image) -> Image.Image:
    return image.crop((0, 0, image.width, image.height // 8))


SPOILT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "dark": lambda image: image.point(lambda value: value * 0.12),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(6)),
    "blank": blank,
    "odd": odd,
}


def export_photographs(root: Path) -> Found:
    """Pieces of photographs as `root/PHOTOGRAPH/number.png`; which of them are spoilt, and how."""
    draw = np.random.default_rng(0)
    planted: Found = {kind: set() for kind in SPOILT}
    for path in photographs():
        photo = Image.open(path).convert("RGB")
        (root / path.stem).mkdir(parents=True)
        for number in range(PIECES):
            size = tuple(round(side * draw.uniform(0.4, 0.7)) for side in photo.size)
            left, top = (
                int(draw.integers(whole - part + 1)) for whole, part in zip(photo.size, size, strict=True)
            )
            piece = photo.crop((left, top, left + size[0], top + size[1])).resize(SIDE)
            kind = (*SPOILT, "", "")[number % 6]
            name = f"{path.stem}/{number:02d}.png"
            if kind:
                planted[kind].add(name)
                piece = SPOILT[kind](piece)
            piece.save(root / name)
    return planted


def export(dataset: ImageDataset, root: Path) -> None:
    """The files of a data set below a folder, under their own names."""
    for index, name in enumerate(dataset.ids):
        place = root / str(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(dataset.source.read(index))


def ours(root: Path) -> Found:
    dataset = open_dataset(root)
    found = check(dataset)
    return {
        kind: {str(dataset.ids[index]) for item in found.of_kind(kind) for index in item.samples}
        for kind in SPOILT
    }


def theirs(root: Path) -> Found:
    command = [str(python_of("cleanvision")), str(PEER), str(root)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {kind: set(names) for kind, names in json.loads(answer.splitlines()[-1]).items()}


def compare(title: str, root: Path, planted: Found | None = None) -> None:
    mine, other = ours(root), theirs(root)
    print(f"{title}: {len(open_dataset(root)):,} pictures")
    print(f"  {'':<10}{'planted':>9}{'ours':>7}{'theirs':>8}{'both':>6}   planted found by ours, by theirs")
    for kind in SPOILT:
        counts = f"{len(mine[kind]):>7}{len(other[kind]):>8}{len(mine[kind] & other[kind]):>6}"
        wanted = planted[kind] if planted else set()
        share = f"   {len(mine[kind] & wanted)}, {len(other[kind] & wanted)}" if planted else ""
        print(f"  {kind:<10}{len(wanted) if planted else '':>9}{counts}{share}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        export(open_dataset("sample:hand-emoji"), root / "sample")
        compare("hand-emoji", root / "sample")
        planted = export_photographs(root / "photographs")
        compare("photographs", root / "photographs", planted)
        if len(sys.argv) > 1:
            compare("Fashion-MNIST", Path(sys.argv[1]).resolve())


if __name__ == "__main__":
    main()
