"""The one recipe that turns a picture into a model's input.

Training, evaluation, prediction, the exported graph and the browser page all follow the same
`Preprocess` value; it is saved in the run.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from snaptune.errors import ConfigError, ImageError, RunError

MIN_SIZE, MAX_SIZE = 8, 2048
MAX_ASPECT = 16

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Preprocess:
    """Longest side to `size` with antialiasing, shorter side padded with its edge pixels, then normalised.

    `mean` and `std` are the model's own statistics, for channel values between 0 and 1.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise ConfigError(f"image size {self.size} must be between {MIN_SIZE} and {MAX_SIZE} pixels.")
        numbers = (*self.mean, *self.std)
        if (
            len(self.mean) != 3
            or len(self.std) != 3
            or not all(map(math.isfinite, numbers))
            or min(self.std) <= 0
        ):
            raise ConfigError(f"mean {self.mean} and std {self.std} must each be three numbers, std above 0.")

    def fitted_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after scaling the longest side to `size`; halves are rounded up, at least 1."""
        longest = max(width, height)
        new_width = (2 * width * self.size + longest) // (2 * longest)
        new_height = (2 * height * self.size + longest) // (2 * longest)
        return max(1, new_width), max(1, new_height)

    def resized(self, image: Image.Image) -> Image.Image:
        """An RGB picture with its longest side at `size`; bilinear, antialiased when it shrinks.

        Rows first, then columns, each rounded to bytes: left to itself, Pillow's order depends on
        the picture's shape and on Pillow's version, and the answer would with it.
        """
        width, height = self.fitted_size(*image.size)
        fitted_rows = image.resize((image.width, height), Image.Resampling.BILINEAR)
        return fitted_rows.resize((width, height), Image.Resampling.BILINEAR)

    def padded(self, image: Image.Image) -> Pixels:
        """A resized picture as uint8 [size, size, 3], edge pixels repeated at both ends.

        A picture that is square already comes read-only.
        """
        pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, 3)
        height, width = pixels.shape[:2]
        if height == width == self.size:
            return pixels
        top, left = (self.size - height) // 2, (self.size - width) // 2
        bottom, right = top + height, left + width
        square = np.empty((self.size, self.size, 3), np.uint8)
        square[top:bottom, left:right] = pixels
        square[:top, left:right] = pixels[0]
        square[bottom:, left:right] = pixels[-1]
        square[:, :left] = square[:, left : left + 1]
        square[:, right:] = square[:, right - 1 : right]
        return square

    def pixels(self, image: Image.Image) -> Pixels:
        """The deterministic prefix: an RGB picture of any size to uint8 [size, size, 3]."""
        return self.padded(self.resized(image))

    def short_side(self, image: Image.Image) -> Pixels:
        """Another geometry, for prediction only (spec I1): shortest side to `size`, nothing padded."""
        shortest, longest = sorted(image.size)
        if longest > MAX_ASPECT * shortest:
            raise ImageError(
                f"{image.width}x{image.height} is longer than {MAX_ASPECT} times its short side; "
                "leave out --fit short-side."
            )
        width, height = ((2 * side * self.size + shortest) // (2 * shortest) for side in image.size)
        return np.array(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Preprocess:
        """Read what `to_json` wrote; `source` names the file in the `RunError` for anything else."""
        try:
            value = json.loads(text)
            mean, std = (tuple(float(x) for x in value[key]) for key in ("mean", "std"))
            return cls(size=int(value["size"]), mean=mean, std=std)  # type: ignore[arg-type]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError, ConfigError) as error:
            raise RunError(f"'{source}' is not a preprocessing recipe: {error}.") from error
