"""A tiny real classifier for the demo's tests: timm's test_resnet in PyTorch and as an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import timm
import torch
from torch import nn

from snaptune.images.load import load_image
from snaptune.images.preprocess import Preprocess

SIZE = 96
RECIPE = Preprocess(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SPREAD = 2.5
PREPARE = """<ir_version: 10, opset_import: ["" : 18]>
prepare (uint8[height,width,3] image) => (float[1,3,SIZE,SIZE] pixels4) {
  start = Constant <value = int64[1] {0}> ()
  middle = Constant <value = int64[1] {1}> ()
  end = Constant <value = int64[1] {2}> ()
  target = Constant <value = int64[1] {SIZE}> ()
  twice = Constant <value = int64[1] {DOUBLE}> ()
  channels = Constant <value = int64[2] {1,3}> ()
  none = Constant <value = int64[2] {0,0}> ()
  shift = Constant <value = float {127.5}> ()
  shape = Shape(image)
  H = Slice(shape, start, middle)
  W = Slice(shape, middle, end)
  L = Max(H, W)
  L2 = Add(L, L)
  h1 = Mul(H, twice)
  h2 = Add(h1, L)
  h3 = Div(h2, L2)
  h = Max(h3, middle)
  w1 = Mul(W, twice)
  w2 = Add(w1, L)
  w3 = Div(w2, L2)
  w = Max(w3, middle)
  batch = Unsqueeze(image, start)
  planes = Transpose <perm = [0,3,1,2]> (batch)
  sizes = Concat <axis = 0> (channels, h, w)
  small8 = Resize <mode="linear", antialias=1, exclude_outside=1,
                   coordinate_transformation_mode="half_pixel"> (planes, , , sizes)
  small = Cast <to = 1> (small8)
  dh = Sub(target, h)
  dw = Sub(target, w)
  top = Div(dh, end)
  left = Div(dw, end)
  bottom = Sub(dh, top)
  right = Sub(dw, left)
  pads = Concat <axis = 0> (none, top, left, none, bottom, right)
  square = Pad <mode = "edge"> (small, pads)
  centred = Sub(square, shift)
  pixels4 = Div(centred, shift)
}"""


class Classifier(nn.Module):
    """Probabilities of a network with random weights, spread out so that a wrong pixel shows."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.net = timm.create_model("test_resnet", num_classes=classes)
        self.shift = nn.Parameter(torch.zeros(classes))
        self.scale = nn.Parameter(torch.ones(classes))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.net(pixels)
        return ((logits - self.shift) * self.scale).softmax(1)

    def spread(self, pictures: list[bytes]) -> None:
        """Give each class the same share of `pictures`, and probabilities far from uniform."""
        with torch.inference_mode():
            logits = self.net(torch.cat([pixels_of(picture) for picture in pictures]))
        std, mean = torch.std_mean(logits, 0)
        self.shift.data, self.scale.data = mean, SPREAD / std


def pixels_of(picture: bytes) -> torch.Tensor:
    """The model's input for an encoded picture, by the reference implementation: [1, 3, SIZE, SIZE]."""
    square = RECIPE.pixels(load_image(picture, "picture")).astype(np.float32)
    return torch.from_numpy((square / 255 - 0.5) / 0.5).permute(2, 0, 1)[None]


@dataclass(frozen=True)
class Tiny:
    """The classifier in both shapes."""

    module: Classifier
    onnx: Path
    class_names: tuple[str, ...]

    def probabilities(self, picture: bytes) -> tuple[float, ...]:
        """PyTorch's answer for an encoded picture."""
        with torch.inference_mode():
            return tuple(self.module(pixels_of(picture))[0].tolist())


def make_tiny(class_names: tuple[str, ...], pictures: list[bytes], folder: Path) -> Tiny:
    """Build the classifier and write its ONNX file into `folder`."""
    module = Classifier(len(class_names)).eval()
    module.spread(pictures)
    exported = torch.onnx.export(
        module,
        (torch.zeros(1, 3, SIZE, SIZE),),
        dynamo=True,
        opset_version=18,
        input_names=["pixels"],
        output_names=["batched"],
        external_data=False,
        verbose=False,
    )
    assert exported is not None
    path = folder / "tiny.onnx"
    onnx.save(with_preparation(exported.model_proto), path)
    return Tiny(module, path, class_names)


def with_preparation(net: onnx.ModelProto) -> onnx.ModelProto:
    """Put the resize in front of the network and take the batch axis away behind it."""
    prepare = onnx.parser.parse_model(PREPARE.replace("SIZE", str(SIZE)).replace("DOUBLE", str(2 * SIZE)))
    net.ir_version = prepare.ir_version
    merged = onnx.compose.merge_models(prepare, net, io_map=[("pixels4", "pixels")], prefix2="net_")
    classes = net.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    merged.graph.node.append(onnx.helper.make_node("Squeeze", ["net_batched", "start"], ["probs"]))
    del merged.graph.output[:]
    merged.graph.output.append(onnx.helper.make_tensor_value_info("probs", onnx.TensorProto.FLOAT, [classes]))
    onnx.checker.check_model(merged, full_check=True)
    return merged
