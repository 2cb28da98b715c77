"""Answers for any number of pictures, in order, in memory that does not grow with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import cpu_count

import numpy as np
from PIL import Image

from snaptune.answers import Prediction
from snaptune.classifier import Classifier
from snaptune.errors import ImageError, ModelError
from snaptune.images.preprocess import Pixels
from snaptune.inputs.expand import Input

Prepare = Callable[[Image.Image], Pixels]
KEPT_SIDE = 640


@dataclass(frozen=True)
class Row:
    """One picture's answer, or why there is none; `picture` is a copy of at most 640 px, if wanted."""

    name: str
    target: str
    prediction: Prediction | None
    error: str = ""
    picture: Image.Image | None = None


@dataclass(frozen=True)
class _Decoded:
    given: Input
    pixels: Pixels | None = None
    picture: Image.Image | None = None
    error: str = ""


def predict_stream(
    classifier: Classifier,
    inputs: Iterable[Input],
    *,
    top: int = 5,
    fit: str = "recipe",
    batch_size: int = 32,
    keep_pictures: bool = False,
) -> Iterator[Row]:
    """A row a picture, in the order of the inputs; a picture that cannot be read is a row with its error.

    Threads read and decode up to two batches ahead of the model. `fit` is 'recipe' (the run's own
    geometry) or 'short-side' (spec I1: no padding, one picture at a time).
    """
    if fit == "short-side":
        if not classifier.takes_any_size():
            raise ModelError("This model takes squares of one size only; leave out --fit short-side.")
        batch_size = 1
    prepare = classifier.preprocess.short_side if fit == "short-side" else classifier.preprocess.pixels
    decoded = _ahead(inputs, partial(_decode, prepare=prepare, keep=keep_pictures), 2 * batch_size)
    for batch in _batches(decoded, batch_size):
        yield from _answered(classifier, batch, top)


def _decode(given: Input, prepare: Prepare, keep: bool) -> _Decoded:
    try:
        image = given.open()
        pixels = prepare(image)
    except ImageError as error:
        return _Decoded(given, error=str(error))
    if keep:
        image.thumbnail((KEPT_SIDE, KEPT_SIDE))
    return _Decoded(given, pixels, image if keep else None)


def _ahead(inputs: Iterable[Input], work: Callable[[Input], _Decoded], ahead: int) -> Iterator[_Decoded]:
    """The work done in threads, in order, with at most `ahead` pictures begun and not yet taken."""
    pool = ThreadPoolExecutor(cpu_count())
    waiting: deque[Future[_Decoded]] = deque()
    try:
        for given in inputs:
            waiting.append(pool.submit(work, given))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(decoded: Iterable[_Decoded], size: int) -> Iterator[list[_Decoded]]:
    batch: list[_Decoded] = []
    for item in decoded:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _answered(classifier: Classifier, batch: list[_Decoded], top: int) -> Iterator[Row]:
    read = [(item.given.name, item.pixels) for item in batch if item.pixels is not None]
    names, pixels = [name for name, _ in read], [pixels for _, pixels in read]
    answers = iter(classifier.answers(names, np.stack(pixels), top) if pixels else ())
    for item in batch:
        answer = None if item.pixels is None else next(answers)
        yield Row(item.given.name, item.given.target, answer, item.error, item.picture)
