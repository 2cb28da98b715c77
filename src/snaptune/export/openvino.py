"""OpenVINO's format, made from the ONNX network: `model.xml` and, beside it, `model.bin`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from snaptune.errors import ExportError
from snaptune.export.metadata import Metadata
from snaptune.export.onnx import with_recipe
from snaptune.export.recipe import recipe_graph, recipe_text

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""Without it OpenVINO computes in 16 bits on some processors, and says nothing."""

_SECTION = "snaptune"


def to_openvino(network: onnx.ModelProto, metadata: Metadata, path: Path) -> Path:
    """Write the recipe and an ONNX network behind it as `path` (.xml) and the weights beside it.

    The recipe computes in floats: OpenVINO spends more time on the byte products than on many a network.
    """
    ov = _openvino()
    recipe = recipe_graph(recipe_text(metadata.preprocess, in_float=True))
    whole = with_recipe(network, metadata, recipe)
    model = ov.Core().read_model(whole.SerializeToString())
    for prop in whole.metadata_props:
        model.set_rt_info(prop.value, [_SECTION, prop.key])
    path.parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def compiled(path: Path, threads: int) -> tuple[Any, dict[str, str]]:
    """The file in 32 bits on the processor, with `threads` threads (0 for all cores), and its metadata."""
    ov = _openvino()
    settings = EXACT | ({"INFERENCE_NUM_THREADS": str(threads)} if threads else {})
    try:
        model = ov.Core().read_model(path)
    except RuntimeError as error:
        raise ExportError(f"'{path}' cannot be opened by OpenVINO: {error}") from error
    known = model.get_rt_info(_SECTION).value if model.has_rt_info(_SECTION) else {}
    properties = {key: str(value) for key, value in known.items()}
    return ov.compile_model(model, "CPU", settings), properties


def _openvino() -> Any:
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise ExportError(
            "Exporting to OpenVINO needs the 'openvino' extra: pip install 'snaptune[openvino]'"
        ) from error
    return openvino
