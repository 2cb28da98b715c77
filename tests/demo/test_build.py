"""The folder that `build_demo` writes."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import snaptune.demo.build as build
from snaptune.demo.build import DemoCard, DemoSample, build_demo
from snaptune.errors import DemoError

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c4944415408d763f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)
CARD = DemoCard("Cats", ("cat", "dog"), 0.9, 0.8, 0.95, 40, "resnet18d", "Indoor cats only.")
SAMPLE = DemoSample("one.png", "cat", PNG, (0.25, 0.75))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the model's bytes")
    return path


def manifest_of(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_writes_exactly_these_files(model: Path, tmp_path: Path) -> None:
    out = build_demo(model, [SAMPLE], tmp_path / "new" / "site", card=CARD)

    without_hashes = {re.sub(r"\.[0-9a-f]{12}\.", ".", name) for name in files_of(out)}
    page = {path.name for path in build.SITE.iterdir()} - {"types.d.ts"}
    assert without_hashes == page | {
        "manifest.json",
        "model/model.onnx",
        "runtime/LICENSE.txt",
        "runtime/NOTICES.txt",
        "runtime/ort-webgpu.js",
        "runtime/ort-webgpu.wasm.gzip",
        "runtime/ort.js",
        "runtime/ort.wasm.gzip",
        "samples/01.png",
    }


def test_manifest_describes_every_large_file(model: Path, tmp_path: Path) -> None:
    out = build_demo(model, [SAMPLE], tmp_path / "site", card=CARD)

    manifest = manifest_of(out)
    engines = (manifest["runtime"], manifest["runtime"]["webgpu"])
    files = [engine[part] for engine in engines for part in ("script", "wasm")]
    for entry in (manifest["model"], *files):
        data = (out / entry["file"]).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        assert (entry["bytes"], entry["sha256"]) == (len(data), digest)
        assert f".{digest[:12]}." in entry["file"]


def test_manifest_carries_card_classes_and_samples(model: Path, tmp_path: Path) -> None:
    out = build_demo(model, [SAMPLE], tmp_path / "site", card=CARD, unknown_threshold=0.4)

    manifest = manifest_of(out)
    assert manifest["card"]["title"] == "Cats"
    assert manifest["class_names"] == ["cat", "dog"]
    assert (manifest["unknown_threshold"], manifest["tolerance"]) == (0.4, 1e-3)
    (sample,) = manifest["samples"]
    assert (sample["name"], sample["label"], sample["probabilities"]) == ("one.png", "cat", [0.25, 0.75])
    assert (out / sample["file"]).read_bytes() == PNG


def test_a_second_build_replaces_the_first_and_leaves_the_rest(model: Path, tmp_path: Path) -> None:
    out = build_demo(model, [SAMPLE], tmp_path / "site", card=CARD)
    (out / "CNAME").write_text("mine")
    (out / "samples" / "mine.png").write_bytes(b"mine")
    first = manifest_of(out)["model"]["file"]
    model.write_bytes(b"another model")

    build_demo(model, [], out, card=CARD)

    files = files_of(out)
    assert first not in files
    assert {name for name in files if "samples" in name} == {"samples/mine.png"}
    assert (out / "CNAME").read_text() == "mine"
    assert (out / manifest_of(out)["model"]["file"]).read_bytes() == b"another model"


def test_the_page_names_no_other_origin() -> None:
    for path in build.SITE.iterdir():
        addresses = re.findall(r"https?://[^\s\"')]+", path.read_text("utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path.name


def test_says_that_the_model_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        DemoError, match=r"No model at '.*nothing.onnx'\. Export the run first: snaptune export"
    ):
        build_demo(tmp_path / "nothing.onnx", [], tmp_path / "site", card=CARD)


def test_says_that_the_runtime_is_missing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "RUNTIME", tmp_path / "runtime")

    with pytest.raises(DemoError, match=r"runtime is missing from .*python hatch_build\.py"):
        build_demo(model, [], tmp_path / "site", card=CARD)


def test_never_writes_into_a_folder_of_something_else(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"exists and is not a demo\. Name an empty or a new folder"):
        build_demo(model, [], tmp_path, card=CARD)

    assert files_of(tmp_path) == {"model.onnx"}


def test_never_writes_over_a_file(model: Path) -> None:
    with pytest.raises(DemoError, match="exists and is not a demo"):
        build_demo(model, [], model, card=CARD)


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        (
            replace(SAMPLE, probabilities=(1.0,)),
            "Sample 'one.png' has 1 probabilities; the model has 2 classes",
        ),
        (replace(SAMPLE, label="fox"), "Sample 'one.png' is labelled 'fox', which is no class of: cat, dog"),
        (replace(SAMPLE, picture=b"no picture"), "Sample 'one.png' is not a picture that browsers show"),
    ],
)
def test_says_what_is_wrong_with_a_sample(model: Path, tmp_path: Path, sample: DemoSample, text: str) -> None:
    with pytest.raises(DemoError, match=text):
        build_demo(model, [sample], tmp_path / "site", card=CARD)

    assert not (tmp_path / "site").exists()
