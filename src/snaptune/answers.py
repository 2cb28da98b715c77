"""What is asked and what is answered, whichever runtime lies between. Imports no torch."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from snaptune.errors import ImageError
from snaptune.images.load import load_image

Probabilities = npt.NDArray[np.float32]
Picture = str | Path | bytes | Image.Image | npt.NDArray[np.uint8]

UNKNOWN = "unknown"
"""The label of a picture that the model is not sure enough about."""


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture: the top class (or 'unknown'), its probability, and the leading classes.

    `confidence` is the top class's also where the answer is 'unknown'.
    """

    name: str
    label: str
    confidence: float
    top: tuple[tuple[str, float], ...]
    thumbnail: bytes = field(default=b"", repr=False, compare=False)
    """A JPEG of at most 160 px for notebooks; only `predict` makes one."""

    def __str__(self) -> str:
        return f"{self.name}: {self.label} ({self.confidence:.2%})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture, the answer and the leading classes."""
        picture = base64.b64encode(self.thumbnail).decode()
        shown = f'<img alt="" src="data:image/jpeg;base64,{picture}">' if picture else ""
        rows = "".join(f"<tr><td>{escape(label)}</td><td>{share:.2%}</td></tr>" for label, share in self.top)
        return (
            f"<figure>{shown}<figcaption>{escape(self.name)}: <b>{escape(self.label)}</b> "
            f"({self.confidence:.2%})</figcaption><table>{rows}</table></figure>"
        )


def prediction(
    name: str,
    probabilities: Probabilities,
    class_names: tuple[str, ...],
    *,
    threshold: float | None,
    top: int,
) -> Prediction:
    """The answer from probabilities [classes]; 'unknown' where a `threshold` is given and not exceeded."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    leading = tuple((class_names[index], float(probabilities[index])) for index in order)
    label, confidence = leading[0]
    unsure = threshold is not None and confidence <= threshold
    return Prediction(name, UNKNOWN if unsure else label, confidence, leading)


def open_picture(picture: Picture, number: int) -> tuple[str, Image.Image]:
    """A name for the answer, and the upright RGB picture; `number` names what has no path."""
    if isinstance(picture, str | Path):
        try:
            return str(picture), load_image(Path(picture).read_bytes(), str(picture))
        except OSError as error:
            raise ImageError(f"'{picture}' cannot be read: {error.strerror or error}.") from error
    name = f"picture {number}"
    if isinstance(picture, bytes):
        return name, load_image(picture, name)
    if isinstance(picture, Image.Image):
        return name, picture.convert("RGB")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ImageError(
            f"{name} must be uint8 [height, width, 3], not {picture.dtype} {list(picture.shape)}."
        )
    return name, Image.fromarray(picture)


def thumbnail(image: Image.Image) -> bytes:
    """A JPEG of at most 160 px."""
    small, data = image.copy(), BytesIO()
    small.thumbnail((160, 160))
    small.save(data, "JPEG")
    return data.getvalue()
