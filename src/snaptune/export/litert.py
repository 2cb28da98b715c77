"""LiteRT's format (TensorFlow Lite's, for phones): `model.tflite`, which takes a prepared picture."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import torch

from snaptune.answers import Probabilities
from snaptune.errors import ExportError
from snaptune.export.metadata import Metadata
from snaptune.export.opened import Answer
from snaptune.export.prepared import Prepared
from snaptune.export.quiet import quiet
from snaptune.images.preprocess import Pixels
from snaptune.prediction import TorchClassifier

METADATA = "snaptune.json"
"""An associated file: an archive behind the model, which runtimes leave unread and any unzip opens."""

_NEEDS = "needs the 'litert' extra: pip install 'snaptune[litert]'"


def to_litert(classifier: TorchClassifier, metadata: Metadata, path: Path) -> Path:
    """Write the program: `image`, uint8 [size, size, 3], prepared, to probabilities [classes]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        try:
            import litert_torch
        except ModuleNotFoundError as error:
            raise ExportError(f"Exporting to LiteRT {_NEEDS}") from error
        size = classifier.preprocess.size
        example = torch.zeros(size, size, 3, dtype=torch.uint8)
        litert_torch.convert(Prepared(classifier).eval(), (example,)).export(str(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(METADATA, json.dumps(metadata.to_properties()))
    return path


def answering(path: Path, threads: int) -> tuple[Answer, dict[str, str]]:
    """The program on the processor, with `threads` threads (0 for all cores), and its metadata."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise ExportError(f"Running '{path}' {_NEEDS}") from error
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=threads or os.cpu_count())
        interpreter.allocate_tensors()
        with zipfile.ZipFile(path) as archive:
            properties = json.loads(archive.read(METADATA))
    except (ValueError, RuntimeError, KeyError, zipfile.BadZipFile) as error:
        raise ExportError(f"'{path}' cannot be opened by LiteRT: {error}") from error
    run = interpreter.get_signature_runner()
    (image,), (probs,) = run.get_input_details(), run.get_output_details()

    def answer(pixels: Pixels) -> Probabilities:
        probabilities: Probabilities = run(**{image: pixels})[probs]
        return probabilities

    return answer, properties
