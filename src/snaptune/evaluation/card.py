"""The model card: a README for whoever is handed the model without the pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from snaptune.config import starting_point
from snaptune.evaluation.intervals import Estimate, percent
from snaptune.evaluation.results import ClassScore, EvaluationReport

_WEAKEST = 5


def render_card(
    report: EvaluationReport, settings: Mapping[str, object], trained_on: Mapping[str, object]
) -> str:
    """Markdown with the front matter that model hubs read; `trained_on` is what the run's data record says.

    Every string from data is escaped. No licence is named: only the user can choose one.
    """
    parts = (
        _front_matter(),
        f"# {escaped(report.run)}",
        _origin(report, settings),
        _classes(report.classes),
        _figures(report),
        _limits(report),
        _training(settings, trained_on),
        _use(),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(value: object) -> str:
    """Text that Markdown and HTML show as it is, on one line."""
    plain = escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", plain)


def _front_matter() -> str:
    return "---\nlibrary_name: timm\npipeline_tag: image-classification\ntags:\n- snaptune\n---"


def _origin(report: EvaluationReport, settings: Mapping[str, object]) -> str:
    model, start = escaped(settings["model"]), escaped(starting_point(str(settings["weights"])))
    return (
        f"An image classifier for {len(report.classes)} classes, trained with snaptune from the timm "
        f"model {model}, starting from {start}."
    )


def _classes(classes: Sequence[ClassScore]) -> str:
    return "## Classes\n\n" + ", ".join(escaped(item.name) for item in classes)


def _row(name: str, found: Estimate) -> str:
    return f"| {name} | {percent(found.value)} | {percent(found.low)} to {percent(found.high)} | {found.n} |"


def _figures(report: EvaluationReport) -> str:
    rows = [_row("Accuracy", report.accuracy)]
    if report.top5:
        rows.append(_row("Right class among the top 5", report.top5))
    rows.append(_row("Balanced accuracy", report.balanced_accuracy))
    rows += [_row(f"Accuracy on {escaped(group.name)}", group.accuracy) for group in report.groups]
    if report.trust.unknown:
        rows.append(_row("Pictures answered where it may say “unknown”", report.trust.unknown.answered))
        rows.append(_row("Right among those", report.trust.unknown.right))
    about = "\n".join(f"- {escaped(sentence)}" for sentence in report.about)
    head = "| figure | value | 95 % interval | pictures |\n|---|---|---|---|"
    return f"## How good it is\n\n{about}\n\n{head}\n" + "\n".join(rows)


def _limits(report: EvaluationReport) -> str:
    """The weakest classes, and what was not measured."""
    measured = [item for item in report.classes if item.support]
    weakest = sorted(measured, key=lambda item: item.recall.value)[:_WEAKEST]
    weak = [
        f"- {escaped(item.name)}: {round(item.recall.value * item.support)} of {item.support} pictures found"
        for item in weakest
        if item.recall.value < 1
    ]
    missing = [escaped(item.name) for item in report.classes if not item.support]
    if missing:
        weak.append(f"- No pictures to judge: {', '.join(missing)}")
    text = (
        "A picture of none of the classes still gets one of them, unless the threshold for “unknown” is used."
    )
    return "## Limits\n\n" + text + ("\n\nWeakest classes:\n\n" + "\n".join(weak) if weak else "")


def _training(settings: Mapping[str, object], trained_on: Mapping[str, object]) -> str:
    known = ("name", "pictures", "split", "fingerprint")
    name, pictures, split, fingerprint = (escaped(trained_on.get(key, "unknown")) for key in known)
    data = f"Data: {name}, {pictures} pictures ({split}). Fingerprint of the listing: {fingerprint}."
    rows = "\n".join(f"| {escaped(name)} | {escaped(value)} |" for name, value in settings.items())
    return f"## Training\n\n{data}\n\n| setting | value |\n|---|---|\n{rows}"


def _use() -> str:
    return (
        "## Use\n\n```python\nimport snaptune as st\n\n"
        'classifier = st.Classifier.load("path/to/this/folder")\n'
        'print(classifier.predict("picture.jpg"))\n```'
    )
