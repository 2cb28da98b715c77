"""From a finished run to its browser page."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import numpy as np

from snaptune.data.dataset import ImageDataset
from snaptune.data.splits import read_split
from snaptune.demo.build import DemoCard, DemoSample, build_demo
from snaptune.errors import DemoError
from snaptune.export.certificate import Certificate, from_json
from snaptune.export.runtime import OnnxClassifier, answer
from snaptune.images.load import load_image
from snaptune.run_folder import Run, read_json, read_text

SAMPLES = 24


def demo_run(run: Run, dataset: ImageDataset, out: Path) -> Path:
    """Build the page from `export/model.onnx`, with held-out pictures to try and their expected answers."""
    if not run.onnx_file.is_file():
        raise DemoError(f"'{run.path}' has no exported model yet. Make one: snaptune export {run.path}")
    if not run.report_json.is_file():
        raise DemoError(
            f"'{run.path}' has not been evaluated yet, and the page tells how good its model is. "
            f"Do so: snaptune evaluate {run.path}"
        )
    exported = OnnxClassifier.load(run.onnx_file)
    held_out = read_split(run.split_file, dataset).indices("validation")
    return build_demo(
        run.onnx_file,
        demo_samples(exported, dataset, held_out),
        out,
        card=demo_card(run, exported.class_names),
        credits=dataset.credits,
        unknown_threshold=exported.calibration.threshold,
    )


def demo_samples(exported: OnnxClassifier, dataset: ImageDataset, indices: np.ndarray) -> list[DemoSample]:
    """One picture of each class, the first by id, with the answers of the file that the page ships."""
    _, first = np.unique(dataset.labels[indices], return_index=True)
    return [_sample(exported, dataset, int(index)) for index in indices[first][:SAMPLES]]


def _sample(exported: OnnxClassifier, dataset: ImageDataset, index: int) -> DemoSample:
    name, data = str(dataset.ids[index]), dataset.source.read(index)
    probabilities = answer(exported.session, np.asarray(load_image(data, name)))
    return DemoSample(
        name, dataset.class_names[dataset.labels[index]], data, tuple(map(float, probabilities))
    )


def demo_card(run: Run, class_names: tuple[str, ...]) -> DemoCard:
    """The figures that the page shows about its model, from the run's own report and certificate."""
    report = read_json(run.report_json)
    accuracy = report["accuracy"]
    return DemoCard(
        title=f"{read_json(run.dataset_file)['name']} classifier",
        class_names=class_names,
        accuracy=accuracy["value"],
        accuracy_low=accuracy["low"],
        accuracy_high=accuracy["high"],
        n=accuracy["n"],
        model_name=run.config().model,
        note=str(read_json(run.dataset_file).get("split", "")),
        certificate=_certificate(run),
    )


def _certificate(run: Run) -> str:
    """What the run's certificate says, once it is sure that it speaks of the file beside it."""
    path = run.certificate_file
    certificate = from_json(read_text(path), str(path)) if path.is_file() else None
    digest = hashlib.sha256(run.onnx_file.read_bytes()).hexdigest()
    if not isinstance(certificate, Certificate) or certificate.sha256 != digest:
        raise DemoError(
            f"'{run.onnx_file}' is not the file that '{path.name}' was written for. "
            f"Export the run again: snaptune export {run.path}"
        )
    return " ".join([_agreement(certificate), *_cost(certificate), *certificate.notes])


def _agreement(certificate: Certificate) -> str:
    count, share = certificate.pictures, certificate.equal_top1
    largest = Decimal(f"{certificate.largest_difference:.2g}")
    return (
        f"{certificate.weights} weights. {round(share * count)} of {count} pictures get the label that "
        f"PyTorch gives them; no probability differs by more than {largest:f}."
    )


def _cost(certificate: Certificate) -> list[str]:
    """What smaller weights cost in accuracy; nothing for 32 bits, which change no answer."""
    if certificate.allowed_drop is None or certificate.accuracy is None:
        return []
    drop = certificate.accuracy.drop
    value, low, high = (f"{100 * share:.1f}" for share in (drop.value, drop.low, drop.high))
    return [f"They cost {value} points of accuracy (95 % interval {low} to {high}, n = {drop.n})."]
