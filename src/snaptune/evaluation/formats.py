"""Evaluation as files: JSON and CSV out, training events in."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

from snaptune.errors import RunError
from snaptune.evaluation.report import Epoch
from snaptune.evaluation.results import Predictions


def to_json(value: object) -> Any:
    """A result as JSON values; a figure that does not exist becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_csv(predictions: Predictions) -> str:
    """One row a picture: id, part, label, predicted, confidence, group."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "part", "label", "predicted", "confidence", "group"])
    names = predictions.class_names
    for index, (name, part) in enumerate(zip(predictions.ids, predictions.parts, strict=True)):
        label, predicted = names[predictions.labels[index]], names[predictions.predicted[index]]
        confidence = f"{predictions.confidence[index]:.6f}"
        writer.writerow([name, part, label, predicted, confidence, predictions.group_of(index)])
    return text.getvalue()


def read_epochs(events: str, source: str) -> list[Epoch]:
    """The epochs in the text of `events.jsonl`; a line that was cut off is passed over.

    Of an epoch that training went through again, from a checkpoint before its end, the last record counts.
    Raises `RunError`, naming `source`, where the text is not what training writes.
    """
    epochs: dict[str, Epoch] = {}
    for line in events.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("event") == "EpochDone":
            epochs[str(event.get("epoch", len(epochs)))] = _epoch(event, source)
    return list(epochs.values())


def _epoch(event: dict[str, Any], source: str) -> Epoch:
    values: dict[str, Any] = {name: event.get(name) for name in Epoch.__dataclass_fields__}
    if wrong := [name for name, value in values.items() if not isinstance(value, int | float)]:
        raise RunError(f"'{source}' is not a record of training: an epoch's {wrong[0]} is no number.")
    return Epoch(**values)
