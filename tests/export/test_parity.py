from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from snaptune.errors import ExportError
from snaptune.export.certificate import (
    ALLOWED_DIFFERENCE,
    Certificate,
    Difference,
    Latency,
    from_json,
)
from snaptune.export.parity import certify
from snaptune.export.pictures import NamedPicture
from snaptune.prediction import TorchClassifier

from .conftest import CLASSES, prepared

Pictures = list[NamedPicture]


@pytest.fixture(scope="module")
def certificate(classifier: TorchClassifier, exported: Path, pictures: Pictures) -> Certificate:
    return certify(classifier, exported, pictures)


def test_answers_are_far_from_uniform(classifier: TorchClassifier, pictures: Pictures) -> None:
    probabilities = classifier.probabilities(prepared(classifier, pictures))
    assert probabilities.max(axis=1).mean() > 0.5
    assert len(set(probabilities.argmax(axis=1))) >= 4


def test_exported_file_answers_as_pytorch_does(certificate: Certificate, pictures: Pictures) -> None:
    certificate.check()
    assert certificate.pictures == len(pictures)
    assert certificate.equal_top1 == 1
    assert 0 < certificate.mean_difference <= certificate.largest_difference < ALLOWED_DIFFERENCE


def test_certificate_says_what_was_compared(certificate: Certificate, exported: Path) -> None:
    saved = json.loads(json.dumps(certificate.to_json()))
    assert saved["file"] == "model.onnx"
    assert saved["file_bytes"] == exported.stat().st_size
    assert len(saved["most_different"]) == 5
    assert {"torch", "onnxruntime", "snaptune", "python"} <= saved["versions"].keys()


def test_certificate_can_be_read_again(certificate: Certificate) -> None:
    timed = replace(certificate, latency_ms=Latency(8.25, 4.5, 2), notes=("a", "b"))
    for one in (certificate, timed):
        assert from_json(json.dumps(one.to_json()), "certificate.json") == one


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"accuracy": 1, "latency_ms": null}'])
def test_a_damaged_certificate_is_named(text: str) -> None:
    with pytest.raises(ExportError, match=r"^'certificate\.json' is not a certificate of this version"):
        from_json(text, "certificate.json")


def test_pictures_that_differ_most_come_first(certificate: Certificate) -> None:
    values = [row.difference for row in certificate.most_different]
    assert values == sorted(values, reverse=True)
    assert values[0] == certificate.largest_difference


def test_summary_shows_n_and_what_is_allowed(certificate: Certificate, pictures: Pictures) -> None:
    start = f"{len(pictures)} pictures through PyTorch and model.onnx (fp32, 1.5 MB): 100.00% the same label"
    assert certificate.summary().startswith(start)
    assert certificate.summary().endswith("(allowed 0.001)")
    timed = replace(certificate, latency_ms=Latency(8.25, 4.5, 2)).summary()
    assert timed.endswith("; one 640x480 picture takes 8.2 ms with 1 thread, 4.5 with 2")


def test_too_large_a_difference_fails_and_says_what_to_do(certificate: Certificate) -> None:
    worst = Difference("rose.jpg", 0.02, "rose", "rose")
    with pytest.raises(ExportError) as caught:
        replace(certificate, largest_difference=0.02, most_different=(worst,)).check()
    assert str(caught.value) == (
        "'model.onnx' does not answer as PyTorch does. A probability differs by 0.02 (at 'rose.jpg'); "
        "at most 0.001 is allowed. Do not ship this file; export again after "
        "'pip install -U onnx onnxscript onnxruntime', and report the model's name if it stays so."
    )


def test_another_label_fails_and_names_the_picture(certificate: Certificate) -> None:
    other = Difference("rose.jpg", 0.0001, "rose", "tulip")
    expected = r"1 of 37 pictures get another label: 'rose\.jpg' \(rose → tulip\)\."
    with pytest.raises(ExportError, match=expected):
        replace(certificate, other_label=(other,)).check()


def test_an_answer_that_is_no_number_fails(
    classifier: TorchClassifier, exported: Path, pictures: Pictures
) -> None:
    class NotANumber(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.full((len(pixels), len(CLASSES)), torch.nan)

    broken = certify(replace(classifier, model=NotANumber()), exported, pictures[:3])
    with pytest.raises(ExportError, match=r"differs by 1 "):
        broken.check()


def test_another_model_fails(classifier: TorchClassifier, exported: Path, pictures: Pictures) -> None:
    other = nn.Sequential(classifier.model, nn.Threshold(0.0, 0.0))
    with pytest.raises(ExportError, match="does not answer as PyTorch does"):
        certify(replace(classifier, model=other), exported, pictures).check()


def test_another_number_of_classes_fails(
    classifier: TorchClassifier, exported: Path, pictures: Pictures
) -> None:
    other = nn.Sequential(classifier.model, nn.Linear(len(CLASSES), 3))
    with pytest.raises(ExportError, match=r"knows 5 classes \(call, dislike, .*, the run 3"):
        certify(replace(classifier, model=other, class_names=CLASSES[:3]), exported, pictures)


def test_nothing_to_compare_on_is_an_error(classifier: TorchClassifier, exported: Path) -> None:
    with pytest.raises(ExportError, match="No pictures to compare"):
        certify(classifier, exported, [])


def test_progress_sees_every_picture(classifier: TorchClassifier, exported: Path, pictures: Pictures) -> None:
    seen: list[tuple[int, int, str]] = []

    def watch(items: Iterable[int], total: int, title: str) -> Iterable[int]:
        for item in items:
            seen.append((item, total, title))
            yield item

    certify(classifier, exported, pictures[:3], watch)
    assert seen == [(index, 3, "Comparing with PyTorch") for index in range(3)]
