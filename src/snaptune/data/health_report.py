"""A `DataReport` as one self-contained HTML file, as JSON, and as a table for the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from snaptune.data.dataset import ImageDataset
from snaptune.data.figures import Figure, class_bars, picture_tag, sample_grid, thumb_of
from snaptune.data.health import KINDS, DataReport, Finding
from snaptune.errors import ImageError, shown
from snaptune.images.preprocess import Pixels, Preprocess

_SHOWN_FINDINGS, _SHOWN_SAMPLES = 12, 6

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:15px/1.5 system-ui,sans-serif;max-width:1060px;margin:2rem auto;padding:0 1rem}
h1{margin-bottom:0}h2{margin-top:2.2rem;border-bottom:1px solid var(--line)}
.cards{display:flex;flex-wrap:wrap;gap:12px;margin:1rem 0}
.card{background:var(--soft);border-radius:8px;padding:8px 16px}.card b{display:block;font-size:1.5em}
.row{display:flex;flex-wrap:wrap;gap:10px;align-items:flex-start;padding:8px 0}
.row{border-bottom:1px solid var(--line)}
img{outline:1px solid var(--line)}
figure{margin:0;max-width:200px}figcaption{font-size:12px;overflow-wrap:anywhere}
table{border-collapse:collapse}.plain td,.plain th{padding:2px 14px 2px 0;text-align:left}
.scroll{overflow-x:auto}.advice{opacity:.75}
"""


AUGMENTED = 3
"""How many augmented forms of a picture are shown: one says little about what is drawn at random."""

Augmented = Callable[[Pixels, int], Sequence[Pixels]]
"""(prepared picture, sample) -> what training makes of it in as many epochs; from above, where torch is."""


def write_html(
    report: DataReport,
    path: Path,
    preprocess: Preprocess | None = None,
    augmented: Augmented | None = None,
    seed: int = 0,
    gap: Sequence[tuple[str, str]] = (),
) -> None:
    """One file that opens anywhere; with a recipe, also one picture's way through its steps.

    `gap` are rows on what a random split would claim.
    """
    dataset = report.dataset
    title = f"Data check: {escape(shown(dataset.name))}"
    body = [
        f"<h1>{title}</h1>{_notes(dataset)}{_cards(report)}",
        _section("Findings", _findings(report)),
        *([_section("Accuracy that splits would claim", _gap(gap))] if gap else []),
        _section("Classes", class_bars(dataset.class_names, report.class_counts).html),
        _section("One picture of each class", sample_grid(dataset, seed).html),
        _section("Sizes", _sizes(report)),
        _section("Files", _files(report)),
    ]
    if preprocess is not None:
        steps = preparation_steps(dataset, preprocess, augmented, seed)
        body.append(_section("From file to model input", steps.html))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    path.parent.mkdir(parents=True, exist_ok=True)
    document = (
        f"<!doctype html><html lang='en'><head>{head}<style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>"
    )
    path.write_text(document, encoding="utf-8")


def preparation_steps(
    dataset: ImageDataset, preprocess: Preprocess, augmented: Augmented | None = None, seed: int = 0
) -> Figure:
    """A random picture as stored, resized, padded, augmented and de-normalised (P1, P6)."""
    for index in np.random.default_rng(seed).permutation(len(dataset))[:20]:
        name = str(dataset.ids[index])
        try:
            source = dataset.load(int(index))
        except ImageError:
            continue
        resized = preprocess.resized(source)
        padded = preprocess.padded(resized)
        variants = augmented(padded, int(index)) if augmented else ()
        steps = [
            (f"as stored, {source.width}x{source.height}", source),
            (f"longest side to {preprocess.size}: {resized.width}x{resized.height}", resized),
            (f"edges repeated: {preprocess.size}x{preprocess.size}", Image.fromarray(padded)),
            *((f"augmented, epoch {epoch}", Image.fromarray(one)) for epoch, one in enumerate(variants, 1)),
            ("normalised and back, as validated", Image.fromarray(_there_and_back(padded, preprocess))),
        ]
        cells = (_captioned(picture_tag(image, name, 200), text) for text, image in steps)
        label = escape(shown(dataset.class_names[dataset.labels[index]]))
        return Figure(f"<p>{escape(shown(name))}: {label}</p><div class='row'>{''.join(cells)}</div>")
    return Figure("<p>No readable picture.</p>")


def _gap(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    advice = "Of a quick probe. Where new pictures will be of other groups than these, expect the second."
    return f"<p class='advice'>{advice}</p><table class='plain'>{cells}</table>"


def _there_and_back(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    mean, std = np.asarray(preprocess.mean), np.asarray(preprocess.std)
    seen = ((pixels / 255 - mean) / std * std + mean) * 255
    rounded: Pixels = np.rint(seen).clip(0, 255).astype(np.uint8)
    return rounded


def write_json(report: DataReport, path: Path, gap: Mapping[str, object] | None = None) -> None:
    """Every count and every finding with the ids of its samples, and what a random split would claim."""
    dataset = report.dataset
    value = {
        "name": dataset.name,
        "pictures": len(dataset),
        "fingerprint": dataset.fingerprint(),
        "class_counts": dict(zip(dataset.class_names, report.class_counts.tolist(), strict=True)),
        "imbalance": report.imbalance,
        "groups": len(dataset.group_names),
        "parts": dict(report.part_counts),
        "formats": dict(report.formats),
        "modes": dict(report.modes),
        "conversions": dict(report.conversions),
        "notes": list(dataset.notes),
        "unreadable": [
            {"id": item.id, "reason": item.reason, "detail": item.detail} for item in report.unreadable
        ],
        "findings": [_as_dict(dataset, finding) for finding in report.findings],
        **({"gap": gap} if gap else {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _as_dict(dataset: ImageDataset, finding: Finding) -> dict[str, object]:
    ids = [str(dataset.ids[index]) for index in finding.samples]
    return {"kind": finding.kind, "ids": ids, "detail": finding.detail}


def terminal_table(report: DataReport) -> str:
    """Counts a class, what the files are, and how much was found of each kind."""
    dataset = report.dataset
    width = max(map(len, (shown(name) for name in dataset.class_names)))
    longest = max(1, int(report.class_counts.max()))
    lines = [f"{shown(dataset.name)}: {_summary(report)}", ""]
    for name, count in zip(dataset.class_names, report.class_counts.tolist(), strict=True):
        lines.append(f"  {shown(name):<{width}}  {count:>8,}  {'█' * round(30 * count / longest)}")
    lines += ["", *(f"  note: {note}" for note in dataset.notes)]
    for title, counts in (
        ("format", report.formats),
        ("mode", report.modes),
        ("converted", report.conversions),
    ):
        lines += [f"  {title:<10} {_counted(counts)}"] if counts else []
    found = [(kind, report.of_kind(kind)) for kind in KINDS]
    lines += [
        "",
        *(f"  {KINDS[kind][0]:<30} {_amount(kind, findings)}" for kind, findings in found if findings),
    ]
    return "\n".join(lines) if report.findings else "\n".join([*lines, "  Nothing found."])


def _summary(report: DataReport) -> str:
    dataset = report.dataset
    texts = [f"{len(dataset):,} pictures", f"{len(dataset.class_names)} classes"]
    texts.append(f"largest class {report.imbalance:.1f} times the smallest")
    if dataset.groups is not None:
        texts.append(f"{len(dataset.group_names):,} groups")
    return ", ".join([*texts, *(f"{count:,} {part}" for part, count in report.part_counts)])


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts)


def _amount(kind: str, findings: Sequence[Finding]) -> str:
    pictures = sum(len(finding.samples) for finding in findings)
    several = "set" if len(findings) == 1 else "sets"
    sets = f" in {len(findings):,} {several}" if kind in ("exact", "near", "conflict", "leak") else ""
    first = shown(findings[0].detail)
    return f"{pictures:,}{sets}" + (f" (first: {first})" if first else "")


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2><div class='scroll'>{content}</div>"


def _captioned(picture: str, text: str) -> str:
    return f"<figure>{picture}<figcaption>{escape(shown(text))}</figcaption></figure>"


def _notes(dataset: ImageDataset) -> str:
    return "".join(f"<p class='advice'>{escape(shown(note))}</p>" for note in dataset.notes)


def _cards(report: DataReport) -> str:
    dataset = report.dataset
    cards = [
        (f"{len(dataset):,}", "pictures"),
        (f"{len(dataset.class_names):,}", "classes"),
        (f"{report.imbalance:.1f}×", "largest to smallest class"),
        (f"{len(report.unreadable):,}", "unreadable"),
    ]
    if dataset.groups is not None:
        cards.append((f"{len(dataset.group_names):,}", "groups"))
    cards += [(f"{count:,}", part) for part, count in report.part_counts]
    return (
        "<div class='cards'>" + "".join(f"<div class='card'><b>{n}</b>{t}</div>" for n, t in cards) + "</div>"
    )


def _findings(report: DataReport) -> str:
    sections = [_kind(report, kind, found) for kind in KINDS if (found := report.of_kind(kind))]
    return "".join(sections) or "<p>Nothing found.</p>"


def _kind(report: DataReport, kind: str, found: Sequence[Finding]) -> str:
    title, advice = KINDS[kind]
    alone = all(len(finding.samples) == 1 for finding in found)
    limit = _SHOWN_FINDINGS * (2 if alone else 1)
    cells = [_finding(report.dataset, finding) for finding in found[:limit]]
    rows = (
        f"<div class='row'>{''.join(cells)}</div>"
        if alone
        else "".join(f"<div class='row'>{c}</div>" for c in cells)
    )
    more = f"<p>… and {len(found) - limit:,} more, all in the JSON.</p>" if len(found) > limit else ""
    return f"<h3>{title}: {_amount(kind, found)}</h3><p class='advice'>{advice}</p>{rows}{more}"


def _finding(dataset: ImageDataset, finding: Finding) -> str:
    cells = [_sample(dataset, index, finding.detail) for index in finding.samples[:_SHOWN_SAMPLES]]
    rest = len(finding.samples) - _SHOWN_SAMPLES
    return "".join(cells) + (f"<span>+ {rest:,}</span>" if rest > 0 else "")


def _sample(dataset: ImageDataset, index: int, detail: str) -> str:
    text = f"{dataset.ids[index]} [{dataset.class_names[dataset.labels[index]]}]"
    return _captioned(thumb_of(dataset, index), f"{text} {detail}".strip())


def _sizes(report: DataReport) -> str:
    if not len(report.sizes):
        return "<p>No readable picture.</p>"
    width, height = report.sizes[:, 0].astype(float), report.sizes[:, 1].astype(float)
    rows = {"width": width, "height": height, "width / height": width / height}
    head = "<tr><th></th><th>smallest</th><th>5 %</th><th>median</th><th>95 %</th><th>largest</th></tr>"
    lines = [
        f"<tr><th>{name}</th>"
        + "".join(
            f"<td>{value:,.0f}</td>" if value >= 100 else f"<td>{value:.3g}</td>"
            for value in np.percentile(v, [0, 5, 50, 95, 100], method="nearest")
        )
        for name, v in rows.items()
    ]
    return f"<table class='plain'>{head}{'</tr>'.join(lines)}</tr></table>"


def _files(report: DataReport) -> str:
    kinds = {
        "format": report.formats,
        "colour mode": report.modes,
        "converted on purpose": report.conversions,
    }
    rows = [
        f"<tr><th>{name}</th><td>{escape(_counted(counts)) or 'none'}</td></tr>"
        for name, counts in kinds.items()
    ]
    return f"<table class='plain'>{''.join(rows)}</table>"
