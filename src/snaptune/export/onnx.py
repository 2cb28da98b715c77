"""A classifier as one ONNX file: uint8 pixels of any size in, probabilities out."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from snaptune.errors import ExportError
from snaptune.export.metadata import ANY_SIZE, PREPARED, Metadata
from snaptune.export.recipe import IR_VERSION, OPSET, prepared_text, recipe_graph, recipe_text
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import write_bytes


def export_onnx(classifier: TorchClassifier, path: Path, *, model_name: str) -> Path:
    """Write the recipe, the network and the softmax as one self-describing file.

    Input `image`: uint8 [height, width, 3], an upright RGB picture of any size. Output `probs`:
    float32 [classes], calibrated. Class names, recipe, `model_name` and the threshold are in its metadata.
    """
    whole = with_recipe(network_graph(classifier), describe(classifier, model_name))
    write_bytes(path, whole.SerializeToString())
    return path


def describe(classifier: TorchClassifier, model_name: str, input: str = ANY_SIZE) -> Metadata:
    threshold = classifier.calibration.threshold
    return Metadata(classifier.class_names, classifier.preprocess, model_name, threshold, input)


def network_graph(classifier: TorchClassifier) -> onnx.ModelProto:
    """The network alone: `pixels`, normalised float32 [1, 3, size, size], to `probs` [classes]."""
    size = classifier.preprocess.size
    model = copy.deepcopy(classifier.model).to(memory_format=torch.contiguous_format)
    network = _Answering(model, classifier.calibration.temperature).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own exporter uses parts of torch that are deprecated
        program = torch.onnx.export(
            network,
            (torch.zeros(1, 3, size, size),),
            input_names=["pixels"],
            output_names=["probs"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export returned no model.")
    return _without_traces(program.model_proto)


def with_recipe(
    network: onnx.ModelProto, metadata: Metadata, recipe: onnx.ModelProto | None = None
) -> onnx.ModelProto:
    """The whole graph: the metadata's recipe (unless one is given) in front of a network.

    Where the metadata says that pictures come prepared, only normalisation is left of it.

    The network takes `pixels` and gives `probs`.
    """
    text = prepared_text if metadata.input == PREPARED else recipe_text
    recipe = recipe or recipe_graph(text(metadata.preprocess))
    network.ir_version = IR_VERSION
    whole = onnx.compose.merge_models(recipe, network, io_map=[("pre_pixels", "pixels")])
    del whole.opset_import[1:]  # merging lists the same one twice
    whole.graph.name, whole.producer_name = "snaptune", "snaptune"
    onnx.helper.set_model_props(whole, metadata.to_properties())
    onnx.checker.check_model(whole, full_check=True)
    return whole


class _Answering(nn.Module):
    """The model with temperature and softmax behind it, for one picture without a batch dimension."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.softmax(self.model(pixels) / self.temperature, dim=1).squeeze(0)


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop torch's notes beside every node: they hold stack traces with the paths of this machine."""
    graph = model.graph
    values = (*graph.initializer, *graph.value_info, *graph.input, *graph.output)
    for item in (model, graph, *graph.node, *values):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    return model
