"""Small figures as HTML that needs nothing but a browser: for notebooks and the report."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from snaptune.data.dataset import ImageDataset, Ints
from snaptune.errors import ImageError, shown

THUMB = 112
_BAR = "#3b6ea8"


@dataclass(frozen=True)
class Figure:
    """HTML that a notebook shows as it is."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def sample_grid(dataset: ImageDataset, seed: int = 0) -> Figure:
    """A near-square grid with one random picture of each class, its name above it."""
    rng = np.random.default_rng(seed)
    cells = [_cell(dataset, label, rng) for label in range(len(dataset.class_names))]
    columns = math.ceil(math.sqrt(len(cells)))
    style = f"display:grid;grid-template-columns:repeat({columns},{THUMB}px);gap:10px;font:12px sans-serif"
    return Figure(f'<div style="{style}">{"".join(cells)}</div>')


def _cell(dataset: ImageDataset, label: int, rng: np.random.Generator) -> str:
    """The first of the class's pictures, in random order, that can be read."""
    name = escape(shown(dataset.class_names[label]))
    members = rng.permutation(np.flatnonzero(dataset.labels == label))
    for index in members[:10]:
        picture = thumb_of(dataset, int(index))
        if picture:
            return f"<figure style='margin:0'><figcaption>{name}</figcaption>{picture}</figure>"
    return f"<figure style='margin:0'><figcaption>{name}</figcaption>no readable picture</figure>"


def thumb_of(dataset: ImageDataset, index: int) -> str:
    """An <img> of one sample; empty where it cannot be read."""
    name = str(dataset.ids[index])
    try:
        image = dataset.load(index)
    except ImageError:
        return ""
    return picture_tag(image, name)


def picture_tag(image: Image.Image, name: str, side: int = THUMB) -> str:
    """An <img> that holds the picture itself, at most `side` pixels wide and high."""
    small = image.copy()
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    data = base64.b64encode(file.getvalue()).decode()
    title = escape(shown(name), quote=True)
    return f'<img alt="{title}" title="{title}" src="data:image/jpeg;base64,{data}">'


def class_bars(class_names: Sequence[str], counts: Ints) -> Figure:
    """One bar a class with its name and its count."""
    longest = max(1, int(counts.max(initial=0)))
    rows = "".join(
        f"<tr><th style='text-align:right;font-weight:normal;padding:0 8px'>{escape(shown(name))}</th>"
        f"<td style='width:320px'><div style='background:{_BAR};height:14px;"
        f"width:{320 * count / longest:.1f}px'></div></td><td style='text-align:right'>{count:,}</td></tr>"
        for name, count in zip(class_names, counts.tolist(), strict=True)
    )
    return Figure(f"<table style='border-spacing:0 3px;font:12px sans-serif'>{rows}</table>")
