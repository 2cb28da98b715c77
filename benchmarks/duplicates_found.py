"""Planted duplicates that are found, and pairs found that were not planted.

python -m benchmarks.duplicates_found DATA [pictures] [seed]

Every fourth copy is exact; the others have another size (half to one and a half), filter, format and quality.
Pairs among the originals alone are shown apart: a data set may hold duplicates of its own.
"""

from __future__ import annotations

import io
import sys
import time

import numpy as np
from PIL import Image

from snaptune.data.duplicates import near_pairs, sides_of, thumb
from snaptune.data.readers import open_dataset
from snaptune.images.load import load_image, quiet_decoder


def copy_of(image: Image.Image, scale: float, rng: np.random.Generator) -> Image.Image:
    """The picture at another size, through a file of another format and quality."""
    size = (round(image.width * scale), round(image.height * scale))
    resampling = rng.choice([Image.Resampling.LANCZOS, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
    file = io.BytesIO()
    resized = image.resize(size, Image.Resampling(int(resampling)))
    resized.save(file, str(rng.choice(["JPEG", "WEBP", "PNG"])), quality=int(rng.integers(60, 96)))
    return load_image(file.getvalue(), "copy")


def main() -> None:
    dataset = open_dataset(sys.argv[1])
    count = min(len(dataset), int(sys.argv[2]) if len(sys.argv) > 2 else len(dataset))
    rng = np.random.default_rng(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    scales = np.where(np.arange(count) % 4, rng.uniform(0.5, 1.5, count), 1.0)
    thumbs = np.empty((2 * count, 32, 32, 3), np.uint8)
    sides = np.empty((2 * count, 2), np.uint8)
    with quiet_decoder():
        for place, index in enumerate(rng.permutation(len(dataset))[:count]):
            image = load_image(dataset.source.read(int(index)), str(dataset.ids[index]))
            copy = copy_of(image, scales[place], rng) if place % 4 else image
            for row, picture in ((place, image), (count + place, copy)):
                thumbs[row], sides[row] = thumb(picture), sides_of(picture.size)
    start = time.process_time()
    pairs = near_pairs(thumbs, sides)
    seconds = time.process_time() - start
    report(dataset.name, count, scales, pairs, seconds)


def report(name: str, count: int, scales: np.ndarray, pairs: np.ndarray, seconds: float) -> None:
    planted = pairs[pairs[:, 0] + count == pairs[:, 1]][:, 0]
    found = np.zeros(count, bool)
    found[planted] = True
    own = (pairs < count).all(axis=1)
    known = {tuple(pair) for pair in pairs[own].tolist()}
    others = pairs[(pairs[:, 0] % count != pairs[:, 1] % count) & ~own]
    follow = sum(tuple(sorted(pair)) in known for pair in (others % count).tolist())
    print(f"{name}: {count:,} originals, {count:,} copies, {2 * seconds / count * 5e5:.0f} µs a picture")
    for low, high in ((1.0, 1.0), (0.5, 0.75), (0.75, 1.0), (1.0, 1.5), (0.5, 1.5)):
        chosen = (
            (scales == 1) & (np.arange(count) % 4 == 0) if low == high else (scales >= low) & (scales < high)
        )
        title = "exact" if low == high else f"at {low} to {high} of the size"
        print(f"  {title:<28}{found[chosen].mean():8.2%} of {chosen.sum():,}")
    print(f"  found in all                {found.mean():8.2%} (at least 99 %)")
    false = len(others) - follow
    share = false / max(1, len(pairs))
    print(f"  false pairs                 {false:,}, {share:.2%} of all found (at most 1 %)")
    print(f"  pairs among the originals   {int(own.sum()):,}, and {follow:,} with or between their copies")


if __name__ == "__main__":
    main()
