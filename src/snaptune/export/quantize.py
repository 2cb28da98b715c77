"""Smaller weights: 8-bit arithmetic, or 16-bit storage."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

from snaptune.export.quiet import quiet

PERCENTILE = 99.99
"""Share of each activation's values inside the 8-bit range; the rest are cut off."""

CALIBRATION_PICTURES = 64
KEPT_IN_FLOAT = ("Softmax", "Gemm", "Div", "Squeeze")
"""The head and what follows: in 8 bits, probabilities would move in steps of 1/255."""

SMALLEST_HALVED = 1024
"""Values a tensor must have for its storage in 16 bits to be worth a node."""

Inputs = Iterator[npt.NDArray[np.float32]]


def quantised(
    network: onnx.ModelProto,
    inputs: Inputs,
    *,
    percentile: float = PERCENTILE,
    in_float: Collection[str] = (),
) -> onnx.ModelProto:
    """The network in 8 bits: activations unsigned, weights signed with a scale for each channel.

    `inputs` are normalised training pictures, float32 [1, 3, size, size], from which the ranges of the
    activations are taken. Nodes named `in_float` stay as they are.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        plain, ready, result = (Path(folder) / name for name in ("plain.onnx", "ready.onnx", "int8.onnx"))
        onnx.save(network, plain)
        quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
        kept = [node.name for node in onnx.load(ready).graph.node if node.op_type in KEPT_IN_FLOAT]
        kept += in_float
        quantize_static(
            str(ready),
            str(result),
            _Reader(inputs),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=kept,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": percentile},
        )
        return onnx.load(result)


def with_half_weights(network: onnx.ModelProto) -> onnx.ModelProto:
    """The network with its large tensors stored in 16 bits, widened when it is loaded: half the size.

    A tensor with a value beyond 16-bit floats stays as it is.
    """
    halved = onnx.ModelProto()
    halved.CopyFrom(network)
    widened = [_halve(tensor) for tensor in halved.graph.initializer if _can_be_halved(tensor)]
    nodes = [*widened, *halved.graph.node]
    del halved.graph.node[:]
    halved.graph.node.extend(nodes)
    return halved


def _can_be_halved(tensor: onnx.TensorProto) -> bool:
    if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST_HALVED:
        return False
    return bool(np.abs(numpy_helper.to_array(tensor)).max() <= np.finfo(np.float16).max)


def _halve(tensor: onnx.TensorProto) -> onnx.NodeProto:
    """Narrow a tensor in place under another name; the node that widens it to the old one."""
    name = tensor.name
    narrow = numpy_helper.to_array(tensor).astype(np.float16)
    tensor.CopyFrom(numpy_helper.from_array(narrow, f"{name}_half"))
    return onnx.helper.make_node(
        "Cast", [tensor.name], [name], name=f"{name}_widened", to=onnx.TensorProto.FLOAT
    )


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """What the quantiser asks for its next input."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        pixels = next(self._inputs, None)
        return None if pixels is None else {"pixels": pixels}
