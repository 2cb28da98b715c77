"""A finished run, answering."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from snaptune.answers import UNKNOWN, Picture, Prediction, Probabilities, open_picture, prediction, thumbnail
from snaptune.errors import RunError
from snaptune.evaluation.calibration import Calibration
from snaptune.images.preprocess import Pixels, Preprocess
from snaptune.models.build import load_model, normalise
from snaptune.models.heat_map import HeatMaps, heat_maps
from snaptune.run_folder import Run
from snaptune.training.numerics import Numerics

__all__ = ["UNKNOWN", "Classifier", "Picture", "Prediction", "Probabilities", "softmax"]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained model with the recipe, the class names and the calibration of its run."""

    model: nn.Module
    preprocess: Preprocess
    class_names: tuple[str, ...]
    calibration: Calibration = field(default_factory=Calibration)
    may_abstain: bool = False

    @classmethod
    def load(
        cls, run: str | Path | Run, *, may_abstain: bool = False, device: str | torch.device = "cpu"
    ) -> Classifier:
        """The kept weights of a run on a device, in evaluation mode. Runs no code from the run.

        With `may_abstain` the label is 'unknown' where the run's threshold asks for more confidence;
        raises `RunError` for a run without one.
        """
        run = run if isinstance(run, Run) else Run.open(run)
        class_names = run.class_names()
        model = load_model(run.config().model, len(class_names), run.weights(), str(run.model_file))
        model = Numerics(torch.device(device)).placed(model.eval())
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
        opened = [open_picture(picture, number) for number, picture in enumerate(pictures)]
        if not opened:
            return []
        pixels = np.stack([self.preprocess.pixels(image) for _, image in opened])
        answers = self.answers([name for name, _ in opened], pixels, top)
        return [
            replace(answer, thumbnail=thumbnail(image))
            for answer, (_, image) in zip(answers, opened, strict=True)
        ]

    def answers(self, names: Sequence[str], pixels: Pixels, top: int = 5) -> list[Prediction]:
        """The answer for each row of prepared uint8 [n, height, width, 3], under its name."""
        rows = self.probabilities(pixels)
        return [self._prediction(name, row, top) for name, row in zip(names, rows, strict=True)]

    @torch.no_grad()
    def logits(self, pixels: Pixels, batch_size: int = 64) -> npt.NDArray[np.float32]:
        """Prepared uint8 [n, size, size, 3] to logits [n, classes]."""
        answers = [
            self.model(self._input(chunk)).float().cpu().numpy() for chunk in _chunks(pixels, batch_size)
        ]
        return np.concatenate(answers)

    def probabilities(self, pixels: Pixels, batch_size: int = 64) -> Probabilities:
        """Prepared uint8 [n, size, size, 3] to calibrated probabilities [n, classes]."""
        return softmax(self.logits(pixels, batch_size) / np.float32(self.calibration.temperature))

    def heat_maps(self, pixels: Pixels, classes: npt.NDArray[np.int64]) -> HeatMaps | None:
        """What on each prepared picture [n, size, size, 3] speaks for its class; see `heat_maps`."""
        return heat_maps(self.model, self._input(pixels), torch.from_numpy(classes).to(self.device))

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.model.parameters()).device

    def _input(self, pixels: Pixels) -> torch.Tensor:
        return normalise(torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2), self.preprocess)

    def _prediction(self, name: str, probabilities: Probabilities, top: int) -> Prediction:
        threshold = self.calibration.threshold if self.may_abstain else None
        return prediction(name, probabilities, self.class_names, threshold=threshold, top=top)


def softmax(logits: npt.NDArray[np.float32]) -> Probabilities:
    """Rows of logits to rows of probabilities."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Probabilities = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def _chunks(pixels: Pixels, size: int) -> Iterator[Pixels]:
    for start in range(0, len(pixels), size):
        yield np.ascontiguousarray(pixels[start : start + size])
