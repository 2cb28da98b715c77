"""A finished run and labelled pictures: how good is it?"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from snaptune.data.dataset import ImageDataset, Ints
from snaptune.data.prepared import Progress, silent
from snaptune.data.splits import PARTS, read_split
from snaptune.errors import ConfigError, DataError, ImageError, RunError
from snaptune.evaluation.calibration import (
    Calibration,
    choose_threshold,
    cross_fitted,
    fit_temperature,
    softmax,
)
from snaptune.evaluation.report import Background, Epoch, Mistake, render
from snaptune.evaluation.results import EvaluationReport, Predictions, summarise, to_json
from snaptune.images.load import load_image
from snaptune.images.preprocess import Pixels, Preprocess
from snaptune.prediction import Classifier
from snaptune.run_folder import Run, read_json, read_text, write_bytes, write_json

ALL = "all"
"""In place of a part: every picture of the data set."""

_BATCH = 64
_MISTAKES = 24
_THUMBNAIL = 160


def evaluate(
    run: Run,
    dataset: ImageDataset,
    part: str = "validation",
    progress: Progress = silent,
    *,
    max_wrong: float = 0.02,
) -> EvaluationReport:
    """Score a part of a run's data set, or with 'all' every picture of any data set with the run's classes.

    Writes `predictions.csv`, `report.json` and `report.html` into the run; from the validation part also
    `calibration.json`: the temperature, and the threshold under which an answer should be 'unknown' so
    that at most `max_wrong` of all pictures get a wrong one. Raises `DataError` where the data set has
    classes that the run does not know, the part has no pictures, or pictures cannot be read.
    """
    if not 0 < max_wrong < 1:
        raise ConfigError(f"max_wrong={max_wrong} must be between 0 and 1; usual values: 0.01 to 0.05.")
    classifier = Classifier.load(run)
    labels = _labels_in_run(run, classifier.class_names, dataset)
    parts = _parts(run, dataset, part)
    samples = np.arange(len(dataset)) if part == ALL else np.flatnonzero(parts == part)
    if len(samples) == 0:
        raise DataError(
            f"'{dataset.name}' has no {part} part in {run.split_file}. Its parts: {_counted(parts)}."
        )
    predictions = Predictions(
        ids=tuple(str(dataset.ids[index]) for index in samples),
        parts=tuple(str(parts[index]) for index in samples),
        labels=labels[samples],
        logits=_logits(classifier, dataset, samples, progress),
        class_names=classifier.class_names,
        groups=None if dataset.groups is None else dataset.groups[samples],
        group_names=tuple(str(name) for name in dataset.group_names),
    )
    predictions = _calibrated(run, predictions, part, max_wrong)
    report = summarise(
        predictions,
        run.calibration(),
        run=run.path.name,
        dataset=dataset.name,
        part=part,
        about=_about(run, dataset, part, predictions),
    )
    mistakes = [_shown(dataset, int(samples[index]), predictions, index) for index in _worst(predictions)]
    _write(run, report, predictions, mistakes)
    return report


def prepared_chunks(dataset: ImageDataset, preprocess: Preprocess, samples: Ints) -> Iterator[Pixels]:
    """Pictures decoded and prepared a batch at a time, in the order of `samples`, in constant memory.

    Raises `DataError` that counts all unreadable ones, after the last.
    """
    failures: list[ImageError] = []

    def pixels(index: int) -> Pixels:
        try:
            return preprocess.pixels(load_image(dataset.source.read(index), str(dataset.ids[index])))
        except ImageError as error:
            failures.append(error)
            return np.zeros((preprocess.size, preprocess.size, 3), dtype=np.uint8)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(samples), _BATCH):
            yield np.stack(list(pool.map(pixels, samples[start : start + _BATCH].tolist())))
    if failures:
        first = min(map(str, failures))
        raise DataError(f"{len(failures)} of {len(samples)} images cannot be read. First: {first}")


def _calibrated(run: Run, predictions: Predictions, part: str, max_wrong: float) -> Predictions:
    """With the run's temperature; the validation part is where temperature and threshold are fitted."""
    if part == "validation":
        own = cross_fitted(predictions.logits, predictions.labels, predictions.groups)
        fair = softmax(predictions.logits, own).max(axis=1)
        calibration = Calibration(
            temperature=fit_temperature(predictions.logits, predictions.labels),
            threshold=choose_threshold(fair, predictions.right, max_wrong),
            max_wrong=max_wrong,
            pictures=len(predictions.labels),
        )
        run.write_calibration(calibration)
        return replace(predictions, temperature=calibration.temperature, own_temperatures=own)
    return replace(predictions, temperature=run.calibration().temperature)


def _logits(classifier: Classifier, dataset: ImageDataset, samples: Ints, progress: Progress) -> np.ndarray:
    chunks = prepared_chunks(dataset, classifier.preprocess, samples)
    answers: list[np.ndarray] = []

    def done() -> Iterator[int]:
        for chunk in chunks:
            answers.append(classifier.logits(chunk))
            yield from range(len(chunk))

    for _ in progress(done(), len(samples), "Evaluating"):
        pass
    return np.concatenate(answers).astype(np.float64)


def _labels_in_run(run: Run, known: tuple[str, ...], dataset: ImageDataset) -> Ints:
    """The data set's labels as the run counts its classes."""
    unknown = [name for name in dataset.class_names if name not in known]
    if unknown:
        named = ", ".join(f"'{name}'" for name in unknown[:20])
        raise DataError(
            f"{run.path} knows {len(known)} classes; '{dataset.name}' has {len(dataset.class_names)}. "
            f"Not known: {named}{', …' if len(unknown) > 20 else ''}."
        )
    position = {name: index for index, name in enumerate(known)}
    return np.asarray([position[name] for name in dataset.class_names], dtype=np.int64)[dataset.labels]


def _is_trained_on(run: Run, dataset: ImageDataset) -> bool:
    return bool(read_json(run.dataset_file).get("fingerprint") == dataset.fingerprint())


def _parts(run: Run, dataset: ImageDataset, part: str) -> np.ndarray:
    """Where each picture stood in training; 'new' for those of another data set."""
    if part not in (*PARTS, ALL):
        raise DataError(f"Unknown part '{part}'. Choose from: {', '.join((*PARTS, ALL))}.")
    if part == ALL and not _is_trained_on(run, dataset):
        return np.full(len(dataset), "new")
    return np.asarray(PARTS)[read_split(run.split_file, dataset).parts]


def _counted(parts: np.ndarray) -> str:
    return ", ".join(f"{name} ({np.sum(parts == name)})" for name in PARTS if name in parts)


def _about(run: Run, dataset: ImageDataset, part: str, predictions: Predictions) -> tuple[str, ...]:
    """Sentences on how the pictures were chosen and what was chosen on them."""
    sentences = [_how_chosen(run, dataset, part, predictions), *_what_was_chosen(run, part, predictions)]
    present = np.unique(predictions.groups) if predictions.groups is not None else np.array([])
    if len(present) == 1:
        name = predictions.group_names[present[0]]
        sentences.append(
            f"All are of one group, {name}: the interval does not say how other groups would do."
        )
    elif len(present) > 1:
        sentences.append(f"The intervals resample whole groups, of which there are {len(present)}.")
    return tuple(sentences)


def _how_chosen(run: Run, dataset: ImageDataset, part: str, predictions: Predictions) -> str:
    if part == ALL:
        return f"Every picture of {dataset.name}."
    how = read_json(run.dataset_file).get("split", "unknown")
    return f"These pictures are the {part} part ({how})."


def _what_was_chosen(run: Run, part: str, predictions: Predictions) -> list[str]:
    trained = predictions.parts.count("train")
    if trained:
        return [
            f"{trained} of these pictures were trained on, so this does not say how new pictures would do."
        ]
    if part != "validation":
        return ["None of these pictures was used in training."]
    if run.config().keep == "last":
        return ["Nothing was chosen on these pictures: the weights are those of the last epoch."]
    return ["The epoch was chosen by its loss on these pictures, so the figures are a little too good."]


def _worst(predictions: Predictions) -> list[int]:
    """The wrong answers, the most confident first."""
    wrong = np.flatnonzero(predictions.predicted != predictions.labels)
    order = np.argsort(-predictions.confidence[wrong], kind="stable")[:_MISTAKES]
    return [int(index) for index in wrong[order]]


def _shown(dataset: ImageDataset, sample: int, predictions: Predictions, index: int) -> Mistake:
    image = load_image(dataset.source.read(sample), predictions.ids[index])
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=80)
    return Mistake(
        id=predictions.ids[index],
        label=predictions.class_names[predictions.labels[index]],
        predicted=predictions.class_names[predictions.predicted[index]],
        confidence=float(predictions.confidence[index]),
        group=predictions.group_of(index),
        jpeg=encoded.getvalue(),
    )


def _write(run: Run, report: EvaluationReport, predictions: Predictions, mistakes: list[Mistake]) -> None:
    write_bytes(run.predictions_file, _as_csv(predictions).encode())
    write_json(run.report_json, to_json(report))
    background = Background(read_epochs(run), mistakes, asdict(run.config()), read_json(run.environment_file))
    write_bytes(run.report_file, render(report, background).encode())


def read_epochs(run: Run) -> list[Epoch]:
    """The epochs in `events.jsonl`; a line that was cut off is passed over, without a file there are none.

    Raises `RunError` where the file is not what training writes.
    """
    if not run.events_file.is_file():
        return []
    epochs = []
    for line in read_text(run.events_file).splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("event") == "EpochDone":
            epochs.append(_epoch(event, run.events_file))
    return epochs


def _epoch(event: dict[str, Any], source: Path) -> Epoch:
    values: dict[str, Any] = {name: event.get(name) for name in Epoch.__dataclass_fields__}
    if wrong := [name for name, value in values.items() if not isinstance(value, int | float)]:
        raise RunError(f"'{source}' is not a record of training: an epoch's {wrong[0]} is no number.")
    return Epoch(**values)


def _as_csv(predictions: Predictions) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "part", "label", "predicted", "confidence", "group"])
    names = predictions.class_names
    rows = zip(
        predictions.ids,
        predictions.parts,
        predictions.labels,
        predictions.predicted,
        predictions.confidence,
        strict=True,
    )
    for index, (name, part, label, predicted, confidence) in enumerate(rows):
        writer.writerow(
            [name, part, names[label], names[predicted], f"{confidence:.6f}", predictions.group_of(index)]
        )
    return text.getvalue()
