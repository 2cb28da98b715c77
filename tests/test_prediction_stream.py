from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snaptune.errors import ImageError, ModelError
from snaptune.inputs.expand import Input, expand
from snaptune.models.build import build_model
from snaptune.prediction import TorchClassifier
from snaptune.prediction_stream import predict_stream
from snaptune.run_folder import Run


@pytest.fixture(scope="module")
def classifier(tiny_run: Run) -> TorchClassifier:
    return TorchClassifier.load(tiny_run)


def fail() -> Image.Image:
    raise ImageError("it is broken")


def test_rows_are_what_predict_answers_in_order(classifier: TorchClassifier, picture_folder: Path) -> None:
    rows = list(predict_stream(classifier, expand([str(picture_folder)], class_names=("ok",)), batch_size=5))
    files = sorted(str(path) for path in picture_folder.rglob("*.jpg"))
    assert [row.name for row in rows] == files
    assert [row.target for row in rows] == ["ok" if "/ok/" in file else "" for file in files]
    for row, alone in zip(rows, classifier.predict([*files]), strict=True):
        assert row.prediction is not None
        assert row.prediction.label == alone.label
        assert row.prediction.confidence == pytest.approx(alone.confidence, abs=1e-5)
        assert row.picture is None


def test_a_broken_picture_is_a_row_with_its_error(classifier: TorchClassifier, picture_folder: Path) -> None:
    good = next(expand([str(picture_folder)]))
    rows = list(predict_stream(classifier, [Input("x", fail), good, Input("y", fail)], batch_size=2))
    assert [(row.name, row.error) for row in rows] == [
        ("x", "it is broken"),
        (good.name, ""),
        ("y", "it is broken"),
    ]
    assert [row.prediction is None for row in rows] == [True, False, True]


def test_only_two_batches_are_read_ahead(classifier: TorchClassifier) -> None:
    begun, before = 0, set(threading.enumerate())

    def endless() -> Iterator[Input]:
        nonlocal begun
        while True:
            begun += 1
            yield Input(str(begun), partial(Image.new, "RGB", (40, 30)))

    rows = predict_stream(classifier, endless(), batch_size=4)
    for number, _ in zip(range(1, 101), rows, strict=False):
        assert begun <= number + 3 * 4
    rows.close()  # type: ignore[attr-defined]
    begun_here = set(threading.enumerate()) - before
    assert not [thread for thread in begun_here if thread.name.startswith("ThreadPoolExecutor")]


def test_pictures_are_kept_small_where_they_are_wanted(classifier: TorchClassifier) -> None:
    inputs = [Input("a", partial(Image.new, "RGB", (2000, 1000)))]
    [row] = predict_stream(classifier, inputs, keep_pictures=True)
    assert row.picture is not None
    assert row.picture.size == (640, 320)


def test_the_short_side_geometry_sees_more(classifier: TorchClassifier, picture_folder: Path) -> None:
    wide = partial(Image.effect_noise, (90, 40), 50.0)
    inputs = [Input("wide", lambda: wide().convert("RGB"))]
    [row] = predict_stream(classifier, inputs, fit="short-side", top=3)
    assert row.prediction is not None
    long = Image.new("RGB", (17 * 8, 8))
    [row] = predict_stream(classifier, [Input("long", lambda: long)], fit="short-side")
    assert row.error == "136x8 is longer than 16 times its short side; leave out --fit short-side."


def test_the_short_side_geometry_is_the_specifications(classifier: TorchClassifier) -> None:
    seen: list[tuple[int, ...]] = []
    handle = classifier.network.register_forward_pre_hook(
        lambda module, args: seen.append(tuple(args[0].shape))
    )
    pictures = [Input(str(size), partial(Image.new, "RGB", size)) for size in ((64, 92), (92, 64), (16, 16))]
    try:
        list(predict_stream(classifier, pictures, fit="short-side"))
    finally:
        handle.remove()
    assert seen == [(1, 3, 46, 32), (1, 3, 32, 46), (1, 3, 32, 32)]


def test_a_model_of_one_size_refuses_the_short_side(classifier: TorchClassifier) -> None:
    model = build_model("test_vit", 3, "none")
    with pytest.raises(ModelError, match="takes squares of one size only; leave out --fit short-side"):
        next(
            predict_stream(
                TorchClassifier(model, classifier.preprocess, ("a", "b", "c")), [], fit="short-side"
            )
        )


def test_answers_takes_prepared_pixels(classifier: TorchClassifier) -> None:
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    first, second = classifier.answers(["a", "b"], pixels, top=1)
    assert (first.name, second.name) == ("a", "b")
    assert first.top == second.top


def test_on_the_processor_no_picture_is_begun_while_the_model_computes(classifier: TorchClassifier) -> None:
    begun: list[int] = []

    def counted(number: int) -> Image.Image:
        begun.append(number)
        time.sleep(0.03)
        return Image.new("RGB", (40, 30))

    def check(module: object, args: object) -> None:
        time.sleep(0.02)  # for a thread on its way
        before = len(begun)
        time.sleep(0.06)
        assert len(begun) == before

    handle = classifier.network.register_forward_pre_hook(check)
    try:
        inputs = [Input(str(number), partial(counted, number)) for number in range(16)]
        rows = predict_stream(classifier, inputs, batch_size=4, threads=1)
        assert [row.name for row in rows] == [given.name for given in inputs]
    finally:
        handle.remove()
    assert begun == list(range(16))
