"""One HTML page that says how good a run is: no script, no network, everything inside."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

import numpy as np

from snaptune.evaluation.calibration import CalibrationError
from snaptune.evaluation.intervals import Estimate, percent
from snaptune.evaluation.plots import Series, heat_map, interval_chart, line_chart, reliability_diagram
from snaptune.evaluation.results import ClassScore, Confused, EvaluationReport, Hardship, Share, Trust
from snaptune.export.certificate import NOT_VERIFIED, Certificate, Unverified

MOST_CLASSES = 40
"""Rows of the confusion matrix that are drawn; with more classes, those with the most mistakes."""
MOST_NAMED = 20
"""Pictures named that an exported file answers otherwise."""
_INTERVAL = "95 % interval"


_EXPORTED = "<!-- exported -->", "<!-- /exported -->"
"""Around what is known of exported files; no text from data can hold either, since it is escaped."""


@dataclass(frozen=True)
class Epoch:
    """What training reported after one epoch."""

    train_loss: float
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float
    kept: bool


@dataclass(frozen=True)
class Mistake:
    """A picture that was answered wrongly, as a small JPEG; `heat` shows what spoke for the answer."""

    id: str
    label: str
    predicted: str
    confidence: float
    group: str
    jpeg: bytes
    heat: bytes = b""


@dataclass(frozen=True)
class Background:
    """What the report shows besides the figures."""

    epochs: Sequence[Epoch]
    mistakes: Sequence[Mistake]
    settings: Mapping[str, object]
    environment: Mapping[str, object]
    certificates: Sequence[Certificate | Unverified] = ()


def render(report: EvaluationReport, background: Background) -> str:
    """The whole page. Every string that comes from data is escaped."""
    title = f"{report.run}: {percent(report.accuracy.value)} of {report.accuracy.n} pictures right"
    sections = (
        _header(report),
        _headline(report),
        _figures(report),
        _groups(report.groups),
        _trust(report.trust),
        _unknown(report.trust),
        _mistakes(background.mistakes),
        _confused(report.confused),
        _confusion(report),
        _classes(report.classes),
        _hardships(report.hardships),
        _EXPORTED[0],
        _exported(background.certificates, report.trust.calibration.temperature),
        _EXPORTED[1],
        _curves(background.epochs),
        _keys("Settings", background.settings),
        _keys("Environment", background.environment),
        _footer(),
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_style()}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _style() -> str:
    return resources.files("snaptune.evaluation").joinpath("report.css").read_text(encoding="utf-8")


def _section(title: str, note: str, body: str) -> str:
    """A heading, a sentence on how to read it (plain text), and ready HTML; nothing without a body."""
    explained = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section>\n<h2>{escape(title)}</h2>\n{explained}\n{body}\n</section>\n" if body else ""


def _card(name: str, body: str) -> str:
    """A box that scrolls sideways where it must, and can then be reached by keyboard."""
    return f'<div class="card" tabindex="0" role="group" aria-label="{escape(name)}">{body}</div>'


def _range(estimate: Estimate) -> str:
    return f"{percent(estimate.low, 0)} to {percent(estimate.high, 0)}"


def _header(report: EvaluationReport) -> str:
    return (
        f"<header>\n<p>Evaluation report</p>\n<h1>{escape(report.run)}</h1>\n"
        f"<p>{escape(report.dataset)}, {escape(report.part)} pictures</p>\n</header>\n"
    )


def _headline(report: EvaluationReport) -> str:
    found = report.accuracy
    about = "".join(f"<li>{escape(sentence)}</li>" for sentence in report.about)
    return (
        f'<div class="headline">\n<div><div class="value">{percent(found.value)}</div>\n'
        f'<p class="what">accuracy on {found.n} pictures<br>95 % interval: {_range(found)}</p></div>\n'
        f"<ul>{about}</ul>\n</div>\n"
    )


def _figures(report: EvaluationReport) -> str:
    shares = [("Among the top 5", report.top5), ("Balanced accuracy", report.balanced_accuracy)]
    cards = [_share_figure(name, found) for name, found in shares if found]
    loss = report.log_loss
    cards.append(_figure("Log loss", f"{loss.value:.3f}", f"{loss.low:.3f} to {loss.high:.3f}, n = {loss.n}"))
    return f'<dl class="figures">{"".join(cards)}</dl>\n'


def _share_figure(name: str, found: Estimate) -> str:
    return _figure(name, percent(found.value), f"{_range(found)}, n = {found.n}")


def _figure(name: str, value: str, ends: str) -> str:
    return (
        f'<div class="figure"><dt>{escape(name)}</dt><dd class="value">{escape(value)}</dd>'
        f'<dd class="range">{escape(ends)}</dd></div>'
    )


def _groups(groups: Sequence[Share]) -> str:
    if not groups:
        return ""
    chart = interval_chart("Accuracy by group", [(group.name, group.accuracy) for group in groups])
    note = "Dot: share of the group's pictures answered rightly. Line: 95 % interval (Wilson)."
    return _section("Accuracy by group", note, _card("Accuracy by group", chart))


def _trust(trust: Trust) -> str:
    temperature = trust.calibration.temperature
    note = (
        "On the diagonal, 90 % confidence means right nine times in ten. Each point stands for equally many "
        "pictures; lines are 95 % intervals (Wilson). "
    )
    if trust.fitted_here:
        note += (
            f"The model's logits are divided by {temperature:.2f}, fitted on these pictures. The figures "
            "with it are cross-fitted: each picture is judged with a number fitted without its fold."
        )
    else:
        note += f"The model's logits are divided by {temperature:.2f}, fitted on the validation part."
    charts = "".join(
        f'<div class="card">{_reliability(title, found)}</div>'
        for title, found in (("As trained", trust.before), ("With temperature", trust.after))
    )
    return _section("How far to trust its confidence", note, f'<div class="pair">{charts}</div>')


def _reliability(title: str, found: CalibrationError) -> str:
    error = found.error
    points = [(item.confidence, item.right) for item in found.bins]
    return reliability_diagram(title, points) + (
        f'<p class="note">Calibration error {error.value:.3f} ({error.low:.3f} to {error.high:.3f}, '
        f"n = {error.n}). Exact confidences would show {found.chance:.3f} on so few pictures, and seldom "
        f"over {found.chance_most:.3f}.</p>"
    )


def _unknown(trust: Trust) -> str:
    wanted, found = trust.calibration.max_wrong, trust.unknown
    promise = f"at most {percent(wanted)} of all pictures get a wrong answer"
    if found is None:
        needed = math.ceil(1 / wanted) - 1
        text = f"No threshold: that {promise} takes at least {needed} validation pictures to show."
        return _section("None of these", "", f"<p>{escape(text)}</p>")
    chosen = (
        f"Answers of {percent(found.confidence)} confidence or less are better taken as “unknown”. This "
        f"threshold is chosen on the validation part so that {promise}, on average over new ones like those. "
        if found.confidence > 0
        else f"No answer has to be taken as “unknown” so that {promise}, on average over new ones like the "
        "validation part, and so none is. "
    )
    text = (
        f"{chosen}Pictures of other groups may get more wrong ones. Nothing is promised about pictures of "
        "classes that the model does not know: many of them get an answer."
    )
    cards = (
        _share_figure("Pictures answered", found.answered),
        _share_figure("Right among the answered", found.right),
        _share_figure("Wrong answers let through", found.wrong),
    )
    body = f'<p>{escape(text)}</p><dl class="figures">{"".join(cards)}</dl>'
    return _section("None of these", "", body)


def _mistakes(mistakes: Sequence[Mistake]) -> str:
    items = "".join(_gallery_item(mistake) for mistake in mistakes)
    note = "The wrong answers given with most confidence. Some may be right, and the label wrong."
    if any(mistake.heat for mistake in mistakes):
        note += " What glows spoke for the wrong answer (Grad-CAM)."
    return _section("Worst mistakes", note, items and f'<ul class="gallery">{items}</ul>')


def _gallery_item(mistake: Mistake) -> str:
    pictures = _picture(mistake.jpeg, mistake.id)
    if mistake.heat:
        pictures += _picture(mistake.heat, f"what spoke for {mistake.predicted}")
    group = f" ({escape(mistake.group)})" if mistake.group else ""
    return (
        f'<li><div class="pictures">{pictures}</div>'
        f"<b>{escape(mistake.predicted)}</b> {percent(mistake.confidence, 0)}<br>"
        f'is {escape(mistake.label)}<br><span class="id">{escape(mistake.id)}{group}</span></li>'
    )


def _picture(jpeg: bytes, what: str) -> str:
    encoded = base64.b64encode(jpeg).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{encoded}" alt="{escape(what)}">'


def _confused(pairs: Sequence[Confused]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(pair.label)}</th><td class="text">{escape(pair.predicted)}</td>'
        f"<td>{pair.count} of {pair.support}</td><td>{percent(pair.count / pair.support, 0)}</td></tr>"
        for pair in pairs
    )
    head = _table_head(("True class", "Taken for", "Pictures", "Share of the class"), text_columns=2)
    return _section(
        "Most confused pairs",
        "",
        rows and _card("Most confused pairs", f"<table>{head}<tbody>{rows}</tbody></table>"),
    )


def _confusion(report: EvaluationReport) -> str:
    counts = np.asarray(report.confusion)
    names = [item.name for item in report.classes]
    note = "Rows: true class. Columns: answer. Numbers are pictures; the shade is the share of the row."
    if len(names) > MOST_CLASSES:
        wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
        chosen = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
        note += f" The {MOST_CLASSES} classes with most mistakes of {len(names)}; all are in report.json."
        counts, names = counts[np.ix_(chosen, chosen)], [names[index] for index in chosen]
    chart = heat_map("Confusion matrix", counts.tolist(), names)
    return _section("Confusion matrix", note, _card("Confusion matrix", chart))


def _classes(classes: Sequence[ClassScore]) -> str:
    head = _table_head(
        ("Class", "Answers", "Precision", _INTERVAL, "Pictures", "Recall", _INTERVAL, "F1", _INTERVAL)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(item.name)}</th><td>{item.precision.n}</td>{_cells(item.precision)}'
        f"<td>{item.support}</td>{_cells(item.recall)}{_cells(item.f1)}</tr>"
        for item in classes
    )
    note = (
        "Precision: how many of the answers that name the class are right. Recall: how many of its pictures "
        "were found. F1: their harmonic mean. The intervals (95 %, Wilson) take pictures as independent."
    )
    return _section("Every class", note, _card("Every class", f"<table>{head}<tbody>{rows}</tbody></table>"))


def _cells(found: Estimate) -> str:
    return f'<td>{percent(found.value, 0)}</td><td class="range">{_range(found) if found.n else ""}</td>'


def _table_head(names: Sequence[str], text_columns: int = 1) -> str:
    cells = "".join(
        f'<th scope="col"{" class=text" if index < text_columns else ""}>{escape(name)}</th>'
        for index, name in enumerate(names)
    )
    return f"<thead><tr>{cells}</tr></thead>"


def _hardships(hardships: Sequence[Hardship]) -> str:
    head = _table_head(
        ("Condition", "Strength", "Accuracy", _INTERVAL, "Change in points", _INTERVAL), text_columns=2
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(item.name)}</th><td class="text">{escape(item.strength)}</td>'
        f'<td>{percent(item.accuracy.value)}</td><td class="range">{_range(item.accuracy)}</td>'
        f'<td>{100 * item.change.value:+.1f}</td><td class="range">{100 * item.change.low:+.1f} to '
        f"{100 * item.change.high:+.1f}</td></tr>"
        for item in hardships
    )
    note = (
        f"The same pictures (n = {hardships[0].accuracy.n if hardships else 0}) made worse after they were "
        "resized. Each change is paired, picture by picture."
    )
    body = rows and _card("Under worse conditions", f"<table>{head}<tbody>{rows}</tbody></table>")
    return _section("Under worse conditions", note, body)


def with_certificates(page: str, certificates: Sequence[Certificate | Unverified], temperature: float) -> str:
    """A rendered page with these certificates in place of its own; `temperature` is the run's."""
    before, start, rest = page.partition(_EXPORTED[0])
    _, end, after = rest.partition(_EXPORTED[1])
    return f"{before}{start}{_exported(certificates, temperature)}{end}{after}" if end else page


def _exported(certificates: Sequence[Certificate | Unverified], temperature: float) -> str:
    """What was proven of each exported file, a column a file, and which pictures it answers otherwise."""
    if not certificates:
        return ""
    columns = [_proven(one) for one in certificates]
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(column.get(name, ''))}</td>" for column in columns)
        + "</tr>"
        for name in max(columns, key=len)
    )
    head = _table_head(("What was compared", *(f"{one.file} ({one.weights})" for one in certificates)))
    note = (
        "The same pictures through PyTorch and through the file: the validation part, and awkward ones "
        "(extreme shapes, EXIF orientations, transparency, 16 bits, CMYK, noise)."
    )
    remarks = [remark for one in certificates for remark in _remarks(one, temperature)]
    listed = "".join(f"<li>{escape(remark)}</li>" for remark in remarks)
    table = _card("Exported files", f"<table>{head}<tbody>{rows}</tbody></table>")
    return _section("Exported files", note, f'{table}<ul class="note">{listed}</ul>')


def _proven(one: Certificate | Unverified) -> dict[str, str]:
    """The rows of one file's column; what it is judged by stands beside what is allowed."""
    size = f"{one.file_bytes / 1e6:.1f} MB"
    if isinstance(one, Unverified):
        return {"Judged": NOT_VERIFIED, "Size": size}
    by_answers, drop = one.allowed_drop is None, one.accuracy and one.accuracy.drop
    allowed = f" (allowed {one.allowed_difference:g})" if by_answers else ""
    interval = f"{100 * drop.low:.1f} to {100 * drop.high:.1f}, n = {drop.n}" if drop else ""
    points = "" if one.allowed_drop is None else f"; allowed {100 * one.allowed_drop:g}"
    latency = one.latency_ms
    return {
        "Judged": "failed" if one.problem() else "passed",
        "Same label": f"{percent(one.equal_top1, 2)} of {one.pictures} pictures",
        "Largest difference of a probability": f"{one.largest_difference:.1e}{allowed}",
        "Mean difference": f"{one.mean_difference:.1e}",
        "Points of accuracy lost": f"{100 * drop.value:.1f} ({_INTERVAL} {interval}{points})" if drop else "",
        "One 640x480 picture, 1 thread": f"{latency.one_thread:.1f} ms" if latency else "",
        "All threads": f"{latency.all_threads:.1f} ms ({latency.threads})" if latency else "",
        "Size": size,
    }


def _remarks(one: Certificate | Unverified, temperature: float) -> list[str]:
    """Sentences on one file: what does not hold any more, who differs, what it was made and run with."""
    remarks = [f"{one.file}: {note}" for note in one.notes]
    if isinstance(one, Unverified):
        remarks.insert(0, f"{one.file}: {NOT_VERIFIED}. {one.not_verified}")
    elif not remarks and one.problem():
        remarks.append(one.problem())
    if one.temperature != temperature:
        remarks.append(
            f"{one.file} was exported with temperature {one.temperature:.2f}; the run's is {temperature:.2f} "
            "since it was evaluated. Export it again."
        )
    if isinstance(one, Certificate):
        remarks += _who_differs(one)
    made = ", ".join(f"{name} {number}" for name, number in one.versions.items())
    return [*remarks, f"{one.file}: SHA-256 {one.sha256}; {made}"]


def _who_differs(one: Certificate) -> list[str]:
    """The pictures that get another label, and those whose probabilities lie furthest apart, by name."""
    furthest = ", ".join(f"{row.name} ({row.difference:.1e})" for row in one.most_different)
    sentences = [f"{one.file} differs most at: {furthest}"]
    if one.other_label:
        shown = ", ".join(
            f"{row.name} ({row.pytorch} → {row.exported})" for row in one.other_label[:MOST_NAMED]
        )
        more = ", …" if len(one.other_label) > MOST_NAMED else ""
        sentences.append(f"{one.file} answers {len(one.other_label)} pictures otherwise: {shown}{more}")
    return sentences


def _curves(epochs: Sequence[Epoch]) -> str:
    if not epochs:
        return ""
    kept = max((index + 1 for index, epoch in enumerate(epochs) if epoch.kept), default=None)
    loss = line_chart(
        "Loss",
        [
            Series("validation", tuple(epoch.validation_loss for epoch in epochs), "blue"),
            Series("training", tuple(epoch.train_loss for epoch in epochs), "orange"),
        ],
        kept=kept,
    )
    accuracy = line_chart(
        "Accuracy",
        [
            Series("validation", tuple(epoch.validation_accuracy for epoch in epochs), "blue"),
            Series("training", tuple(epoch.train_accuracy for epoch in epochs), "orange"),
        ],
        as_percent=True,
        kept=kept,
    )
    note = "Training figures are of augmented pictures, taken while the weights still move."
    body = f'<div class="pair"><div class="card">{loss}</div><div class="card">{accuracy}</div></div>'
    return _section("Learning curves", note, body)


def _keys(title: str, values: Mapping[str, object]) -> str:
    rows = "".join(
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in values.items()
    )
    return _section(title, "", rows and _card(title, f'<dl class="keys">{rows}</dl>'))


def _footer() -> str:
    return (
        "<footer>Every figure comes with an interval that would hold the true value in 95 of 100 such "
        "evaluations. All of them are in report.json, every answer in predictions.csv.</footer>\n"
    )
