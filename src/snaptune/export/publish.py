"""A run to an exported file and its certificate."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch

from snaptune.data.dataset import ImageDataset
from snaptune.data.prepared import Progress, silent
from snaptune.data.splits import read_split
from snaptune.errors import ExportError
from snaptune.export.awkward import awkward_pictures
from snaptune.export.certificate import Certificate
from snaptune.export.latency import exported_latency, times_as_fast
from snaptune.export.onnx import describe, network_graph, with_recipe
from snaptune.export.opened import files_of
from snaptune.export.openvino import to_openvino
from snaptune.export.parity import certify
from snaptune.export.pictures import NamedPicture, pictures_of
from snaptune.export.pt2 import to_pt2
from snaptune.export.quantize import CALIBRATION_PICTURES, Inputs, quantised, with_half_weights
from snaptune.export.reported import show_certificates
from snaptune.models.build import normalise
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import EXPORTED, Run, write_bytes, write_json

FALLBACKS = {"fp32": ("fp32",), "fp16": ("fp16", "fp32"), "int8": ("int8", "fp16", "fp32")}
"""The weights that can be asked for, and what is tried in turn."""

MAX_DROP = 0.005
"""Share of the validation pictures that smaller weights may get wrong in addition."""


def export_run(
    run: Run,
    dataset: ImageDataset,
    progress: Progress = silent,
    *,
    format: str = "onnx",
    weights: str = "fp32",
    max_drop: float = MAX_DROP,
    force: bool = False,
) -> Certificate:
    """Write the run's `model.onnx` and `certificate.json`, compared on validation and awkward pictures.

    Other formats are `openvino` (made from the ONNX file) and `pt2` (torch.export, 32-bit weights only);
    each is compared through its own runtime and has a certificate of its own.

    Smaller weights that lose more than `max_drop` of accuracy, or 8-bit ones that are slower, give way
    to the next larger, and the certificate notes why; with `force` they are written nevertheless.
    The model takes its name only once it has passed, so that no unproven file can be shipped by
    mistake; the certificate is written either way. Raises `ExportError` where the answers differ.
    """
    if weights not in FALLBACKS:
        raise ExportError(f"weights '{weights}' must be one of: {', '.join(FALLBACKS)}.")
    if format not in EXPORTED:
        raise ExportError(f"format '{format}' must be one of: {', '.join(EXPORTED)}.")
    if format == "pt2" and weights != "fp32":
        raise ExportError(f"pt2 files hold fp32 weights only, not {weights}. Use --format onnx or openvino.")
    target = run.exported_file(format)
    for file in files_of(target):
        file.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=run.path) as folder:
        workshop = Workshop.open(run, dataset, Path(folder), format)
        certificate = _first_that_passes(workshop, weights, max_drop, progress, force=force)
        write_json(run.certificate_of(format), certificate.to_json())
        show_certificates(run)
        if not (force and weights == certificate.weights != "fp32"):
            certificate.check()
        drafts = files_of(workshop.draft(certificate.weights))
        for draft, file in zip(drafts, files_of(target), strict=True):
            draft.replace(file)
    return certificate


def _first_that_passes(
    workshop: Workshop, weights: str, max_drop: float, progress: Progress, *, force: bool
) -> Certificate:
    notes: list[str] = []
    for kind in FALLBACKS[weights]:
        certificate = workshop.certificate(kind, max_drop, progress)
        problem = "" if kind == "fp32" else _problem(certificate, workshop)
        if problem and force:
            return replace(certificate, notes=(f"Written with --force although: {problem}",))
        if not problem:
            break
        notes.append(f"Not {kind}: {problem}")
    return replace(certificate, notes=tuple(notes))


def _problem(certificate: Certificate, workshop: Workshop) -> str:
    """Why smaller weights should give way to larger ones; empty where they need not."""
    if problem := certificate.problem():
        return problem
    if certificate.weights == "int8":
        return slower(times_as_fast(workshop.draft("int8"), workshop.draft("fp32")))
    return ""


def slower(speed: float) -> str:
    """A sentence where 8-bit arithmetic is slower than 32-bit; `speed` is how many times as fast it is."""
    if speed >= 1:
        return ""
    return f"it takes {1 / speed:.2f} times as long as fp32 on this processor. Write it with --force."


@dataclass(frozen=True)
class Workshop:
    """What every kind of weights is made from and judged on; drafts lie in `folder`."""

    run: Run
    folder: Path
    classifier: TorchClassifier
    network: onnx.ModelProto
    training: list[NamedPicture]
    judged_on: list[NamedPicture]
    format: str = "onnx"

    @classmethod
    def open(cls, run: Run, dataset: ImageDataset, folder: Path, format: str = "onnx") -> Workshop:
        classifier = TorchClassifier.load(run)
        split = read_split(run.split_file, dataset)
        training = np.random.default_rng(0).permutation(split.indices("train"))[:CALIBRATION_PICTURES]
        judged_on = pictures_of(dataset, split.indices("validation")) + awkward_pictures()
        network = network_graph(classifier)
        return cls(run, folder, classifier, network, pictures_of(dataset, training), judged_on, format)

    def in_format(self, format: str) -> Workshop:
        return replace(self, format=format)

    def draft(self, kind: str) -> Path:
        """The file with weights of this kind, not yet judged."""
        path = self.folder / kind / EXPORTED[self.format]
        if not path.exists():
            self._write(kind, path)
        return path

    def _write(self, kind: str, path: Path) -> None:
        metadata = describe(self.classifier, self.run.config().model)
        if self.format == "pt2":
            to_pt2(self.classifier, metadata, path)
            return
        if self.format == "openvino":
            to_openvino(self.in_format("onnx").draft(kind), path)
            return
        write_bytes(path, with_recipe(self._network(kind), metadata).SerializeToString())

    def certificate(self, kind: str, max_drop: float, progress: Progress) -> Certificate:
        draft = self.draft(kind)
        return replace(
            certify(self.classifier, draft, self.judged_on, progress),
            weights=kind,
            allowed_drop=None if kind == "fp32" else max_drop,
            latency_ms=exported_latency(draft),
        )

    def _network(self, kind: str) -> onnx.ModelProto:
        if kind == "int8":
            return quantised(self.network, network_inputs(self.classifier, self.training))
        return with_half_weights(self.network) if kind == "fp16" else self.network


def network_inputs(classifier: TorchClassifier, pictures: list[NamedPicture]) -> Inputs:
    """Pictures through the recipe, one at a time: float32 [1, 3, size, size]."""
    for picture in pictures:
        pixels = torch.from_numpy(classifier.preprocess.pixels(picture.open())[np.newaxis])
        yield normalise(pixels.permute(0, 3, 1, 2), classifier.preprocess).numpy()
