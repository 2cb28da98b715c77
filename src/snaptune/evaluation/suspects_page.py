"""One HTML page to go through suspect labels and save what was decided; no network, everything inside."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from snaptune.errors import shown
from snaptune.evaluation.intervals import percent
from snaptune.evaluation.suspects import Suspect


@dataclass(frozen=True)
class Card:
    """A suspect with its group, empty where there is none, and its picture as a small JPEG."""

    suspect: Suspect
    group: str
    jpeg: bytes


def render(title: str, class_names: Sequence[str], cards: Sequence[Card]) -> str:
    """The whole page. Every string that comes from data is escaped."""
    cells = "".join(_cell(card) for card in cards)
    options = "".join(f"<option>{escape(name)}</option>" for name in class_names)
    note = (
        "None of these pictures was judged by its own label. Some labels are right and only the picture is "
        "hard: look, then decide. Nothing is changed in your files; the table that you save is read with "
        "--fix and can be taken back by leaving it out."
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>\n{_file('report.css')}{_file('suspects.css')}</style>\n</head>\n<body>\n<main>\n"
        f"<header><p>Labels that are likely wrong</p><h1>{escape(shown(title))}</h1></header>\n"
        f'<p class="note">{escape(note)}</p>\n'
        '<div class="bar"><button id="save" type="button" disabled>Save fixes.csv</button>'
        '<button id="take" type="button">Take every suggestion</button>'
        '<span id="count" role="status"></span></div>\n'
        f'<ul class="gallery">{cells}</ul>\n<datalist id="classes">{options}</datalist>\n'
        f'<script type="application/json" id="names">{_json(class_names)}</script>\n'
        f'<script type="module">\n{_file("suspects.js")}</script>\n</main>\n</body>\n</html>\n'
    )


def _cell(card: Card) -> str:
    one, data = card.suspect, base64.b64encode(card.jpeg).decode()
    name, suggested = escape(shown(one.id)), escape(shown(one.suggested))
    group = f" · {escape(shown(card.group))}" if card.group else ""
    return (
        f'<li data-id="{escape(one.id, quote=True)}" data-suggested="{escape(one.suggested, quote=True)}">'
        f'<div class="pictures"><img alt="" loading="lazy" src="data:image/jpeg;base64,{data}"></div>'
        f"labelled {escape(shown(one.label))} ({percent(one.label_probability, 0)})<br>"
        f"rather <b>{suggested}</b> ({percent(one.suggested_probability, 0)})"
        f'<div class="id">{name}{group}</div>'
        f'<div class="decide" role="group" aria-label="{name}">'
        f'<button type="button" data-do="keep">keep</button>'
        f'<button type="button" data-do="take">{suggested}</button>'
        f'<button type="button" data-do="remove">remove</button>'
        f'<input list="classes" placeholder="another class" aria-label="another class for {name}">'
        "</div></li>\n"
    )


def _json(names: Sequence[str]) -> str:
    """Inside a script element, where `</` would end it."""
    return json.dumps(list(names)).replace("<", "\\u003c")


def _file(name: str) -> str:
    return resources.files("snaptune.evaluation").joinpath(name).read_text(encoding="utf-8")
