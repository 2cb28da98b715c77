"""The certificate: the same pictures through PyTorch and through the exported file."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession  # type: ignore[import-untyped]

from snaptune.answers import Probabilities
from snaptune.data.dataset import Ints
from snaptune.data.prepared import Progress, silent
from snaptune.errors import ExportError
from snaptune.evaluation.comparison import paired_difference
from snaptune.evaluation.intervals import Estimate
from snaptune.export.latency import Latency
from snaptune.export.metadata import Metadata
from snaptune.export.pictures import NamedPicture
from snaptune.export.runtime import answer, file_metadata, open_session
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import write_json

ALLOWED_DIFFERENCE = 1e-3
"""Largest difference of a probability that a file with 32-bit weights may show."""

SHOWN = 5
CHUNK = 16
_LIBRARIES = ("snaptune", "torch", "timm", "onnx", "onnxscript", "onnxruntime", "numpy", "pillow")


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
class Accuracy:
    """Share of labelled pictures that each gets right; `drop` is what exporting costs, paired by picture."""

    pytorch: float
    exported: float
    drop: Estimate


@dataclass(frozen=True)
class Certificate:
    """How far PyTorch and an exported file lie apart, and on what; differences are of probabilities.

    With 32-bit weights every answer must be PyTorch's. Smaller ones may change answers, but accuracy
    may drop by `allowed_drop` at most; that is None for 32 bits.
    """

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
    weights: str = "fp32"
    accuracy: Accuracy | None = None
    allowed_drop: float | None = None
    latency_ms: Latency | None = None
    notes: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises `ExportError` where answers differ, or accuracy drops, by more than is allowed."""
        if self.allowed_drop is None:
            self._check_answers()
        else:
            self._check_accuracy(self.allowed_drop)

    def _check_accuracy(self, allowed: float) -> None:
        if self.accuracy is None:
            raise ExportError(
                f"'{self.file}': {self.weights} weights are judged by accuracy, and no picture has a label. "
                "Give labelled pictures, or use --weights fp32."
            )
        drop = self.accuracy.drop
        if drop.value > allowed:
            raise ExportError(
                f"{self.weights} weights cost {_points(drop)} points of accuracy; at most {100 * allowed:g} "
                "are allowed. Allow more with --max-drop, or write the file nevertheless with --force."
            )

    def _check_answers(self) -> None:
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
        """For the terminal: one line, and one for each note."""
        parts = [
            f"{self.pictures} pictures through PyTorch and {Path(self.file).name} "
            f"({self.weights}, {self.file_bytes / 1e6:.1f} MB): {self.equal_top1:.2%} the same label, "
            f"largest difference of a probability {self.largest_difference:.1e}"
        ]
        if self.allowed_drop is None:
            parts[0] += f" (allowed {self.allowed_difference:g})"
        elif self.accuracy:
            parts.append(
                f"{_points(self.accuracy.drop)} points of accuracy lost (allowed {100 * self.allowed_drop:g})"
            )
        if self.latency_ms:
            parts.append(str(self.latency_ms))
        return "\n".join(["; ".join(parts), *self.notes])

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


def certify(
    classifier: TorchClassifier,
    onnx_path: Path,
    pictures: Sequence[NamedPicture],
    progress: Progress = silent,
) -> Certificate:
    """Compare the two on every picture: Pillow and PyTorch here, the raw pixels through the file there."""
    if not pictures:
        raise ExportError(f"No pictures to compare '{onnx_path}' with PyTorch on. Give at least one.")
    session = open_session(onnx_path)
    order = _order(file_metadata(session, onnx_path), classifier.class_names)
    answers = _answers(classifier, session, pictures)
    rows, means = [], []
    counted = progress(range(len(pictures)), len(pictures), "Comparing with PyTorch")
    for _, (name, expected, given) in zip(counted, answers, strict=False):
        rows.append(_difference(name, expected, given[order], classifier.class_names))
        means.append(float(_apart(expected, given[order]).mean()))
    return _certificate(onnx_path, rows, means, _accuracy(pictures, rows))


def _answers(
    classifier: TorchClassifier, session: InferenceSession, pictures: Sequence[NamedPicture]
) -> Iterator[tuple[str, Probabilities, Probabilities]]:
    """Name, PyTorch's answer, the file's answer.

    In chunks: two libraries that take turns picture by picture wait for each other's threads.
    """
    for start in range(0, len(pictures), CHUNK):
        chunk = pictures[start : start + CHUNK]
        images = [picture.open() for picture in chunk]
        expected = classifier.probabilities(
            np.stack([classifier.preprocess.pixels(image) for image in images])
        )
        for picture, image, row in zip(chunk, images, expected, strict=True):
            yield picture.name, row, answer(session, np.asarray(image))


def _order(metadata: Metadata, class_names: tuple[str, ...]) -> Ints:
    """Where the file has each of the classifier's classes, so that it is compared by name."""
    if sorted(metadata.class_names) != sorted(class_names):
        raise ExportError(
            f"The exported file knows {len(metadata.class_names)} classes "
            f"({', '.join(metadata.class_names[:SHOWN])} …), the run {len(class_names)} "
            f"({', '.join(class_names[:SHOWN])} …). Export the run again."
        )
    return np.array([metadata.class_names.index(name) for name in class_names])


def _difference(
    name: str, expected: Probabilities, given: Probabilities, classes: tuple[str, ...]
) -> Difference:
    here, there = (classes[int(answer.argmax())] for answer in (expected, given))
    return Difference(name, float(_apart(expected, given).max()), here, there)


def _accuracy(pictures: Sequence[NamedPicture], rows: list[Difference]) -> Accuracy | None:
    pairs = [(picture, row) for picture, row in zip(pictures, rows, strict=True) if picture.label]
    if not pairs:
        return None
    here = np.array([row.pytorch == picture.label for picture, row in pairs])
    there = np.array([row.exported == picture.label for picture, row in pairs])
    groups = np.unique([picture.group for picture, _ in pairs], return_inverse=True)[1].astype(np.int64)
    return Accuracy(float(here.mean()), float(there.mean()), paired_difference(there, here, groups))


def _points(drop: Estimate) -> str:
    """A drop in percentage points with its interval."""
    value, low, high = (f"{100 * share:.1f}" for share in (drop.value, drop.low, drop.high))
    return f"{value} (95 % interval {low} to {high}, n = {drop.n})"


def _apart(expected: Probabilities, given: Probabilities) -> Probabilities:
    difference = np.abs(expected - given)
    return np.where(np.isnan(difference), np.float32(1), difference)


def _certificate(
    path: Path, rows: list[Difference], means: list[float], accuracy: Accuracy | None
) -> Certificate:
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
        accuracy=accuracy,
        versions={name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()},
    )
