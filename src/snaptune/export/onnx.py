"""A classifier as one ONNX file: uint8 pixels of any size in, probabilities out."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from snaptune.errors import ExportError
from snaptune.export.metadata import Metadata
from snaptune.images.preprocess import Preprocess
from snaptune.prediction import Classifier
from snaptune.run_folder import write_bytes

OPSET, IR_VERSION = 18, 10
"""Opset 18 is the first with an antialiased Resize; later ones bring nothing here."""


def export_onnx(classifier: Classifier, path: Path, *, model_name: str) -> Path:
    """Write the recipe, the network and the softmax as one self-describing file.

    Input `image`: uint8 [height, width, 3], an upright RGB picture of any size. Output `probs`:
    float32 [classes]. Class names, recipe, `model_name` and snaptune's version are in its metadata.
    """
    metadata = Metadata(classifier.class_names, classifier.preprocess, model_name)
    network = network_graph(classifier)
    write_bytes(path, with_recipe(network, metadata).SerializeToString())
    return path


def network_graph(classifier: Classifier) -> onnx.ModelProto:
    """The network alone: `pixels`, normalised float32 [1, 3, size, size], to `probs` [classes]."""
    size = classifier.preprocess.size
    model = copy.deepcopy(classifier.model).to(memory_format=torch.contiguous_format)
    network = _Answering(model).eval()
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


def with_recipe(network: onnx.ModelProto, metadata: Metadata) -> onnx.ModelProto:
    """The whole graph: the recipe in front of a network that takes `pixels` and gives `probs`."""
    recipe = recipe_graph(metadata.preprocess)
    network.ir_version = IR_VERSION
    whole = onnx.compose.merge_models(recipe, network, io_map=[("pre_pixels", "pixels")])
    del whole.opset_import[1:]  # merging lists the same one twice
    whole.graph.name, whole.producer_name = "snaptune", "snaptune"
    onnx.helper.set_model_props(whole, metadata.to_properties())
    onnx.checker.check_model(whole, full_check=True)
    return whole


def recipe_graph(preprocess: Preprocess) -> onnx.ModelProto:
    """`Preprocess` as a graph: `image` uint8 [height, width, 3] to `pre_pixels` float32 [1, 3, size, size].

    Every node is named after its result, so that a runtime can be told where to run `pre_resize`.
    The picture stays uint8 through Resize, which is what rounds exactly as Pillow does.
    """
    model: onnx.ModelProto = onnx.parser.parse_model(_recipe_text(preprocess))
    for node in model.graph.node:
        node.name = node.output[0]
    return model


def _recipe_text(preprocess: Preprocess) -> str:
    size = preprocess.size
    mean, std = (_floats(values) for values in (preprocess.mean, preprocess.std))
    return f"""
<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>
recipe (uint8[height, width, 3] image) => (float[1, 3, {size}, {size}] pre_pixels) {{
    pre_0 = Constant <value = int64[1] {{0}}> ()
    pre_1 = Constant <value = int64[1] {{1}}> ()
    pre_2 = Constant <value = int64[1] {{2}}> ()
    pre_size = Constant <value = int64[1] {{{size}}}> ()
    pre_twice_size = Add (pre_size, pre_size)
    pre_shape = Shape (image)
    pre_height = Slice (pre_shape, pre_0, pre_1)
    pre_width = Slice (pre_shape, pre_1, pre_2)
    pre_longest = Max (pre_height, pre_width)
    pre_twice_longest = Add (pre_longest, pre_longest)
    {_fitted_side("height")}
    {_fitted_side("width")}
    pre_planes = Constant <value = int64[2] {{1, 3}}> ()
    pre_sizes = Concat <axis = 0> (pre_planes, pre_fitted_height, pre_fitted_width)
    pre_batch = Unsqueeze (image, pre_0)
    pre_channels_first = Transpose <perm = [0, 3, 1, 2]> (pre_batch)
    pre_resize = Resize <mode = "linear", antialias = 1, exclude_outside = 1,
        coordinate_transformation_mode = "half_pixel"> (pre_channels_first, , , pre_sizes)
    pre_float = Cast <to = 1> (pre_resize)
    {_margins("height")}
    {_margins("width")}
    pre_none = Constant <value = int64[2] {{0, 0}}> ()
    pre_margins = Concat <axis = 0> (pre_none, pre_before_height, pre_before_width,
        pre_none, pre_after_height, pre_after_width)
    pre_padded = Pad <mode = "edge"> (pre_float, pre_margins)
    pre_mean = Constant <value = float[1, 3, 1, 1] {{{mean}}}> ()
    pre_std = Constant <value = float[1, 3, 1, 1] {{{std}}}> ()
    pre_centred = Sub (pre_padded, pre_mean)
    pre_pixels = Div (pre_centred, pre_std)
}}"""


def _fitted_side(side: str) -> str:
    """max(1, (2 * side * size + longest) // (2 * longest)): `Preprocess.fitted_size`."""
    return f"""pre_scaled_{side} = Mul (pre_{side}, pre_twice_size)
    pre_half_up_{side} = Add (pre_scaled_{side}, pre_longest)
    pre_rounded_{side} = Div (pre_half_up_{side}, pre_twice_longest)
    pre_fitted_{side} = Max (pre_rounded_{side}, pre_1)"""


def _margins(side: str) -> str:
    """The smaller half of the margin before the picture, the rest after it: `Preprocess.padded`."""
    return f"""pre_margin_{side} = Sub (pre_size, pre_fitted_{side})
    pre_before_{side} = Div (pre_margin_{side}, pre_2)
    pre_after_{side} = Sub (pre_margin_{side}, pre_before_{side})"""


def _floats(values: tuple[float, float, float]) -> str:
    """Statistics for channel values of 0–1, written for values of 0–255."""
    return ", ".join(f"{value * 255:.9g}" for value in values)


class _Answering(nn.Module):
    """The model with a softmax behind it, for one picture without a batch dimension in the answer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.softmax(self.model(pixels), dim=1).squeeze(0)


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop torch's notes beside every node: they hold stack traces with the paths of this machine."""
    graph = model.graph
    values = (*graph.initializer, *graph.value_info, *graph.input, *graph.output)
    for item in (model, graph, *graph.node, *values):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    return model
