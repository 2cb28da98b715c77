"""Answers for any number of pictures, in order, in memory that does not grow with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from threading import Event

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
    threads: int | None = None,
) -> Iterator[Row]:
    """A row a picture, in the order of the inputs; a picture that cannot be read is a row with its error.

    As many `threads` as there are cores, or as given, read and decode up to two batches ahead of the model;
    on the processor, which the model needs whole, none begins a picture while it computes. `fit` is 'recipe'
    (the run's own geometry) or 'short-side' (spec I1: no padding, one picture at a time).
    """
    if fit == "short-side":
        if not classifier.takes_any_size():
            raise ModelError("This model takes squares of one size only; leave out --fit short-side.")
        batch_size = 1
    prepare = classifier.preprocess.short_side if fit == "short-side" else classifier.preprocess.pixels
    free = Event()
    free.set()
    work = partial(_decode, prepare=prepare, keep=keep_pictures, free=free)
    for batch in _batches(_ahead(inputs, work, 2 * batch_size, threads), batch_size):
        yield from _answered(classifier, batch, top, free)


def _decode(given: Input, prepare: Prepare, keep: bool, free: Event) -> _Decoded:
    free.wait()
    try:
        image = given.open()
        pixels = prepare(image)
    except ImageError as error:
        return _Decoded(given, error=str(error))
    if keep:
        image.thumbnail((KEPT_SIDE, KEPT_SIDE))
    return _Decoded(given, pixels, image if keep else None)


def _ahead(
    inputs: Iterable[Input], work: Callable[[Input], _Decoded], ahead: int, threads: int | None
) -> Iterator[_Decoded]:
    """The work done in threads, in order, with at most `ahead` pictures begun and not yet taken."""
    pool = ThreadPoolExecutor(threads or cpu_count())
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


def _answered(classifier: Classifier, batch: list[_Decoded], top: int, free: Event) -> list[Row]:
    read = [(item.given.name, item.pixels) for item in batch if item.pixels is not None]
    names, pixels = [name for name, _ in read], [pixels for _, pixels in read]
    with _cores_taken(classifier, free):
        answers = iter(classifier.answers(names, np.stack(pixels), top) if pixels else ())
    return [
        Row(
            item.given.name,
            item.given.target,
            None if item.pixels is None else next(answers),
            item.error,
            item.picture,
        )
        for item in batch
    ]


@contextmanager
def _cores_taken(classifier: Classifier, free: Event) -> Iterator[None]:
    """Not `free` inside, for a model on the processor.

    Its threads wait for each other after every layer; where decoders take their cores away, all stand still.
    """
    if classifier.on_processor:
        free.clear()
    try:
        yield
    finally:
        free.set()
