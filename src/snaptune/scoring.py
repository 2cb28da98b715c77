"""A finished run and labelled pictures: how good is it?"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from snaptune.data.dataset import PARTS, ImageDataset, Ints
from snaptune.data.prepared import Progress, silent
from snaptune.errors import ConfigError, DataError, ImageError
from snaptune.evaluation.calibration import (
    Calibration,
    choose_threshold,
    cross_fitted,
    fit_temperature,
    softmax,
)
from snaptune.evaluation.card import render_card
from snaptune.evaluation.comparison import Comparison, compare_answers
from snaptune.evaluation.formats import read_epochs, to_csv, to_json
from snaptune.evaluation.intervals import Bools, Floats
from snaptune.evaluation.pictures import heated, small_jpeg
from snaptune.evaluation.report import Background, Epoch, Mistake, render
from snaptune.evaluation.results import EvaluationReport, Predictions, hardship, summarise
from snaptune.export.reported import certificates_of
from snaptune.images.corruptions import CORRUPTIONS, Corruption, corrupted
from snaptune.images.preprocess import Pixels, Preprocess
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run, read_json, read_text, write_bytes, write_json

ALL = "all"
"""In place of a part: every picture of the data set."""

HELD_OUT = ("validation", "test")
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
    robustness: bool = False,
) -> EvaluationReport:
    """Score a part of a run's data set, or with 'all' every picture of any data set with the run's classes.

    Writes `predictions.csv`, `report.json`, `report.html` and for held-out parts `README.md` into the run;
    from the validation part also `calibration.json`: the temperature, and the threshold under which an
    answer should be 'unknown' so that at most `max_wrong` of all pictures get a wrong one. With
    `robustness` each picture is also scored blurred, noisy, compressed, dark and turned (eleven times the
    work of the model). Raises `DataError` where the data set has
    classes that the run does not know, the part has no pictures, or pictures cannot be read.
    """
    if not 0 < max_wrong < 1:
        raise ConfigError(f"max_wrong={max_wrong} must be between 0 and 1; usual values: 0.01 to 0.05.")
    classifier = TorchClassifier.load(run)
    labels = _labels_in_run(run, classifier.class_names, dataset)
    parts = _parts(run, dataset)
    samples = _chosen(run, dataset, parts, part)
    corruptions = CORRUPTIONS if robustness else ()
    logits, *worse = _logits(classifier, dataset, samples, progress, corruptions)
    predictions = Predictions(
        ids=tuple(str(dataset.ids[index]) for index in samples),
        parts=tuple(str(parts[index]) for index in samples),
        labels=labels[samples],
        logits=logits,
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
    hardships = tuple(
        hardship(predictions, answers, item.name, item.strength)
        for item, answers in zip(corruptions, worse, strict=True)
    )
    report = replace(report, hardships=hardships)
    _write(run, report, predictions, _mistakes(classifier, dataset, samples, predictions))
    return report


def part_to_score(run: Run, dataset: ImageDataset) -> str:
    """The validation part of the run's own data; 'all' of a data set that it has never seen."""
    return ALL if (_parts(run, dataset) == "new").all() else "validation"


def compare(a: Run, b: Run, dataset: ImageDataset, progress: Progress = silent) -> Comparison:
    """Both runs on every picture of the data set that neither was trained on.

    Raises `DataError` where there is none, or where a run does not know a class.
    """
    held_out = (_parts(a, dataset) != "train") & (_parts(b, dataset) != "train")
    samples = np.flatnonzero(held_out)
    if len(samples) == 0:
        raise DataError(
            f"'{dataset.name}' has no picture that both {a.path} and {b.path} held out. "
            "Train both with the same split, or give pictures that are new to both."
        )
    return compare_answers(
        _right(a, dataset, samples, progress),
        _right(b, dataset, samples, progress),
        None if dataset.groups is None else dataset.groups[samples],
        a=str(a.path),
        b=str(b.path),
    )


def _right(run: Run, dataset: ImageDataset, samples: Ints, progress: Progress) -> Bools:
    classifier = TorchClassifier.load(run)
    labels = _labels_in_run(run, classifier.class_names, dataset)[samples]
    return np.asarray(_logits(classifier, dataset, samples, progress)[0].argmax(axis=1) == labels)


def prepared_chunks(
    dataset: ImageDataset, preprocess: Preprocess, samples: Ints
) -> Iterator[tuple[int, Pixels]]:
    """Places in `samples` and the pictures from there on, prepared a batch at a time, in constant memory.

    Raises `DataError` that counts all unreadable ones, after the last.
    """
    failures: list[ImageError] = []

    def pixels(index: int) -> Pixels:
        try:
            return preprocess.pixels(dataset.load(index))
        except ImageError as error:
            failures.append(error)
            return np.zeros((preprocess.size, preprocess.size, 3), dtype=np.uint8)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(samples), _BATCH):
            members = samples[start : start + _BATCH].tolist()
            yield start, np.stack(list(pool.map(pixels, members)))
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


def _logits(
    classifier: TorchClassifier,
    dataset: ImageDataset,
    samples: Ints,
    progress: Progress,
    corruptions: Sequence[Corruption] = (),
) -> Floats:
    """Logits [1 + corruptions, n, classes]: of the pictures as they are, then made worse in each way."""
    answers: list[np.ndarray] = []

    def done() -> Iterator[int]:
        for start, pixels in prepared_chunks(dataset, classifier.preprocess, samples):
            members = samples[start : start + len(pixels)]
            worse = (corrupted(pixels, corruption, members) for corruption in corruptions)
            answers.append(np.stack([classifier.logits(shown) for shown in (pixels, *worse)]))
            yield from range(len(pixels))

    for _ in progress(done(), len(samples), "Evaluating"):
        pass
    return np.concatenate(answers, axis=1).astype(np.float64)


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


def _parts(run: Run, dataset: ImageDataset) -> np.ndarray:
    """Where each picture stood in the run's training, by id; 'new' for those it never saw.

    A data set of the same name, or renamed with the same contents, counts as the run's own.
    """
    recorded: dict[str, str] = {}
    trained_on = read_json(run.dataset_file)
    if trained_on.get("name") == dataset.name or trained_on.get("fingerprint") == dataset.fingerprint():
        with run.split_file.open(newline="", encoding="utf-8") as file:
            recorded = {row["id"]: row["part"] for row in csv.DictReader(file)}
    return np.asarray([recorded.get(str(name), "new") for name in dataset.ids])


def _chosen(run: Run, dataset: ImageDataset, parts: np.ndarray, part: str) -> Ints:
    """The samples of a part; raises `DataError` that says which parts there are."""
    if part == ALL:
        return np.arange(len(dataset))
    samples = np.flatnonzero(parts == part)
    if len(samples) == 0:
        found = ", ".join(f"{name} ({np.sum(parts == name)})" for name in (*PARTS, "new") if name in parts)
        raise DataError(
            f"'{dataset.name}' has no {part} part in {run.split_file}. It has: {found}. "
            f"Choose one of them, or '{ALL}' for every picture."
        )
    return samples


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
        sentences.append(_whole_groups(len(present)))
    return tuple(sentences)


def _whole_groups(count: int) -> str:
    rough = "; with fewer than 5, that of the log loss and of balanced accuracy is rough" if count < 5 else ""
    return f"The intervals take whole groups as the units, of which there are {count}{rough}."


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
    if part == "test":
        return ["Nothing was trained or chosen on these pictures."]
    if part != "validation":
        return ["By data set and file name, none of these pictures was trained on."]
    config = run.config()
    if config.keep == "best":
        return ["The epoch was chosen by its loss on these pictures, so the figures are a little too good."]
    if config.patience:
        return ["Training stopped by its loss on these pictures, so the figures are a little too good."]
    return [
        "Nothing but temperature and threshold was chosen on these pictures: "
        "the weights are those of the last epoch."
    ]


def _worst(predictions: Predictions) -> list[int]:
    """The wrong answers, the most confident first."""
    wrong = np.flatnonzero(predictions.predicted != predictions.labels)
    order = np.argsort(-predictions.confidence[wrong], kind="stable")[:_MISTAKES]
    return [int(index) for index in wrong[order]]


def _mistakes(
    classifier: TorchClassifier, dataset: ImageDataset, samples: Ints, predictions: Predictions
) -> list[Mistake]:
    """The worst mistakes as small pictures, with heat maps of what spoke for the wrong answers."""
    worst = _worst(predictions)
    if not worst:
        return []
    images = [dataset.load(int(samples[index])) for index in worst]
    pixels = np.stack([classifier.preprocess.pixels(image) for image in images])
    maps = classifier.heat_maps(pixels, predictions.predicted[worst])
    names = predictions.class_names
    return [
        Mistake(
            id=predictions.ids[index],
            label=names[predictions.labels[index]],
            predicted=names[predictions.predicted[index]],
            confidence=float(predictions.confidence[index]),
            group=predictions.group_of(index),
            jpeg=small_jpeg(image, _THUMBNAIL),
            heat=b"" if maps is None else small_jpeg(heated(shown, maps[place]), _THUMBNAIL),
        )
        for place, (index, image, shown) in enumerate(zip(worst, images, pixels, strict=True))
    ]


def _write(run: Run, report: EvaluationReport, predictions: Predictions, mistakes: list[Mistake]) -> None:
    write_bytes(run.predictions_file, to_csv(predictions).encode())
    certificates = certificates_of(run)
    exports = [certificate.to_json() for certificate in certificates]
    write_json(run.report_json, to_json(report) | {"exports": exports})
    environment = read_json(run.environment_file)
    background = Background(_epochs(run), mistakes, run.config().listed(), environment, certificates)
    write_bytes(run.report_file, render(report, background).encode())
    if report.part in HELD_OUT:
        card = render_card(report, run.config().listed(), read_json(run.dataset_file))
        write_bytes(run.card_file, card.encode())


def _epochs(run: Run) -> list[Epoch]:
    if not run.events_file.is_file():
        return []
    return read_epochs(read_text(run.events_file), str(run.events_file))
