"""PyTorch's own format (`torch.export`): the recipe, the network and the softmax as one program."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import SymInt, Tensor, nn
from torch.export import Dim

from snaptune.answers import Probabilities
from snaptune.errors import ExportError
from snaptune.export.metadata import Metadata
from snaptune.export.opened import Answer
from snaptune.export.recipe import UNIT_BITS
from snaptune.images.preprocess import Pixels, Preprocess
from snaptune.models.build import normalise
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import write_bytes

METADATA = "snaptune.json"
"""The file inside the archive that holds the metadata."""

_LONGEST = 16384


def to_pt2(classifier: TorchClassifier, metadata: Metadata, path: Path) -> Path:
    """Write the program: `image`, uint8 [height, width, 3] of any size, to probabilities [classes]."""
    network = copy.deepcopy(classifier.model).to(memory_format=torch.contiguous_format)
    whole = Whole(network, classifier.preprocess, classifier.calibration.temperature).eval()
    sides = {0: Dim("height", min=1, max=_LONGEST), 1: Dim("width", min=1, max=_LONGEST)}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's own exporter uses parts of torch that are deprecated
        example = torch.zeros(48, 64, 3, dtype=torch.uint8)
        program = torch.export.export(whole, (example,), dynamic_shapes=(sides,))
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # paths of this machine
        file = BytesIO()
        torch.export.save(program, file, extra_files={METADATA: json.dumps(metadata.to_properties())})
    write_bytes(path, file.getvalue())
    return path


def answering(path: Path, threads: int) -> tuple[Answer, dict[str, str]]:
    """The program, with `threads` threads (0: as PyTorch is set), and its metadata."""
    extra: dict[str, Any] = {METADATA: ""}
    try:
        program = torch.export.load(path, extra_files=extra).module()
    except Exception as error:  # a damaged archive fails in many ways
        raise ExportError(f"'{path}' cannot be opened by PyTorch: {error}") from error

    def answer(pixels: Pixels) -> Probabilities:
        with _threads(threads), torch.no_grad():
            probabilities: Probabilities = program(torch.tensor(pixels)).numpy()
            return probabilities

    return answer, json.loads(extra[METADATA])


class Whole(nn.Module):
    """The recipe in PyTorch, bit for bit as Pillow does it, and behind it the calibrated network."""

    def __init__(self, network: nn.Module, preprocess: Preprocess, temperature: float) -> None:
        super().__init__()
        self.network, self.preprocess, self.temperature = network, preprocess, temperature

    def forward(self, image: Tensor) -> Tensor:
        logits = self.network(normalise(self.pixels(image).unsqueeze(0), self.preprocess))
        return torch.softmax(logits / self.temperature, dim=1).squeeze(0)

    def pixels(self, image: Tensor) -> Tensor:
        """What `Preprocess.pixels` gives: uint8 [height, width, 3] to whole doubles [3, size, size]."""
        longest = torch.sym_max(image.shape[0], image.shape[1])
        rows = self._resampled(image.permute(2, 0, 1), longest)
        return self._resampled(rows.transpose(1, 2), longest).transpose(1, 2)

    def _resampled(self, pixels: Tensor, longest: int | SymInt) -> Tensor:
        """One pass of Pillow's bilinear resize over the second dimension: [3, in, n] to [3, size, n].

        Weights are whole numbers of 22 bits, sums of theirs are exact in doubles; halves are rounded up.
        """
        taken, size = pixels.shape[1], self.preprocess.size
        fitted = torch.sym_max(1, (2 * taken * size + longest) // (2 * longest))
        scale = _number(taken) / _number(fitted)
        shown = (torch.arange(size) - (size - fitted) // 2).clamp(0, fitted - 1)  # edges are repeated
        centres = (shown.double() + 0.5) * scale
        offsets = torch.arange(taken, dtype=torch.float64) - centres.unsqueeze(1) + 0.5
        triangle = (1 - (offsets * (1 / scale.clamp(min=1))).abs()).clamp(min=0)
        shares = triangle / triangle.sum(dim=1, keepdim=True)
        unit = 2.0**UNIT_BITS
        weights = (shares * unit + 0.5).floor()
        return ((weights @ pixels.double() + unit / 2) / unit).floor()


def _number(size: int | SymInt) -> Tensor:
    return torch.scalar_tensor(size, dtype=torch.float64)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(number or before)
        yield
    finally:
        torch.set_num_threads(before)
