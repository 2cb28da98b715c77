"""A finished run, answering."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from io import BytesIO
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from snaptune.errors import ImageError, RunError
from snaptune.evaluation.calibration import Calibration
from snaptune.images.load import load_image
from snaptune.images.preprocess import Pixels, Preprocess
from snaptune.models.build import load_model, normalise
from snaptune.run_folder import Run

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
    """A JPEG of at most 160 px for notebooks; only `Classifier.predict` makes one."""

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


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained model with the recipe, the class names and the calibration of its run."""

    model: nn.Module
    preprocess: Preprocess
    class_names: tuple[str, ...]
    calibration: Calibration = field(default_factory=Calibration)
    may_abstain: bool = False

    @classmethod
    def load(cls, run: str | Path | Run, *, may_abstain: bool = False) -> Classifier:
        """The kept weights of a run, on the CPU, in evaluation mode. Runs no code from the run.

        With `may_abstain` the label is 'unknown' where the run's threshold asks for more confidence;
        raises `RunError` for a run without one.
        """
        run = run if isinstance(run, Run) else Run.open(run)
        class_names = run.class_names()
        model = load_model(run.config().model, len(class_names), run.weights(), str(run.model_file))
        model.eval().to(memory_format=torch.channels_last)
        calibration = run.calibration()
        if may_abstain and calibration.threshold is None:
            raise RunError(
                f"'{run.path}' has no threshold for 'unknown'. Find one with: "
                f"snaptune evaluate {run.path}. If that was done, allow more wrong answers than "
                f"{calibration.max_wrong:.1%} or add pictures."
            )
        return cls(model, run.preprocess(), class_names, calibration, may_abstain)

    @overload
    def predict(self, pictures: Picture, top: int = 5) -> Prediction: ...

    @overload
    def predict(self, pictures: list[Picture], top: int = 5) -> list[Prediction]: ...

    def predict(self, pictures: Picture | list[Picture], top: int = 5) -> Prediction | list[Prediction]:
        """The answer for a path, bytes, a PIL image or a uint8 array [h, w, 3]; for a list, a list."""
        if isinstance(pictures, list):
            return self._predict(pictures, top)
        return self._predict([pictures], top)[0]

    def _predict(self, pictures: Sequence[Picture], top: int) -> list[Prediction]:
        opened = [_opened(picture, number) for number, picture in enumerate(pictures)]
        if not opened:
            return []
        pixels = np.stack([self.preprocess.pixels(image) for _, image in opened])
        answers = self.answers([name for name, _ in opened], pixels, top)
        return [
            replace(answer, thumbnail=_jpeg(image))
            for answer, (_, image) in zip(answers, opened, strict=True)
        ]

    def answers(self, names: Sequence[str], pixels: Pixels, top: int = 5) -> list[Prediction]:
        """The answer for each row of prepared uint8 [n, height, width, 3], under its name."""
        rows = self.probabilities(pixels)
        return [self._prediction(name, row, top) for name, row in zip(names, rows, strict=True)]

    @torch.no_grad()
    def logits(self, pixels: Pixels, batch_size: int = 64) -> npt.NDArray[np.float32]:
        """Prepared uint8 [n, size, size, 3] to logits [n, classes]."""
        answers = [self.model(self._input(chunk)).float().numpy() for chunk in _chunks(pixels, batch_size)]
        return np.concatenate(answers)

    def probabilities(self, pixels: Pixels, batch_size: int = 64) -> Probabilities:
        """Prepared uint8 [n, size, size, 3] to calibrated probabilities [n, classes]."""
        return softmax(self.logits(pixels, batch_size) / np.float32(self.calibration.temperature))

    def _input(self, pixels: Pixels) -> torch.Tensor:
        return normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2), self.preprocess)

    def _prediction(self, name: str, probabilities: Probabilities, top: int) -> Prediction:
        order = np.argsort(-probabilities, kind="stable")[:top]
        leading = tuple((self.class_names[index], float(probabilities[index])) for index in order)
        label, confidence = leading[0]
        threshold = self.calibration.threshold
        unsure = self.may_abstain and threshold is not None and confidence <= threshold
        return Prediction(name, UNKNOWN if unsure else label, confidence, leading)


def softmax(logits: npt.NDArray[np.float32]) -> Probabilities:
    """Rows of logits to rows of probabilities."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Probabilities = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def _chunks(pixels: Pixels, size: int) -> Iterator[Pixels]:
    for start in range(0, len(pixels), size):
        yield np.ascontiguousarray(pixels[start : start + size])


def _jpeg(image: Image.Image) -> bytes:
    small, data = image.copy(), BytesIO()
    small.thumbnail((160, 160))
    small.save(data, "JPEG")
    return data.getvalue()


def _opened(picture: Picture, number: int) -> tuple[str, Image.Image]:
    """A name for the answer, and the upright RGB picture."""
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
