"""The certificate: the same pictures through PyTorch and through the exported file."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from snaptune.data.dataset import ImageDataset, Ints
from snaptune.data.prepared import Progress, silent
from snaptune.errors import ExportError
from snaptune.export.runtime import answer, open_session
from snaptune.images.load import load_image
from snaptune.prediction import Classifier
from snaptune.run_folder import write_json

ALLOWED_DIFFERENCE = 1e-3
"""Largest difference of a probability that a file with 32-bit weights may show."""

SHOWN = 5
_LIBRARIES = ("snaptune", "torch", "timm", "onnx", "onnxscript", "onnxruntime", "numpy", "pillow")


@dataclass(frozen=True)
class NamedPicture:
    """A picture that is decoded only when its turn comes; `open` gives it upright, RGB, at its own size."""

    name: str
    open: Callable[[], Image.Image]


@dataclass(frozen=True)
class Difference:
    """How far apart the two answers for one picture lie: the largest |difference| over its classes.

    It is 1, the largest that probabilities can have, where an answer is not a number.
    """

    name: str
    difference: float
    pytorch: str
    exported: str


@dataclass(frozen=True)
class Certificate:
    """How far PyTorch and an exported file lie apart, and on what; differences are of probabilities."""

    file: str
    file_bytes: int
    sha256: str
    pictures: int
    equal_top1: float
    largest_difference: float
    mean_difference: float
    allowed_difference: float
    most_different: tuple[Difference, ...]
    other_label: tuple[Difference, ...]
    versions: dict[str, str]

    def check(self) -> None:
        """Raises `ExportError` where a label differs or a probability differs by more than allowed."""
        problems = []
        if self.other_label:
            listed = ", ".join(f"'{d.name}' ({d.pytorch} → {d.exported})" for d in self.other_label[:SHOWN])
            count = f"{len(self.other_label)} of {self.pictures}"
            problems.append(f"{count} pictures get another label: {listed}.")
        if self.largest_difference > self.allowed_difference:
            worst = self.most_different[0]
            problems.append(
                f"A probability differs by {self.largest_difference:.2g} (at '{worst.name}'); "
                f"at most {self.allowed_difference:g} is allowed."
            )
        if problems:
            raise ExportError(
                f"'{self.file}' does not answer as PyTorch does. {' '.join(problems)} "
                "Do not ship this file; export again after 'pip install -U onnx onnxscript onnxruntime', "
                "and report the model's name if it stays so."
            )

    def summary(self) -> str:
        """One line for the terminal."""
        return (
            f"{self.pictures} pictures through PyTorch and {Path(self.file).name} "
            f"({self.file_bytes / 1e6:.1f} MB): {self.equal_top1:.2%} the same label, "
            f"largest difference of a probability {self.largest_difference:.1e} "
            f"(allowed {self.allowed_difference:g})"
        )

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


def certify(
    classifier: Classifier, onnx_path: Path, pictures: Sequence[NamedPicture], progress: Progress = silent
) -> Certificate:
    """Compare the two on every picture: Pillow and PyTorch here, the raw pixels through the file there."""
    if not pictures:
        raise ExportError(f"No pictures to compare '{onnx_path}' with PyTorch on. Give at least one.")
    session = open_session(onnx_path)
    rows, means = [], []
    for index in progress(range(len(pictures)), len(pictures), "Comparing with PyTorch"):
        image = pictures[index].open()
        expected = classifier.probabilities(classifier.preprocess.pixels(image)[np.newaxis])[0]
        given = answer(session, np.asarray(image))
        rows.append(_difference(pictures[index].name, expected, given, classifier.class_names))
        means.append(float(_apart(expected, given).mean()))
    return _certificate(onnx_path, rows, means)


def pictures_of(dataset: ImageDataset, indices: Ints) -> list[NamedPicture]:
    """Samples of a data set, at their own size."""

    def opener(index: int) -> Callable[[], Image.Image]:
        return lambda: load_image(dataset.source.read(index), str(dataset.ids[index]))

    return [NamedPicture(str(dataset.ids[index]), opener(int(index))) for index in indices]


def _difference(
    name: str, expected: npt.NDArray[np.float32], given: npt.NDArray[np.float32], classes: tuple[str, ...]
) -> Difference:
    if given.shape != expected.shape:
        raise ExportError(
            f"'{name}': the exported file gives probabilities of shape {list(given.shape)}, "
            f"PyTorch {list(expected.shape)}."
        )
    here, there = (classes[int(answer.argmax())] for answer in (expected, given))
    return Difference(name, float(_apart(expected, given).max()), here, there)


def _apart(expected: npt.NDArray[np.float32], given: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    difference = np.abs(expected - given)
    return np.where(np.isnan(difference), np.float32(1), difference)


def _certificate(path: Path, rows: list[Difference], means: list[float]) -> Certificate:
    worst = sorted(rows, key=lambda row: -row.difference)
    other = tuple(row for row in worst if row.pytorch != row.exported)
    return Certificate(
        file=path.name,
        file_bytes=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        pictures=len(rows),
        equal_top1=1 - len(other) / len(rows),
        largest_difference=worst[0].difference,
        mean_difference=float(np.mean(means)),
        allowed_difference=ALLOWED_DIFFERENCE,
        most_different=tuple(worst[:SHOWN]),
        other_label=other,
        versions={name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()},
    )
