"""A run to an exported file and its certificate."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import torch

from snaptune.data.dataset import ImageDataset
from snaptune.data.prepared import Progress, silent
from snaptune.data.splits import read_split
from snaptune.errors import ExportError
from snaptune.export.awkward import awkward_pictures
from snaptune.export.certificate import Certificate, Unverified
from snaptune.export.coreml import to_coreml
from snaptune.export.latency import exported_latency, times_as_fast
from snaptune.export.litert import to_litert
from snaptune.export.metadata import ANY_SIZE, PREPARED
from snaptune.export.onnx import describe, network_graph, with_recipe
from snaptune.export.opened import parts_of
from snaptune.export.openvino import to_openvino
from snaptune.export.parity import certify, unverified
from snaptune.export.pictures import NamedPicture, pictures_of
from snaptune.export.pt2 import to_pt2
from snaptune.export.quantize import CALIBRATION_PICTURES, Inputs, quantised, with_half_weights
from snaptune.export.reported import show_certificates
from snaptune.models.build import normalise
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import EXPORTED, Run, write_bytes, write_json

FALLBACKS = {"fp32": ("fp32",), "fp16": ("fp16", "fp32"), "int8": ("int8", "fp16", "fp32")}
"""The weights that can be asked for, and what is tried in turn."""

SMALLER = ("onnx", "openvino")
"""The formats that are written with smaller weights, too."""

TAKES_PREPARED = ("litert", "coreml", "tensorrt")
"""The formats that cannot hold a resize to any size as Pillow does it."""

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
) -> Certificate | Unverified:
    """Write the run's `model.onnx` and `certificate.json`, compared on validation and awkward pictures.

    Each other format has a certificate of its own: `openvino` (made from the ONNX file), `pt2`
    (torch.export) and `litert` are compared through their own runtimes; `coreml` and `tensorrt` (an ONNX
    file for its parser) cannot be run here, and their certificate says so. All but the first hold 32-bit
    weights only.

    Smaller weights that lose more than `max_drop` of accuracy, or 8-bit ones that are slower, give way
    to the next larger, and the certificate notes why; with `force` they are written nevertheless.
    The model takes its name only once it has passed, so that no unproven file can be shipped by
    mistake; the certificate is written either way. Raises `ExportError` where the answers differ.
    """
    if weights not in FALLBACKS:
        raise ExportError(f"weights '{weights}' must be one of: {', '.join(FALLBACKS)}.")
    if format not in EXPORTED:
        raise ExportError(f"format '{format}' must be one of: {', '.join(EXPORTED)}.")
    if format not in SMALLER and weights != "fp32":
        raise ExportError(
            f"{format} files hold fp32 weights only, not {weights}. Use --format {' or '.join(SMALLER)}."
        )
    target = run.exported_file(format)
    for part in parts_of(target):
        _remove(part)
    with tempfile.TemporaryDirectory(dir=run.path) as folder:
        workshop = Workshop.open(run, dataset, Path(folder), format)
        if format in ("coreml", "tensorrt"):
            certificate = _not_run_here(workshop, progress)
        else:
            certificate = _first_that_passes(workshop, weights, max_drop, progress, force=force)
        write_json(run.certificate_of(format), certificate.to_json())
        show_certificates(run)
        if isinstance(certificate, Certificate) and not (force and weights == certificate.weights != "fp32"):
            certificate.check()
        drafts = parts_of(workshop.draft(certificate.weights))
        for draft, part in zip(drafts, parts_of(target), strict=True):
            draft.replace(part)
    return certificate


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


def _not_run_here(workshop: Workshop, progress: Progress) -> Certificate | Unverified:
    """What can be said of a file whose runtime is not here; TensorRT's is compared through another one.

    A certificate comes back only where that comparison failed.
    """
    draft, classifier = workshop.draft("fp32"), workshop.classifier
    if workshop.format == "coreml":
        reason = "Only Apple's systems run Core ML: compare its answers there before you rely on it."
        return unverified(classifier, draft, reason, "coremltools")
    graph = certify(classifier, draft, workshop.judged_on, progress)
    if graph.problem():
        return graph
    reason = "It is made for trtexec, which was not run: compare its answers before you rely on it."
    note = f"Through ONNX Runtime, not TensorRT: {graph.summary()}."
    return replace(unverified(classifier, draft, reason, "onnxruntime"), notes=(note,))


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
    training: list[NamedPicture]
    judged_on: list[NamedPicture]
    format: str = "onnx"
    networks: dict[str, onnx.ModelProto] = field(default_factory=dict)
    """The network without recipe by kind of weights, once it was asked for; formats share it."""

    @classmethod
    def open(cls, run: Run, dataset: ImageDataset, folder: Path, format: str = "onnx") -> Workshop:
        classifier = TorchClassifier.load(run)
        split = read_split(run.split_file, dataset)
        training = np.random.default_rng(0).permutation(split.indices("train"))[:CALIBRATION_PICTURES]
        judged_on = pictures_of(dataset, split.indices("validation")) + awkward_pictures()
        return cls(run, folder, classifier, pictures_of(dataset, training), judged_on, format)

    def in_format(self, format: str) -> Workshop:
        return replace(self, format=format)

    def draft(self, kind: str) -> Path:
        """The file with weights of this kind, not yet judged."""
        path = self.folder / kind / EXPORTED[self.format]
        if not path.exists():
            self._write(kind, path)
        return path

    def _write(self, kind: str, path: Path) -> None:
        takes = PREPARED if self.format in TAKES_PREPARED else ANY_SIZE
        metadata = describe(self.classifier, self.run.config().model, takes)
        match self.format:
            case "openvino":
                to_openvino(self.network(kind), metadata, path)
            case "pt2":
                to_pt2(self.classifier, metadata, path)
            case "litert":
                to_litert(self.classifier, metadata, path)
            case "coreml":
                to_coreml(self.classifier, metadata, path)
            case _:
                write_bytes(path, with_recipe(self.network(kind), metadata).SerializeToString())

    def certificate(self, kind: str, max_drop: float, progress: Progress) -> Certificate:
        draft = self.draft(kind)
        return replace(
            certify(self.classifier, draft, self.judged_on, progress),
            weights=kind,
            allowed_drop=None if kind == "fp32" else max_drop,
            latency_ms=exported_latency(draft),
        )

    def network(self, kind: str) -> onnx.ModelProto:
        """The network without recipe, with weights of this kind."""
        if kind not in self.networks:
            self.networks[kind] = self._exported_network(kind)
        return self.networks[kind]

    def _exported_network(self, kind: str) -> onnx.ModelProto:
        if kind == "fp32":
            return network_graph(self.classifier)
        full = self.network("fp32")
        if kind == "fp16":
            return with_half_weights(full)
        return quantised(full, network_inputs(self.classifier, self.training))


def network_inputs(classifier: TorchClassifier, pictures: list[NamedPicture]) -> Inputs:
    """Pictures through the recipe, one at a time: float32 [1, 3, size, size]."""
    for picture in pictures:
        pixels = torch.from_numpy(classifier.preprocess.pixels(picture.open())[np.newaxis])
        yield normalise(pixels.permute(0, 3, 1, 2), classifier.preprocess).numpy()
