"""OpenVINO's format, made from the ONNX file: `model.xml` and, beside it, `model.bin`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from snaptune.errors import ExportError

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""Without it OpenVINO computes in 16 bits on some processors, and says nothing."""

_SECTION = "snaptune"


def to_openvino(onnx_path: Path, path: Path) -> Path:
    """Write an ONNX file as `path` (.xml) and the weights beside it, with the same metadata."""
    ov = _openvino()
    model = ov.Core().read_model(onnx_path)
    for prop in onnx.load(onnx_path).metadata_props:
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
