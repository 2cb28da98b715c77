"""A finished run, answering through PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from os import PathLike

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from snaptune.answers import Probabilities
from snaptune.classifier import Classifier
from snaptune.errors import RunError
from snaptune.evaluation.calibration import Calibration
from snaptune.images.preprocess import Pixels, Preprocess
from snaptune.models.build import classifier_prefix, load_model, normalise, takes_any_size
from snaptune.models.folding import merge_norms
from snaptune.models.heat_map import HeatMaps, heat_maps
from snaptune.run_folder import Run
from snaptune.training.numerics import Numerics

AT_ONCE = 2**17
"""Pixels of pictures that the processor takes at a time. The maps of more fall out of its caches, and are so
large that their memory is given back and asked for anew in every layer."""


@dataclass(frozen=True, eq=False)
class TorchClassifier(Classifier):
    """A trained model with the recipe, the class names and the calibration of its run."""

    model: nn.Module
    preprocess: Preprocess
    class_names: tuple[str, ...]
    calibration: Calibration = field(default_factory=Calibration)
    may_abstain: bool = False

    @classmethod
    def load(
        cls,
        source: str | PathLike[str],
        *,
        may_abstain: bool = False,
        device: str | torch.device = "cpu",
    ) -> TorchClassifier:
        """The kept weights of a run on a device, in evaluation mode. Runs no code from the run.

        With `may_abstain` the label is 'unknown' where the run's threshold asks for more confidence;
        raises `RunError` for a run without one.
        """
        run = source if isinstance(source, Run) else Run.open(source)
        class_names = run.class_names()
        preprocess, source = run.preprocess(), str(run.model_file)
        model = load_model(run.config().model, len(class_names), run.weights(), source, size=preprocess.size)
        model = Numerics(torch.device(device)).placed(model.eval())
        calibration = run.calibration()
        if may_abstain and calibration.threshold is None:
            raise RunError(
                f"'{run.path}' has no threshold for 'unknown'. Find one with: "
                f"snaptune evaluate {run.path}. If that was done, allow more wrong answers than "
                f"{calibration.max_wrong:.1%} or add pictures."
            )
        return cls(model, preprocess, class_names, calibration, may_abstain)

    @cached_property
    def network(self) -> nn.Module:
        """What computes the answers: the model as it was when first asked, its norms merged."""
        size = self.preprocess.size
        pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
        return merge_norms(self.model, self._input(pixels))

    @torch.inference_mode()
    def logits(self, pixels: Pixels, batch_size: int = 64) -> npt.NDArray[np.float32]:
        """Prepared uint8 [n, size, size, 3] to logits [n, classes], at most `batch_size` at a time."""
        if self.on_processor:
            batch_size = min(batch_size, ceil(AT_ONCE / (pixels.shape[1] * pixels.shape[2])))
        answers = [
            self.network(self._input(chunk)).float().cpu().numpy() for chunk in _chunks(pixels, batch_size)
        ]
        return np.concatenate(answers)

    def probabilities(self, pixels: Pixels, batch_size: int = 64) -> Probabilities:
        """Prepared uint8 [n, size, size, 3] to calibrated probabilities [n, classes]."""
        return softmax(self.logits(pixels, batch_size) / np.float32(self.calibration.temperature))

    def features(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """What the last layer is given for each prepared picture [n, size, size, 3]: [n, k]."""
        rows: list[npt.NDArray[np.float32]] = []
        head = self.network.get_submodule(classifier_prefix(self.model))
        listening = head.register_forward_pre_hook(
            lambda module, given: rows.append(given[0].flatten(1).float().cpu().numpy())
        )
        try:
            self.logits(pixels)
        finally:
            listening.remove()
        return np.concatenate(rows)

    def takes_any_size(self) -> bool:
        return takes_any_size(self.model)

    def heat_maps(self, pixels: Pixels, classes: npt.NDArray[np.int64]) -> HeatMaps | None:
        """What on each prepared picture [n, size, size, 3] speaks for its class; see `heat_maps`."""
        return heat_maps(self.model, self._input(pixels), torch.from_numpy(classes).to(self.device))

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.model.parameters(), torch.empty(0)).device

    @property
    def on_processor(self) -> bool:
        return self.device.type == "cpu"

    def _input(self, pixels: Pixels) -> torch.Tensor:
        return normalise(torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2), self.preprocess)


def softmax(logits: npt.NDArray[np.float32]) -> Probabilities:
    """Rows of logits to rows of probabilities."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Probabilities = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def _chunks(pixels: Pixels, size: int) -> Iterator[Pixels]:
    for start in range(0, len(pixels), size):
        yield np.require(pixels[start : start + size], requirements=["C", "W"])  # torch wants to own it
