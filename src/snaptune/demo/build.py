"""Writes the demo: static files that classify pictures in the browser, offline, from any server."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from snaptune.errors import DemoError

HERE = Path(__file__).parent
SITE = HERE / "site"
RUNTIME = HERE / "runtime"
PROCESSOR = ("ort.wasm.bundle.min.js", "ort-wasm-simd-threaded.wasm.gzip")
GRAPHICS = ("ort.webgpu.bundle.min.js", "ort-wasm-simd-threaded.asyncify.wasm.gzip")
LICENCES = ("LICENSE.txt", "NOTICES.txt")
TOLERANCE = 1e-3
"""Largest difference of a probability with which the page's self-test passes."""
HASHED = re.compile(r"\.[0-9a-f]{12}\.[a-z.]+$")
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp"}


@dataclass(frozen=True)
class DemoSample:
    """A picture with its true label and the probabilities that the page must find.

    `picture` is the encoded file as it lies on the user's disk; `probabilities` are in the order of the
    class names: what the very model file that the page ships gave through ONNX Runtime. How far that file
    is from PyTorch is the certificate's matter.
    """

    name: str
    label: str
    picture: bytes
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class DemoCard:
    """What the page says about the model.

    `accuracy` is of `n` pictures, with its 95 % interval; `certificate` says how near the exported model
    comes to the original. An empty text is left out.
    """

    title: str
    class_names: tuple[str, ...]
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    n: int
    model_name: str
    note: str
    certificate: str = ""


def build_demo(
    model: Path,
    samples: Sequence[DemoSample],
    out: Path,
    *,
    card: DemoCard,
    credits: Sequence[Path] = (),
    unknown_threshold: float | None = None,
) -> Path:
    """Write the static site into the folder `out`, replacing an earlier demo there; returns `out`.

    `model` is an ONNX file that takes `image`, uint8 [height, width, 3] of any size, and returns `probs`,
    float32 [classes]. `credits` are files that say whose pictures the samples are; the page links them.
    Below `unknown_threshold` the page answers "None of these".
    """
    _check(model, samples, out, card)
    _clear(out)
    page = _copy_page(out)
    manifest = {
        "card": {key: value for key, value in asdict(card).items() if key != "class_names"},
        "class_names": list(card.class_names),
        "model": _add(out, "model/model.onnx", model.read_bytes()),
        "runtime": _add_runtime(out),
        "samples": [_add_sample(out, number, sample) for number, sample in enumerate(samples, 1)],
        "credits": [_copy(path, out, "credits") for path in credits],
        "tolerance": TOLERANCE,
        "unknown_threshold": unknown_threshold,
        "page": page,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False), "utf-8")
    return out


def _check(model: Path, samples: Sequence[DemoSample], out: Path, card: DemoCard) -> None:
    if not model.is_file():
        raise DemoError(f"No model at '{model}'. Export the run first: snaptune export RUN")
    if not all((RUNTIME / name).is_file() for name in ("runtime.json", *PROCESSOR, *GRAPHICS)):
        raise DemoError(
            f"The browser runtime is missing from '{RUNTIME}'. In a checkout run: python hatch_build.py; "
            "otherwise install snaptune again."
        )
    if out.exists() and not _is_demo(out) and (not out.is_dir() or any(out.iterdir())):
        raise DemoError(f"'{out}' exists and is not a demo. Name an empty or a new folder.")
    for sample in samples:
        _check_sample(sample, card.class_names)


def _check_sample(sample: DemoSample, class_names: Sequence[str]) -> None:
    _suffix(sample)
    count, classes = len(sample.probabilities), len(class_names)
    if count != classes:
        raise DemoError(f"Sample '{sample.name}' has {count} probabilities; the model has {classes} classes.")
    if sample.label not in class_names:
        known = ", ".join(class_names)
        raise DemoError(
            f"Sample '{sample.name}' is labelled '{sample.label}', which is no class of: {known}."
        )


def _is_demo(folder: Path) -> bool:
    return (folder / "manifest.json").is_file() and (folder / "sw.js").is_file()


def _clear(out: Path) -> None:
    """Remove an earlier demo's large files from `out`, and nothing that someone else put there."""
    for name in ("model", "runtime", "samples"):
        for path in (out / name).glob("*"):
            if HASHED.search(path.name):
                path.unlink()
    out.mkdir(parents=True, exist_ok=True)


def _copy_page(out: Path) -> list[str]:
    """Copy the page's source and the runtime's licences; returns the names of the page's files."""
    page = sorted(path for path in SITE.iterdir() if path.suffix in {".html", ".css", ".js", ".svg"})
    for path in page:
        shutil.copyfile(path, out / path.name)
    for name in LICENCES:
        _copy(RUNTIME / name, out, "runtime")
    return [path.name for path in page if path.name != "sw.js"]


def _copy(path: Path, out: Path, folder: str) -> str:
    """Copy a file into a folder of the site; returns its name there."""
    (out / folder).mkdir(exist_ok=True)
    shutil.copyfile(path, out / folder / path.name)
    return f"{folder}/{path.name}"


def _add(out: Path, name: str, data: bytes) -> dict[str, Any]:
    """Write `data` under a name that holds its hash, so that a browser may keep it for ever."""
    digest = hashlib.sha256(data).hexdigest()
    stem, _, suffix = name.partition(".")
    file = f"{stem}.{digest[:12]}.{suffix}"
    path = out / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return {"file": file, "bytes": len(data), "sha256": digest}


def _add_runtime(out: Path) -> dict[str, Any]:
    record = json.loads((RUNTIME / "runtime.json").read_text("utf-8"))
    return {
        "version": record["version"],
        **_add_engine(out, "ort", PROCESSOR),
        "webgpu": _add_engine(out, "ort-webgpu", GRAPHICS),
    }


def _add_engine(out: Path, name: str, files: tuple[str, str]) -> dict[str, Any]:
    script, wasm = ((RUNTIME / file).read_bytes() for file in files)
    return {
        "script": _add(out, f"runtime/{name}.js", script),
        "wasm": _add(out, f"runtime/{name}.wasm.gzip", wasm),
    }


def _add_sample(out: Path, number: int, sample: DemoSample) -> dict[str, Any]:
    entry = _add(out, f"samples/{number:02}{_suffix(sample)}", sample.picture)
    return {
        "file": entry["file"],
        "name": sample.name,
        "label": sample.label,
        "probabilities": list(sample.probabilities),
    }


def _suffix(sample: DemoSample) -> str:
    try:
        with Image.open(BytesIO(sample.picture)) as image:
            return SUFFIXES[image.format or ""]
    except (UnidentifiedImageError, KeyError):
        known = ", ".join(SUFFIXES)
        raise DemoError(f"Sample '{sample.name}' is not a picture that browsers show ({known}).") from None
