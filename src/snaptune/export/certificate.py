"""What was proven of an exported file. Imports no torch: reports show it too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from snaptune.errors import ExportError
from snaptune.evaluation.intervals import Estimate

ALLOWED_DIFFERENCE = 1e-3
"""Largest difference of a probability that a file with 32-bit weights may show."""

SHOWN = 5
NOT_VERIFIED = "not verified here"


@dataclass(frozen=True)
class Latency:
    """Median milliseconds for one 640x480 picture, recipe included, with one and with all threads."""

    one_thread: float
    all_threads: float
    threads: int

    def __str__(self) -> str:
        return (
            f"one 640x480 picture takes {self.one_thread:.1f} ms with 1 thread, "
            f"{self.all_threads:.1f} with {self.threads}"
        )


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


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """Which file it is and what made it; `notes` are sentences for the user."""

    file: str
    file_bytes: int
    sha256: str
    versions: dict[str, str]
    weights: str = "fp32"
    notes: tuple[str, ...] = ()
    temperature: float = 1.0
    """What the run divided its logits by when it was exported; a later evaluation may have changed it."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def _size(self) -> str:
        return f"({self.weights}, {self.file_bytes / 1e6:.1f} MB)"


@dataclass(frozen=True, kw_only=True)
class Unverified(ExportedFile):
    """A file that nothing here can run: what it answers is not known. It never counts as passed."""

    not_verified: str
    """Why not."""

    def summary(self) -> str:
        """For the terminal: one line, and one for each note."""
        return "\n".join([f"{self.file} {self._size()}: {NOT_VERIFIED}. {self.not_verified}", *self.notes])


@dataclass(frozen=True, kw_only=True)
class Certificate(ExportedFile):
    """How far PyTorch and an exported file lie apart, and on what; differences are of probabilities.

    With 32-bit weights every answer must be PyTorch's. Smaller ones may change answers, but accuracy
    may drop by `allowed_drop` at most; that is None for 32 bits.
    """

    pictures: int
    equal_top1: float
    largest_difference: float
    mean_difference: float
    allowed_difference: float
    most_different: tuple[Difference, ...]
    other_label: tuple[Difference, ...]
    accuracy: Accuracy | None = None
    allowed_drop: float | None = None
    latency_ms: Latency | None = None

    def check(self) -> None:
        """Raises `ExportError` where answers differ, or accuracy drops, by more than is allowed."""
        if problem := self.problem():
            raise ExportError(problem)

    def problem(self) -> str:
        """Why the file must not be shipped; empty where it may."""
        return self._other_answers() if self.allowed_drop is None else self._lost_accuracy(self.allowed_drop)

    def _lost_accuracy(self, allowed: float) -> str:
        if self.accuracy is None:
            return (
                f"'{self.file}': {self.weights} weights are judged by accuracy, and no picture has a label. "
                "Give labelled pictures, or use --weights fp32."
            )
        drop = self.accuracy.drop
        if not drop.value <= allowed:  # also where `allowed` is no number
            return (
                f"{self.weights} weights cost {points(drop)} points of accuracy; at most {100 * allowed:g} "
                "are allowed. Allow more with --max-drop, or write the file nevertheless with --force."
            )

        return ""

    def _other_answers(self) -> str:
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
        if not problems:
            return ""
        return (
            f"'{self.file}' does not answer as PyTorch does. {' '.join(problems)} "
            "Do not ship this file; export again after 'pip install -U onnx onnxscript onnxruntime', "
            "and report the model's name if it stays so."
        )

    def summary(self) -> str:
        """For the terminal: one line, and one for each note."""
        parts = [
            f"{self.pictures} pictures through PyTorch and {self.file} "
            f"{self._size()}: {self.equal_top1:.2%} the same label, "
            f"largest difference of a probability {self.largest_difference:.1e}"
        ]
        if self.allowed_drop is None:
            parts[0] += f" (allowed {self.allowed_difference:g})"
        elif self.accuracy:
            parts.append(
                f"{points(self.accuracy.drop)} points of accuracy lost (allowed {100 * self.allowed_drop:g})"
            )
        if self.latency_ms:
            parts.append(str(self.latency_ms))
        return "\n".join(["; ".join(parts), *self.notes])


def from_json(text: str, source: str) -> Certificate | Unverified:
    """What `to_json` gave; raises `ExportError` that names `source` for anything else."""
    try:
        values = json.loads(text)
        values["notes"] = tuple(values["notes"])
        return Unverified(**values) if "not_verified" in values else _certificate(values)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ExportError(
            f"'{source}' is not a certificate of this version of snaptune: {error}. Export the run again."
        ) from error


def _certificate(values: dict[str, Any]) -> Certificate:
    accuracy, latency = values["accuracy"], values["latency_ms"]
    parts = {
        "most_different": _differences(values["most_different"]),
        "other_label": _differences(values["other_label"]),
        "accuracy": accuracy and Accuracy(**{**accuracy, "drop": Estimate(**accuracy["drop"])}),
        "latency_ms": latency and Latency(**latency),
    }
    return Certificate(**{**values, **parts})


def _differences(rows: list[Mapping[str, Any]]) -> tuple[Difference, ...]:
    return tuple(Difference(**row) for row in rows)


def points(drop: Estimate) -> str:
    """A drop in percentage points with its interval."""
    value, low, high = (f"{100 * share:.1f}" for share in (drop.value, drop.low, drop.high))
    return f"{value} (95 % interval {low} to {high}, n = {drop.n})"
