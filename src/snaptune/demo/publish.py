"""From a finished run to its browser page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snaptune.data.dataset import ImageDataset
from snaptune.data.splits import read_split
from snaptune.demo.build import DemoCard, DemoSample, build_demo
from snaptune.errors import DemoError
from snaptune.images.load import load_image
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run, read_json

SAMPLES = 24


def demo_run(run: Run, dataset: ImageDataset, out: Path) -> Path:
    """Build the page from `export/model.onnx`, with held-out pictures to try and their expected answers."""
    if not run.onnx_file.is_file():
        raise DemoError(f"'{run.path}' has no exported model yet. Make one: snaptune export {run.path}")
    held_out = read_split(run.split_file, dataset).indices("validation")
    samples = demo_samples(TorchClassifier.load(run), dataset, held_out)
    return build_demo(
        run.onnx_file,
        samples,
        out,
        card=demo_card(run),
        credits=dataset.credits,
        unknown_threshold=run.calibration().threshold,
    )


def demo_samples(classifier: TorchClassifier, dataset: ImageDataset, indices: np.ndarray) -> list[DemoSample]:
    """One picture of each class, the first by id, with PyTorch's probabilities."""
    _, first = np.unique(dataset.labels[indices], return_index=True)
    return [_sample(classifier, dataset, int(index)) for index in indices[first][:SAMPLES]]


def _sample(classifier: TorchClassifier, dataset: ImageDataset, index: int) -> DemoSample:
    name, data = str(dataset.ids[index]), dataset.source.read(index)
    pixels = classifier.preprocess.pixels(load_image(data, name))
    [probabilities] = classifier.probabilities(pixels[None])
    return DemoSample(
        name, dataset.class_names[dataset.labels[index]], data, tuple(map(float, probabilities))
    )


def demo_card(run: Run) -> DemoCard:
    """The figures that the page shows about its model, from the run's own report."""
    report = read_json(run.report_json)
    accuracy = report["accuracy"]
    return DemoCard(
        title=f"{read_json(run.dataset_file)['name']} classifier",
        class_names=run.class_names(),
        accuracy=accuracy["value"],
        accuracy_low=accuracy["low"],
        accuracy_high=accuracy["high"],
        n=accuracy["n"],
        model_name=run.config().model,
        note=str(read_json(run.dataset_file).get("split", "")),
    )
