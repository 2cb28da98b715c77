"""One door to a run and to a file exported from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

import snaptune as st
from snaptune.data.dataset import ImageDataset
from snaptune.errors import ModelError
from snaptune.export.onnx import export_onnx
from snaptune.inputs.expand import expand
from snaptune.prediction import TorchClassifier
from snaptune.prediction_stream import predict_stream

ROOT = Path(__file__).parents[1]
MINIMAL = ("numpy", "pillow", "onnxruntime")
"""What docs/export.md tells to install beside snaptune itself."""

USE = """
import sys
import snaptune as st
from snaptune.cli.main import main

model, picture = sys.argv[1:]
print(st.Classifier.load(model).predict(picture).label)
sys.exit(main(["predict", model, picture, "--format", "jsonl"]))
"""


@pytest.fixture(scope="module")
def exported(tiny_run: st.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    return export_onnx(TorchClassifier.load(tiny_run), path, model_name="test_resnet")


@pytest.fixture(scope="module")
def picture(picture_folder: Path) -> Path:
    return next((picture_folder / "fist").glob("*.jpg"))


def test_a_run_and_its_file_are_opened_alike_and_answer_alike(
    tiny_run: st.Run, exported: Path, small_dataset: ImageDataset
) -> None:
    pictures = [small_dataset.source.read(index) for index in range(6)]
    expected = st.Classifier.load(tiny_run).predict([*pictures])
    for source in (exported, str(exported), exported.parent):
        classifier = st.Classifier.load(source)
        assert isinstance(classifier, st.OnnxClassifier)
        assert classifier.class_names == tiny_run.class_names()
        given = classifier.predict([*pictures])
        assert [answer.label for answer in given] == [answer.label for answer in expected]
        differences = np.subtract([a.confidence for a in given], [a.confidence for a in expected])
        assert np.abs(differences).max() < 1e-5
        assert given[0].thumbnail


def test_a_run_that_was_exported_is_still_opened_as_a_run(tiny_run: st.Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(tiny_run.path, copy)
    (copy / "model.onnx").write_bytes(b"")
    assert isinstance(st.Classifier.load(copy), TorchClassifier)


def test_a_file_answers_streams_of_pictures(exported: Path, picture_folder: Path) -> None:
    classifier = st.Classifier.load(exported)
    rows = list(predict_stream(classifier, expand([str(picture_folder)])))
    assert len(rows) == 24
    assert all(row.prediction and row.prediction.label in classifier.class_names for row in rows)


def test_a_file_takes_no_other_geometry(exported: Path, picture_folder: Path) -> None:
    with pytest.raises(ModelError, match="leave out --fit short-side"):
        next(predict_stream(st.Classifier.load(exported), [], fit="short-side"))


def test_a_run_without_pytorch_says_what_to_give_instead(
    tiny_run: st.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "snaptune.prediction")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError) as caught:
        st.Classifier.load(tiny_run)
    assert str(caught.value) == (
        f"'{tiny_run.path}' is a run, which answers through PyTorch, and torch is not installed. "
        "Install it: pip install torch timm; or give an exported file: RUN/export/model.onnx"
    )


def test_an_environment_without_pytorch_answers(exported: Path, picture: Path, tmp_path: Path) -> None:
    """As docs/export.md tells: snaptune itself without its dependencies, and what answering needs."""
    python = installed_without_pytorch(tmp_path)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), "-c", USE, str(exported), str(picture)]
    used = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=clean, timeout=60, check=False
    )
    assert used.returncode == 0, used.stderr
    label, row = used.stdout.splitlines()
    expected = st.Classifier.load(exported).predict(picture).label
    assert (label, json.loads(row)["label"]) == (expected, expected)


def installed_without_pytorch(folder: Path) -> Path:
    """The Python of a new virtual environment; the test is skipped where there is no package index."""
    home, wheels = folder / "venv", folder / "wheels"
    wheel = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(ROOT)]
    built = subprocess.run([sys.executable, *wheel], capture_output=True, text=True, timeout=120, check=False)
    if built.returncode != 0:
        pytest.skip(f"no wheel of snaptune: {built.stderr.strip().splitlines()[-1]}")
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    fetched = subprocess.run([*pip, *MINIMAL], capture_output=True, text=True, timeout=300, check=False)
    if fetched.returncode != 0:
        pytest.skip(f"no package index: {fetched.stderr.strip().splitlines()[-1]}")
    subprocess.run([*pip, "--no-deps", *map(str, wheels.glob("*.whl"))], check=True, timeout=60)
    return python
