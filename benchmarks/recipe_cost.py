"""What the recipe inside the graph costs each runtime: python -m benchmarks recipe_cost [MODEL] [SIZE].

Networks of random weights, alone and behind the recipe, in turns, one thread, one 640x480 picture. Processor
time, so that it can be run beside other work; OpenVINO needs its extra.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import openvino as ov

from snaptune.export.awkward import awkward_pictures, scene
from snaptune.export.onnx import describe, network_graph, with_recipe
from snaptune.export.openvino import EXACT, to_openvino
from snaptune.export.publish import network_inputs
from snaptune.export.quantize import quantised
from snaptune.images.preprocess import Preprocess
from snaptune.models.build import build_model
from snaptune.prediction import TorchClassifier

ROUNDS = 15
CLASSES = tuple(map(str, range(19)))
Call = Callable[[], object]


def main(model: str = "resnet18d", size: str = "288") -> None:
    preprocess = Preprocess(int(size), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    network = build_model(model, len(CLASSES), "none", size=preprocess.size).eval()
    classifier = TorchClassifier(network, preprocess, CLASSES)
    full = network_graph(classifier)
    small = quantised(full, network_inputs(classifier, awkward_pictures()))
    with TemporaryDirectory() as folder:
        calls = {
            f"{name} {kind}": call
            for kind, graph in (("fp32", full), ("int8", small))
            for name, call in contestants(graph, classifier, Path(folder) / f"{kind}.xml").items()
        }
        times = in_turns(calls)
    print(f"{model} at {size} pixels, milliseconds of the processor: median (fastest), n = {ROUNDS}")
    for name, values in times.items():
        print(f"{name:<42}{statistics.median(values):>8.1f} ({min(values):.1f})")


def contestants(graph: onnx.ModelProto, classifier: TorchClassifier, path: Path) -> dict[str, Call]:
    metadata = describe(classifier, "random")
    whole = with_recipe(graph, metadata)
    prepared = np.zeros((1, 3, classifier.preprocess.size, classifier.preprocess.size), np.float32)
    picture = scene(640, 480)
    core = ov.Core()
    return {
        "ONNX Runtime, network": onnxruntime_call(graph, {"pixels": prepared}),
        "ONNX Runtime, recipe in bytes": onnxruntime_call(whole, {"image": picture}),
        "OpenVINO, network": openvino_call(core.read_model(graph.SerializeToString()), prepared),
        "OpenVINO, recipe in bytes": openvino_call(core.read_model(whole.SerializeToString()), picture),
        "OpenVINO, recipe in floats": openvino_call(
            core.read_model(to_openvino(graph, metadata, path)), picture
        ),
    }


def onnxruntime_call(graph: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    return lambda: session.run(None, inputs)


def openvino_call(model: ov.Model, given: np.ndarray) -> Call:
    request = ov.compile_model(model, "CPU", EXACT | {"INFERENCE_NUM_THREADS": "1"}).create_infer_request()
    return lambda: request.infer([given])


def in_turns(calls: dict[str, Call]) -> dict[str, list[float]]:
    """Milliseconds of processor time by name, after two calls each to warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(ROUNDS + 2):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn >= 2:
                times[name].append((time.process_time() - start) * 1e3)
    return times


if __name__ == "__main__":
    main(*sys.argv[1:])
