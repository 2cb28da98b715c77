"""Photographs: is the default recipe, chosen on drawn hands, good there too?

    python -m benchmarks photographs

A small experiment with the 18 photographs that lie inside scikit-image and scikit-learn. A class is a
photograph; a sample is a square of it. Each photograph is cut into a board of 4 by 4 tiles: the squares to
train on lie in its dark fields, those to test on in its light ones, so that no pixel is in both, and the test
squares are made lighter or darker and less sharp. What is asked is to know surfaces, light and colours again,
not things of one kind: a difference found here speaks about photographs' statistics, and is weak evidence
for data sets of things. What was measured is kept in `results/photographs.json`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import skimage.data
import sklearn.datasets
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks._accuracy import arguments, compare

FROM_SKIMAGE = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png"),
    *("coffee.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png"),
    *("moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)
FROM_SKLEARN = ("china.jpg", "flower.jpg")
TILES = 4
SQUARES = 4
"""Squares from each tile: 32 of each photograph to train, 32 to test."""


def photographs() -> list[Path]:
    skimage_folder = Path(skimage.data.__file__).parent
    sklearn_folder = Path(sklearn.datasets.__file__).parent / "images"
    return [
        *(skimage_folder / name for name in FROM_SKIMAGE),
        *(sklearn_folder / name for name in FROM_SKLEARN),
    ]


def squares(photo: Image.Image, draw: np.random.Generator) -> list[tuple[str, Image.Image]]:
    """(part, square) from every tile; a square's side is 70 to 100 % of the tile's shorter one."""
    width, height = photo.width // TILES, photo.height // TILES
    found = []
    for place in range(TILES * TILES):
        row, column = divmod(place, TILES)
        part = ("train", "val")[(row + column) % 2]
        for _ in range(SQUARES):
            side = round(min(width, height) * draw.uniform(0.7, 1.0))
            left = column * width + int(draw.integers(width - side + 1))
            top = row * height + int(draw.integers(height - side + 1))
            square = photo.crop((left, top, left + side, top + side))
            found.append((part, changed(square, draw) if part == "val" else square))
    return found


def changed(square: Image.Image, draw: np.random.Generator) -> Image.Image:
    """In other light, and less sharp."""
    lit = ImageEnhance.Brightness(square).enhance(draw.uniform(0.6, 1.4))
    return lit.filter(ImageFilter.GaussianBlur(draw.uniform(0.0, 1.5)))


def export(root: Path) -> None:
    """Write the squares as PNG files, `train/PHOTOGRAPH/…` and `val/PHOTOGRAPH/…`."""
    draw = np.random.default_rng(0)
    for path in photographs():
        photo = Image.open(path).convert("RGB")
        for number, (part, square) in enumerate(squares(photo, draw)):
            place = root / part / path.stem
            place.mkdir(parents=True, exist_ok=True)
            square.save(place / f"{number:03d}.png")


def main() -> None:
    args = arguments(str(__doc__)).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        export(root)
        compare("photographs", {"other tiles of 18 photographs": lambda: root}, args)


if __name__ == "__main__":
    main()
