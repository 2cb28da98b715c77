from html.parser import HTMLParser

import numpy as np
import pytest

from snaptune.evaluation.calibration import Calibration
from snaptune.evaluation.plots import Series, line_chart, nice_ticks
from snaptune.evaluation.report import Background, Epoch, Mistake, render
from snaptune.evaluation.results import Predictions, summarise

EVIL = "<script>alert(1)</script>\"'&"


def page(name: str = "cat", classes: int = 3, epochs: int = 2) -> str:
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
    calibration = Calibration(1.2, 0.5, 0.02, 60)
    report = summarise(predictions, calibration, run=name, dataset=name, part="validation", about=(name,))
    background = Background(
        epochs=[Epoch(1.0, 0.9 / (index + 1), 0.5, 0.6, True) for index in range(epochs)],
        mistakes=[Mistake(name, name, name, 0.9, name, b"\xff\xd8")],
        settings={name: name},
        environment={"python": "3"},
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
