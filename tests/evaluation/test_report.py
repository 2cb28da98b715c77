import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from snaptune.evaluation.calibration import Calibration
from snaptune.evaluation.intervals import Estimate
from snaptune.evaluation.plots import Series, line_chart, nice_ticks
from snaptune.evaluation.report import Background, Epoch, Mistake, render, with_certificates
from snaptune.evaluation.results import Predictions, summarise
from snaptune.export.certificate import Accuracy, Certificate, Difference, Latency, Unverified

EVIL = "<script>alert(1)</script>\"'&"


def certificate(name: str = "cat", **changed: Any) -> Certificate:
    other = Difference(name, 0.04, name, name)
    drop = Estimate(0.008, -0.004, 0.02, 132)
    given: dict[str, Any] = {
        "file": name,
        "file_bytes": 22_500_000,
        "sha256": "0123",
        "pictures": 149,
        "equal_top1": 148 / 149,
        "largest_difference": 0.04,
        "mean_difference": 2e-4,
        "allowed_difference": 1e-3,
        "most_different": (other,),
        "other_label": (other,),
        "versions": {"torch": name},
        "weights": "int8",
        "accuracy": Accuracy(0.9, 0.892, drop),
        "allowed_drop": 0.01,
        "latency_ms": Latency(17.8, 10.0, 2),
        "notes": (name,),
        "temperature": 1.2,
    }
    return Certificate(**given | changed)


def page(name: str = "cat", classes: int = 3, epochs: int = 2, threshold: float = 0.5, **changed: Any) -> str:
    labels = np.arange(60) % classes
    answers = np.where(np.arange(60) % 7 == 0, (labels + 1) % classes, labels)
    predictions = Predictions(
        ids=(name,) * 60,
        parts=("validation",) * 60,
        labels=labels,
        logits=5 * np.eye(classes)[answers],
        class_names=(name, *(f"class {index}" for index in range(1, classes))),
        groups=np.arange(60) % 2,
        group_names=(name, "bob"),
    )
    calibration = Calibration(1.2, threshold, 0.02, 60)
    report = summarise(predictions, calibration, run=name, dataset=name, part="validation", about=(name,))
    background = Background(
        epochs=[Epoch(1.0, 0.9 / (index + 1), 0.5, 0.6, True) for index in range(epochs)],
        mistakes=[Mistake(name, name, name, 0.9, name, b"\xff\xd8")],
        settings={name: name},
        environment={"python": "3"},
        certificates=[certificate(name, **changed)],
    )
    return render(report, background)


class Balance(HTMLParser):
    """Fails on a tag that is closed out of order or left open."""

    VOID = frozenset(("meta", "img", "br", "line", "circle", "rect", "polyline", "path"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


@pytest.mark.parametrize("name", ["cat", EVIL])
def test_page_is_whole_and_runs_nothing(name: str) -> None:
    parser = Balance()
    parser.feed(page(name))
    assert parser.open == []
    assert "svg" in parser.seen
    assert not parser.seen & {"script", "link", "iframe", "object"}


def test_every_string_from_data_is_escaped() -> None:
    text = page(EVIL)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") > 10


def test_page_asks_no_network() -> None:
    text = page()
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_with_many_classes_the_most_mistaken_are_drawn() -> None:
    assert "The 40 classes with most mistakes of 50" in page(classes=50)
    assert "classes with most mistakes" not in page(classes=30)


@pytest.mark.parametrize("epochs", [0, 1, 30])
def test_curves_for_any_number_of_epochs(epochs: int) -> None:
    assert ("Learning curves" in page(epochs=epochs)) == (epochs > 0)


@pytest.mark.parametrize(("low", "high"), [(0.93, 1.0), (0.1, 2.9), (1, 9), (1, 1), (0, 1e-6), (-3, 2000)])
def test_ticks_are_few_and_enclose(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 8 or low == high
    assert ticks[0] <= low
    assert ticks[-1] >= high


def test_values_that_are_all_equal_get_a_range_around_them() -> None:
    ticks = nice_ticks(0.5, 0.5)
    assert ticks[0] < 0.5 < ticks[-1]
    flat = [Series("train", (0.5,), "one"), Series("validation", (0.5,), "two")]
    assert "<svg" in line_chart("flat", flat)


def test_an_exported_file_is_a_row_with_its_figures_and_remarks() -> None:
    text = page()
    for name, value in (
        ("Judged", "passed"),
        ("Same label", "99.33 % of 149 pictures"),
        ("Largest difference of a probability", "4.0e-02"),
        ("Points of accuracy lost", "0.8 (95 % interval -0.4 to 2.0, n = 132; allowed 1)"),
        ("One 640x480 picture, 1 thread", "17.8 ms"),
        ("All threads", "10.0 ms (2)"),
        ("Size", "22.5 MB"),
    ):
        assert f'<th scope="row">{name}</th><td>{value}</td>' in text
    assert "cat differs most at: cat (4.0e-02)" in text
    assert "cat answers 1 pictures otherwise: cat (cat → cat)" in text
    assert "SHA-256 0123; torch cat" in text


def test_a_file_judged_by_its_answers_shows_what_is_allowed() -> None:
    text = page(allowed_drop=None, accuracy=None, latency_ms=None, other_label=(), largest_difference=1e-5)
    assert "<td>1.0e-05 (allowed 0.001)</td>" in text
    assert '<th scope="row">All threads</th><td></td>' in text


def test_a_file_that_failed_says_so_and_why() -> None:
    text = page(allowed_drop=0.005, notes=())
    assert "<td>failed</td>" in text
    assert "int8 weights cost 0.8 (95 % interval -0.4 to 2.0, n = 132) points of accuracy" in text


def test_a_file_that_nothing_here_runs_is_neither_passed_nor_failed() -> None:
    unverified = Unverified(
        file="model.mlpackage",
        file_bytes=5_000_000,
        sha256="4567",
        versions={},
        not_verified="No <runtime>.",
        temperature=1.2,
    )
    alone: list[Certificate | Unverified] = [unverified]
    for certificates in (alone, [*alone, certificate(file="model.onnx")]):
        text = with_certificates(page(), certificates, 1.2)
        assert "<td>not verified here</td>" in text
        assert "model.mlpackage: not verified here. No &lt;runtime&gt;." in text
    assert '<th scope="row">Same label</th><td></td><td>99.33 % of 149 pictures</td>' in text


def test_a_file_of_another_calibration_is_to_be_exported_again() -> None:
    assert "Export it again" not in page()
    assert "was exported with temperature 1.00; the run&#x27;s is 1.20" in page(temperature=1.0)


def test_certificates_are_replaced_in_a_page_and_nothing_else_is() -> None:
    new = [certificate(file="model.onnx", pictures=7)]
    assert with_certificates(page(), new, 1.2) == page(file="model.onnx", pictures=7)
    assert with_certificates(page(), [], 1.2).count("Exported files") == 0
    assert with_certificates("<html>of an earlier version", new, 1.2) == "<html>of an earlier version"


def test_every_figure_says_of_how_many_pictures_it_is() -> None:
    shown = page()
    assert shown.count(", n = 60</dd>") == shown.count('<dd class="range">') == 5
    assert "n = 60)" in shown  # calibration
    named, pictures = 13, 12
    row = rf'<th scope="row">class 3</th><td>{named}</td><td>.*?<td>{pictures}</td>'
    assert re.search(row, page(classes=5))


def test_a_threshold_that_rejects_nothing_is_told_as_such() -> None:
    assert "No answer has to be taken as “unknown” so that at most 2.0 % of all pictures" in page(threshold=0)
    assert "Answers of 50.0 % confidence or less are better taken as “unknown”" in page()
