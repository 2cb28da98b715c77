"""A run to an exported file and its certificate."""

from __future__ import annotations

from dataclasses import replace

from snaptune.data.dataset import ImageDataset
from snaptune.data.prepared import Progress, silent
from snaptune.data.splits import read_split
from snaptune.export.awkward import awkward_pictures
from snaptune.export.latency import onnx_latency
from snaptune.export.onnx import export_onnx
from snaptune.export.parity import Certificate, certify
from snaptune.export.pictures import pictures_of
from snaptune.prediction import Classifier
from snaptune.run_folder import Run


def export_run(run: Run, dataset: ImageDataset, progress: Progress = silent) -> Certificate:
    """Write the run's `model.onnx` and `certificate.json`, compared on validation and awkward pictures.

    The model takes its name only once it has passed, so that no unproven file can be shipped by
    mistake; the certificate is written either way. Raises `ExportError` where the answers differ.
    """
    classifier = Classifier.load(run)
    validation = read_split(run.split_file, dataset).indices("validation")
    run.onnx_file.unlink(missing_ok=True)
    draft = export_onnx(classifier, run.onnx_file.with_suffix(".unproven"), model_name=run.config().model)
    pictures = pictures_of(dataset, validation) + awkward_pictures()
    certificate = certify(classifier, draft, pictures, progress)
    certificate = replace(certificate, file=run.onnx_file.name, latency_ms=onnx_latency(draft))
    certificate.write(run.certificate_file)
    certificate.check()
    draft.replace(run.onnx_file)
    return certificate
