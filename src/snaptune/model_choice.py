"""Which model to start from: what fits the budget on this machine, ranked on the user's own pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from snaptune.data.dataset import PARTS, ImageDataset, Ints
from snaptune.data.prepared import prepare
from snaptune.errors import DataError
from snaptune.evaluation.intervals import Estimate, has_groups, share
from snaptune.evaluation.probe import out_of_fold_hits
from snaptune.export.latency import median_ms
from snaptune.export.onnx import export_onnx
from snaptune.export.runtime import answer, open_session
from snaptune.images.preprocess import Pixels
from snaptune.models.build import build_model, normalise, preprocess_for
from snaptune.models.catalog import has_weights_offline
from snaptune.models.summary import summarize_named
from snaptune.prediction import TorchClassifier
from snaptune.training.numerics import Numerics

CANDIDATES = (
    *("mobilenetv3_small_050", "mobilenetv3_small_100", "mobilenetv3_large_100", "mobilenetv4_conv_small"),
    *("tf_efficientnet_lite0", "efficientnet_b0", "repvit_m0_9", "convnextv2_atto", "resnet18d", "resnet50d"),
)
PROBED = 1000
"""Pictures that the probe takes at most."""


@dataclass(frozen=True)
class Choice:
    """One candidate: median latency of one picture, size of the weights, and how the probe did.

    `verdict` is 'ranked', 'untried' (its weights are not on this machine) or 'dropped', with `why`.
    """

    name: str
    verdict: str
    why: str
    megabytes: float
    milliseconds: float | None = None
    probe: Estimate | None = None


def choose(
    dataset: ImageDataset,
    names: Sequence[str] = CANDIDATES,
    *,
    max_ms: float,
    max_mb: float,
    runtime: str = "onnx",
    size: int = 128,
    progress: Callable[[Sequence[str]], Iterable[str]] = lambda names: names,
) -> list[Choice]:
    """Every candidate: the ranked ones first, best probe first, then the untried, then the dropped.

    Size is asked before latency, latency before the probe, so that nothing is measured in vain. Latency
    does not depend on the weights; the probe does, and without them a model is untried, not guessed at.
    """
    pictures = for_probing(dataset)
    choices = []
    for name in progress(names):
        choice = _weighed(name, len(dataset.class_names), size, max_mb)
        choices.append(_probed(_timed(choice, dataset, runtime, size, max_ms), pictures, size))
    order = ("ranked", "untried", "dropped")
    return sorted(choices, key=lambda one: (order.index(one.verdict), -one.probe.value if one.probe else 0.0))


def probe(features: npt.NDArray[np.float32], labels: Ints, groups: Ints | None) -> Estimate:
    """Accuracy of ridge regression onto the classes, each fold's pictures answered by the other folds'.

    A fold holds whole groups where there are two or more.
    """
    units = groups if groups is not None and has_groups(groups) else np.arange(len(labels))
    _, units = np.unique(units, return_inverse=True)
    if units.max() == 0:
        raise DataError("One picture is too few to compare models on.")
    return share(out_of_fold_hits(features, labels, units), groups)


def _weighed(name: str, classes: int, size: int, max_mb: float) -> Choice:
    megabytes = summarize_named(name, size, classes).total.size_bytes / 1e6
    why = f"{megabytes:.1f} MB is over {max_mb:g} MB" if megabytes > max_mb else ""
    return Choice(name, "dropped" if why else "untried", why, megabytes)


def _timed(choice: Choice, dataset: ImageDataset, runtime: str, size: int, max_ms: float) -> Choice:
    if choice.verdict == "dropped":
        return choice
    model = build_model(choice.name, len(dataset.class_names), "none", size=size).eval()
    model = Numerics(torch.device("cpu")).placed(model)  # as a run is loaded
    classifier = TorchClassifier(model, preprocess_for(choice.name, size), dataset.class_names)
    took = _through_onnx(classifier) if runtime == "onnx" else _through_torch(classifier)
    if took > max_ms:
        return replace(
            choice, verdict="dropped", why=f"{took:.1f} ms is over {max_ms:g} ms", milliseconds=took
        )
    return replace(choice, milliseconds=took)


def _through_onnx(classifier: TorchClassifier) -> float:
    with TemporaryDirectory() as folder:
        session = open_session(export_onnx(classifier, Path(folder) / "model.onnx", model_name="candidate"))
        pixels = _square(classifier.preprocess.size)
        return median_ms(lambda: answer(session, pixels))


def _through_torch(classifier: TorchClassifier) -> float:
    pixels = _square(classifier.preprocess.size)[None]
    return median_ms(lambda: classifier.probabilities(pixels))


def _square(size: int) -> Pixels:
    """A prepared picture of noise: uint8 [size, size, 3]."""
    return np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)


def _probed(choice: Choice, dataset: ImageDataset, size: int) -> Choice:
    if choice.verdict == "dropped":
        return choice
    if not has_weights_offline(choice.name):
        return replace(choice, why="its weights are not on this machine")
    model = build_model(choice.name, 0, "pretrained", size=size)
    features = frozen_features(model, choice.name, dataset, size)
    return replace(choice, verdict="ranked", probe=probe(features, dataset.labels, dataset.groups))


@torch.no_grad()
def frozen_features(model: nn.Module, name: str, dataset: ImageDataset, size: int) -> npt.NDArray[np.float32]:
    """What a model without its head gives for each picture: [n, features]."""
    preprocess = preprocess_for(name, size)
    pixels = torch.from_numpy(prepare(dataset, preprocess).pixels).permute(0, 3, 1, 2)
    model = model.eval().to(memory_format=torch.channels_last)
    rows = [model(normalise(chunk, preprocess)).numpy() for chunk in pixels.split(32)]  # type: ignore[no-untyped-call]
    return np.concatenate(rows).astype(np.float32)


def for_probing(dataset: ImageDataset) -> ImageDataset:
    """At most `PROBED` random pictures, none of them from the test part, which must not choose anything."""
    parts = dataset.parts
    usable = np.arange(len(dataset)) if parts is None else np.flatnonzero(parts != PARTS.index("test"))
    return dataset.subset(np.sort(np.random.default_rng(0).permutation(usable)[:PROBED]))
