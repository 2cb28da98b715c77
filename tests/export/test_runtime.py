from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snaptune.answers import UNKNOWN
from snaptune.errors import ExportError
from snaptune.export.onnx import export_onnx
from snaptune.export.pictures import NamedPicture
from snaptune.export.runtime import OnnxClassifier
from snaptune.prediction import TorchClassifier

from .conftest import confident_classifier

WITHOUT_TORCH = """
import json, sys
import snaptune as st
model, *pictures = sys.argv[1:]
print(json.dumps([answer.top for answer in st.Classifier.load(model).predict(pictures)]))
assert "torch" not in sys.modules
"""


def test_file_alone_answers_as_the_classifier(
    classifier: TorchClassifier, exported: Path, pictures: list[NamedPicture]
) -> None:
    images = [picture.open() for picture in pictures]
    given = OnnxClassifier.load(exported).predict([*images])
    expected = classifier.predict([*images])
    assert [answer.label for answer in given] == [answer.label for answer in expected]
    difference = np.subtract([a.confidence for a in given], [a.confidence for a in expected])
    assert np.abs(difference).max() < 1e-4


def test_one_picture_gives_one_answer(exported: Path, pictures: list[NamedPicture]) -> None:
    answer = OnnxClassifier.load(exported).predict(np.asarray(pictures[0].open()), top=2)
    assert len(answer.top) == 2
    assert answer.confidence == answer.top[0][1]


def test_file_answers_unknown_below_its_threshold(exported: Path, pictures: list[NamedPicture]) -> None:
    cautious = OnnxClassifier.load(exported, may_abstain=True)
    assert cautious.calibration.threshold == 0.4
    for picture in pictures:
        answer = cautious.predict(picture.open())
        assert (answer.label == UNKNOWN) == (answer.confidence <= 0.4)


def test_file_without_a_threshold_cannot_abstain(pictures: list[NamedPicture], tmp_path: Path) -> None:
    plain = confident_classifier("test_resnet", 32, pictures)
    path = export_onnx(plain, tmp_path / "model.onnx", model_name="test_resnet")
    with pytest.raises(ExportError) as caught:
        OnnxClassifier.load(path, may_abstain=True)
    assert str(caught.value) == (
        f"'{path}' has no threshold for 'unknown'. Find one with: snaptune evaluate RUN; "
        "then export the run again."
    )


def test_file_answers_where_no_torch_is_installed(exported: Path, picture_folder: Path) -> None:
    files = [str(path) for path in sorted(picture_folder.rglob("*.jpg"))[:4]]
    command = [sys.executable, "-c", WITHOUT_TORCH, str(exported), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    expected = OnnxClassifier.load(exported).predict([*files])
    assert json.loads(done.stdout) == [[list(pair) for pair in answer.top] for answer in expected]
