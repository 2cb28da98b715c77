"""Export a finished run and certify the file on the run's own held-out pictures."""

from __future__ import annotations

from snaptune.data.dataset import ImageDataset
from snaptune.data.prepared import Progress, silent
from snaptune.data.splits import read_split
from snaptune.export.onnx import export_onnx
from snaptune.export.parity import Certificate, certify
from snaptune.images.load import load_image
from snaptune.prediction import Classifier
from snaptune.run_folder import Run, write_json


def export_run(run: Run, dataset: ImageDataset, progress: Progress = silent) -> Certificate:
    """Write `export/model.onnx` and its certificate; raises `ExportError` where the answers differ."""
    classifier = Classifier.load(run)
    export_onnx(classifier, run.onnx_file)
    held_out = read_split(run.split_file, dataset).indices("validation")
    named = ((int(index), str(dataset.ids[index])) for index in held_out)
    pictures = ((name, load_image(dataset.source.read(index), name)) for index, name in named)
    certificate = certify(classifier, run.onnx_file, pictures, len(held_out), progress)
    write_json(run.certificate_file, certificate.to_dict())
    certificate.check()
    return certificate
