"""Wrong labels planted at random: does `snaptune audit` find them, and spare the right ones?

    python -m benchmarks label_noise [DATA] [share] [seeds]

A run is trained on the data with the wrong labels, in its default settings. Beside `audit`: the same
out-of-fold regression on the features of the network before training, and the run's own answers on pictures
that it was trained on, with their wrong labels.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import numpy as np

from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset, Ints
from snaptune.data.prepared import prepare
from snaptune.data.readers import open_dataset
from snaptune.evaluation.probe import out_of_fold_probabilities
from snaptune.evaluation.suspects import suspects
from snaptune.label_audit import audit
from snaptune.model_choice import frozen_features
from snaptune.models.build import build_model
from snaptune.prediction import TorchClassifier
from snaptune.training.train import train

Found = tuple[float, float]
"""Shares: of the planted ones that were found, and of those found that were planted."""


def with_noise(dataset: ImageDataset, share: float, seed: int) -> tuple[ImageDataset, Ints]:
    """Some labels, drawn at random, are another class, drawn at random."""
    draw = np.random.default_rng(seed)
    wrong = draw.permutation(len(dataset))[: round(share * len(dataset))]
    labels = dataset.labels.copy()
    labels[wrong] = (labels[wrong] + draw.integers(1, len(dataset.class_names), len(wrong))) % len(
        dataset.class_names
    )
    return replace(dataset, labels=labels, reading=None), wrong


def judged(found: Ints, wrong: Ints) -> Found:
    hits = len(np.intersect1d(found, wrong))
    return hits / len(wrong), hits / max(1, len(found))


def before_training(dataset: ImageDataset, config: TrainConfig) -> Ints:
    """Suspects by the features of the pretrained network."""
    model = build_model(config.model, 0, "pretrained", size=config.image_size)
    features = frozen_features(model, config.model, dataset, config.image_size)
    classes = len(dataset.class_names)
    units = np.arange(len(dataset))
    probabilities = out_of_fold_probabilities(features, dataset.labels, units, classes)
    return suspects(probabilities, dataset.labels)[0]


def own_answers(classifier: TorchClassifier, dataset: ImageDataset) -> Ints:
    """Suspects by what the run answers, on pictures whose labels it has learnt."""
    pixels = prepare(dataset, classifier.preprocess).pixels
    return suspects(classifier.probabilities(np.asarray(pixels[:])).astype(np.float64), dataset.labels)[0]


def one_round(dataset: ImageDataset, share: float, seed: int) -> dict[str, Found]:
    noisy, wrong = with_noise(dataset, share, seed)
    config = TrainConfig(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        run = train(noisy, config, folder, say=lambda text: None)
        found = np.asarray([one.index for one in audit(run, noisy).suspects], np.int64)
        answers = own_answers(TorchClassifier.load(run), noisy)
    return {
        "audit": judged(found, wrong),
        "features before training": judged(before_training(noisy, config), wrong),
        "the run's own answers": judged(answers, wrong),
    }


def spread(values: Sequence[float]) -> str:
    return f"{median(values):.0%} ({min(values):.0%} to {max(values):.0%})"


def main() -> None:
    dataset = open_dataset(sys.argv[1] if len(sys.argv) > 1 else "sample:hand-emoji")
    share = float(sys.argv[2]) if len(sys.argv) > 2 else 0.05
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    rounds = [one_round(dataset, share, seed) for seed in range(1, seeds + 1)]
    print(
        f"{dataset.name}: {len(dataset):,} pictures, {share:.0%} of the labels wrong, {seeds} seeds, median"
    )
    print(f"  {'':<26}{'planted ones found':<24}of those found, planted")
    for name in rounds[0]:
        recall, precision = zip(*(one[name] for one in rounds), strict=True)
        print(f"  {name:<26}{spread(recall):<24}{spread(precision)}")


if __name__ == "__main__":
    main()
