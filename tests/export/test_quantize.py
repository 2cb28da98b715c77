from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from snaptune.export.onnx import describe, network_graph, with_recipe
from snaptune.export.parity import certify
from snaptune.export.pictures import NamedPicture
from snaptune.export.publish import network_inputs
from snaptune.export.quantize import quantised, with_half_weights
from snaptune.prediction import TorchClassifier


@pytest.fixture(scope="module")
def network(classifier: TorchClassifier) -> onnx.ModelProto:
    return network_graph(classifier)


@pytest.fixture(scope="module")
def int8(
    classifier: TorchClassifier, network: onnx.ModelProto, pictures: list[NamedPicture]
) -> onnx.ModelProto:
    return quantised(network, network_inputs(classifier, pictures[:16]))


def written(network: onnx.ModelProto, classifier: TorchClassifier, path: Path) -> Path:
    path.write_bytes(with_recipe(network, describe(classifier, "test_resnet")).SerializeToString())
    return path


def test_half_weights_are_half_the_size_and_answer_nearly_alike(
    classifier: TorchClassifier, network: onnx.ModelProto, pictures: list[NamedPicture], tmp_path: Path
) -> None:
    full = written(network, classifier, tmp_path / "full.onnx")
    half = written(with_half_weights(network), classifier, tmp_path / "half.onnx")
    assert half.stat().st_size < 0.6 * full.stat().st_size
    certificate = certify(classifier, half, pictures[:20])
    assert 1e-6 < certificate.largest_difference < 1e-2


def test_a_tensor_beyond_16_bits_stays_as_it_is(network: onnx.ModelProto) -> None:
    large = onnx.numpy_helper.from_array(np.full(5000, 1e6, np.float32), "large")
    changed = onnx.ModelProto()
    changed.CopyFrom(network)
    changed.graph.initializer.append(large)
    kept = {tensor.name: tensor for tensor in with_half_weights(changed).graph.initializer}
    assert kept["large"].data_type == onnx.TensorProto.FLOAT


def test_int8_answers_nearly_alike_in_steps_finer_than_a_byte(
    classifier: TorchClassifier, int8: onnx.ModelProto, pictures: list[NamedPicture], tmp_path: Path
) -> None:
    certificate = certify(classifier, written(int8, classifier, tmp_path / "int8.onnx"), pictures[:20])
    assert certificate.equal_top1 >= 0.8
    assert certificate.mean_difference < 0.05


def test_int8_leaves_the_head_and_the_recipe_alone(int8: onnx.ModelProto) -> None:
    kinds = [node.op_type for node in int8.graph.node]
    assert kinds.count("QuantizeLinear") > 5
    assert kinds[-3:-1] == ["Div", "Softmax"] or "Softmax" in kinds[-3:]
    softmax = next(node for node in int8.graph.node if node.op_type == "Softmax")
    producer = next(node for node in int8.graph.node if softmax.input[0] in node.output)
    assert producer.op_type in ("Gemm", "Div")


def test_weights_have_a_scale_for_each_channel(int8: onnx.ModelProto) -> None:
    scales = {tensor.name: tensor for tensor in int8.graph.initializer if tensor.name.endswith("_scale")}
    assert any(tensor.dims and tensor.dims[0] > 8 for tensor in scales.values())


def test_quantising_says_nothing(
    classifier: TorchClassifier,
    network: onnx.ModelProto,
    pictures: list[NamedPicture],
    capfd: pytest.CaptureFixture[str],
) -> None:
    quantised(network, network_inputs(classifier, pictures[:2]))
    assert capfd.readouterr() == ("", "")
