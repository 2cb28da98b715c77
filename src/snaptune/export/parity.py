"""The certificate: the same pictures through PyTorch and through the exported file."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from snaptune.answers import Probabilities
from snaptune.data.dataset import Ints
from snaptune.data.prepared import Progress, silent
from snaptune.errors import ExportError
from snaptune.evaluation.comparison import paired_difference
from snaptune.export.certificate import (
    ALLOWED_DIFFERENCE,
    Accuracy,
    Certificate,
    Difference,
    Unverified,
)
from snaptune.export.metadata import Metadata
from snaptune.export.opened import Answer, files_of, open_exported
from snaptune.export.pictures import NamedPicture
from snaptune.prediction import TorchClassifier

SHOWN, CHUNK = 5, 16
_LIBRARIES = ("snaptune", "torch", "timm", "onnx", "onnxscript", "onnxruntime", "numpy", "pillow")


def certify(
    classifier: TorchClassifier,
    path: Path,
    pictures: Sequence[NamedPicture],
    progress: Progress = silent,
) -> Certificate:
    """Compare the two on every picture: Pillow and PyTorch here, the raw pixels through the file there."""
    if not pictures:
        raise ExportError(f"No pictures to compare '{path}' with PyTorch on. Give at least one.")
    opened = open_exported(path)
    order = _order(opened.metadata, classifier.class_names)
    answers = _answers(classifier, opened.answer, pictures)
    rows, means = [], []
    counted = progress(range(len(pictures)), len(pictures), "Comparing with PyTorch")
    for _, (name, expected, given) in zip(counted, answers, strict=False):
        rows.append(_difference(name, expected, given[order], classifier.class_names))
        means.append(float(_apart(expected, given[order]).mean()))
    certificate = _certificate(path, rows, means, _accuracy(pictures, rows), opened.library)
    return replace(certificate, temperature=classifier.calibration.temperature)


def unverified(classifier: TorchClassifier, path: Path, reason: str, *libraries: str) -> Unverified:
    """What can be said of a file that nothing here can run, made by `libraries`."""
    return Unverified(
        file=path.name,
        file_bytes=_bytes_of(path),
        sha256=_digest(path),
        versions=_versions(*libraries),
        temperature=classifier.calibration.temperature,
        not_verified=reason,
    )


def _answers(
    classifier: TorchClassifier, answer: Answer, pictures: Sequence[NamedPicture]
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
            yield picture.name, row, answer(np.asarray(image))


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


def _apart(expected: Probabilities, given: Probabilities) -> Probabilities:
    difference = np.abs(expected - given)
    return np.where(np.isnan(difference), np.float32(1), difference)


def _certificate(
    path: Path, rows: list[Difference], means: list[float], accuracy: Accuracy | None, library: str
) -> Certificate:
    worst = sorted(rows, key=lambda row: -row.difference)
    other = tuple(row for row in worst if row.pytorch != row.exported)
    return Certificate(
        file=path.name,
        file_bytes=_bytes_of(path),
        sha256=_digest(path),
        pictures=len(rows),
        equal_top1=1 - len(other) / len(rows),
        largest_difference=worst[0].difference,
        mean_difference=float(np.mean(means)),
        allowed_difference=ALLOWED_DIFFERENCE,
        most_different=tuple(worst[:SHOWN]),
        other_label=other,
        accuracy=accuracy,
        versions=_versions(library),
    )


def _bytes_of(path: Path) -> int:
    return sum(file.stat().st_size for file in files_of(path))


def _digest(path: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files_of(path))).hexdigest()


def _versions(*libraries: str) -> dict[str, str]:
    found = {name: version(name) for name in dict.fromkeys((*_LIBRARIES, *libraries))}
    return found | {"python": platform.python_version()}
