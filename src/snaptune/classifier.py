"""What answers: a finished run, or a file exported from one. Imports no torch by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from snaptune.answers import Picture, Prediction, Probabilities, open_picture, prediction, thumbnail
from snaptune.errors import ModelError
from snaptune.evaluation.calibration import Calibration
from snaptune.images.preprocess import Pixels, Preprocess
from snaptune.run_folder import exported_model

if TYPE_CHECKING:
    import torch


class Classifier(ABC):
    """Names what is on pictures; opened by `load` from a run or from a file exported from one."""

    preprocess: Preprocess
    class_names: tuple[str, ...]
    calibration: Calibration
    may_abstain: bool

    @property
    def on_processor(self) -> bool:
        """Whether it computes on the cores that decode pictures, too."""
        return True

    @classmethod
    def load(
        cls, source: str | PathLike[str], *, may_abstain: bool = False, device: str | torch.device = "cpu"
    ) -> Classifier:
        """A run, a project folder (its newest run), or an exported file or the folder of one.

        A run answers through PyTorch on `device`, an exported file through its own runtime on the processor,
        for which no PyTorch need be installed. With `may_abstain` the label is 'unknown' where the threshold
        asks for more confidence; raises `RunError` or `ExportError` where there is none.
        """
        if exported := exported_model(Path(source)):
            from snaptune.export.runtime import OnnxClassifier

            return OnnxClassifier.load(exported, may_abstain=may_abstain)
        try:
            from snaptune.prediction import TorchClassifier
        except ModuleNotFoundError as error:
            raise ModelError(
                f"'{Path(source)}' is a run, which answers through PyTorch, and {error.name} is not "
                "installed. Install it: pip install torch timm; or give an exported file: "
                "RUN/export/model.onnx"
            ) from error
        return TorchClassifier.load(source, may_abstain=may_abstain, device=device)

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

    @abstractmethod
    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Prepared uint8 [n, size, size, 3] to calibrated probabilities [n, classes]."""

    @abstractmethod
    def takes_any_size(self) -> bool:
        """Whether prepared pictures may have another height and width than the recipe's."""

    def _prediction(self, name: str, probabilities: Probabilities, top: int) -> Prediction:
        threshold = self.calibration.threshold if self.may_abstain else None
        return prediction(name, probabilities, self.class_names, threshold=threshold, top=top)
