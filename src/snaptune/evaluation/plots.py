"""Charts as inline SVG text; colours and fonts come from `report.css`, so they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from snaptune.evaluation.intervals import Estimate, percent

_WIDTH, _HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 84, 30, 40
_CELL = 26
_LETTER = 6.4
"""Width of an average letter at the charts' font size of 12, in pixels."""


@dataclass(frozen=True)
class Series:
    """One line: its name, its value at x = 1, 2, … and its place among the colours."""

    name: str
    values: tuple[float, ...]
    colour: str


@dataclass(frozen=True)
class Scale:
    """A range of values laid over pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


def nice_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """About `wanted` round values (1, 2 or 5 times a power of ten) that enclose low to high.

    Equal ends are moved apart, so that there are always at least two values.
    """
    if high - low < 1e-6:
        margin = max(abs(low) * 0.05, 0.05)
        low, high = low - margin, high + margin
    span = high - low
    power = 10 ** math.floor(math.log10(span / wanted))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def line_chart(
    title: str, series: Sequence[Series], *, as_percent: bool = False, kept: int | None = None
) -> str:
    """Values over epochs, each line named at its end; `kept` marks an epoch, counted from 1."""
    shown = [value for item in series for value in item.values if math.isfinite(value)]
    ticks = nice_ticks(min(shown, default=0.0), max(shown, default=1.0))
    count = max(len(item.values) for item in series)
    x = Scale(1, max(count, 2), _LEFT, _WIDTH - _RIGHT)
    y = Scale(ticks[0], ticks[-1], _HEIGHT - _BOTTOM, _TOP)
    parts = [_horizontal_grid(ticks, y, as_percent), *_epochs(count, x)]
    if kept is not None and count > 1:
        parts.append(_vertical_mark(x(kept)))
    parts += [_line(item, x, y) for item in series]
    parts += _end_labels(series, x, y)
    return _svg(_WIDTH, _HEIGHT, title, _text(0, 14, title, "title") + "".join(parts))


def interval_chart(title: str, rows: Sequence[tuple[str, Estimate]]) -> str:
    """One row a name: a dot at the share and a line over its interval, between 0 and 100 %."""
    room = 20 + _LETTER * max(len(_short(name)) for name, _ in rows)
    width, height = 720, 40 + 28 * len(rows)
    lowest = min(estimate.low for _, estimate in rows)
    ticks = nice_ticks(min(lowest, 0.9), 1.0)
    x = Scale(ticks[0], 1.0, room, width - 220)
    bottom = height - 26
    parts = [
        f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="4" y2="{bottom}"/>'
        + _text(x(tick), bottom + 18, percent(tick, 0), "middle soft")
        for tick in ticks
    ]
    for index, (name, estimate) in enumerate(rows):
        parts.append(_interval_row(18 + 28 * index, x, name, estimate, width))
    return _svg(width, height, title, "".join(parts))


def reliability_diagram(title: str, points: Sequence[tuple[float, Estimate]]) -> str:
    """Share right over mean confidence, a point a bin, with the diagonal on which both agree."""
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    x = Scale(0, 1, _LEFT, _WIDTH - _RIGHT)
    y = Scale(0, 1, _HEIGHT - _BOTTOM, _TOP)
    diagonal = f'<line class="mark" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>'
    below = [_text(x(tick), _HEIGHT - _BOTTOM + 18, percent(tick, 0), "middle soft") for tick in ticks]
    marks = [
        f'<line class="whisker" x1="{x(confidence)}" x2="{x(confidence)}" y1="{y(right.low)}" '
        f'y2="{y(right.high)}"/><circle class="dot" cx="{x(confidence)}" cy="{y(right.value)}" r="4"/>'
        for confidence, right in points
    ]
    names = _text(x(0.5), _HEIGHT - 4, "mean confidence", "middle soft") + _text(0, 14, title, "title")
    share = _text(_WIDTH - _RIGHT, 14, "share right", "end soft")
    grid = _horizontal_grid(ticks, y, as_percent=True)
    return _svg(_WIDTH, _HEIGHT, title, "".join([grid, diagonal, *below, *marks, names, share]))


def heat_map(title: str, counts: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Counts [true][predicted], shaded by share of the row; right answers and mistakes in two colours."""
    matrix = np.asarray(counts)
    short = [_short(name) for name in names]
    room = 16 + _LETTER * max(map(len, short))
    left, top = room + 18, room
    side = _CELL * len(short)
    support = np.maximum(matrix.sum(axis=1), 1)
    cells = [
        _cell(left, top, int(row), int(column), int(matrix[row, column]), int(support[row]), names)
        for row, column in zip(*np.nonzero(matrix), strict=True)
    ]
    frame = _squares(left, top, len(short))
    labels = [
        _row_label(left, top, index, name) + _column_label(left, top, index, name)
        for index, name in enumerate(short)
    ]
    axes = _text(left + side / 2, top + side + 22, "predicted", "middle soft") + (
        f'<text class="middle soft" transform="translate(12 {top + side / 2}) rotate(-90)">true class</text>'
    )
    return _svg(
        round(left + side + room * 0.72),
        round(top + side + 30),
        title,
        frame + "".join(cells + labels) + axes,
    )


def rate_chart(
    rates: Sequence[float], losses: Sequence[float], smooth: Sequence[float], suggested: float | None
) -> str:
    """Loss over learning rate on a logarithmic axis, as a picture of its own that needs no style sheet."""
    title = "loss as the learning rate grows"
    ticks = nice_ticks(min(smooth, default=0.0), max(smooth, default=1.0))
    decades = range(math.floor(math.log10(min(rates, default=0.1))), 1 + _last_decade(rates))
    x = Scale(decades[0], decades[-1], _LEFT, _WIDTH - 20)
    y = Scale(ticks[0], ticks[-1], _HEIGHT - _BOTTOM, _TOP)
    bottom = _HEIGHT - _BOTTOM + 18
    parts = [_horizontal_grid(ticks, y, as_percent=False)]
    parts += [_text(x(decade), bottom, f"1e{decade}", "middle soft") for decade in decades]
    parts += [
        f'<circle class="soft" cx="{x(math.log10(rate))}" cy="{y(loss)}" r="1.5"/>'
        for rate, loss in zip(rates, losses, strict=True)
        if ticks[0] <= loss <= ticks[-1]
    ]
    points = " ".join(f"{x(math.log10(rate))},{y(loss)}" for rate, loss in zip(rates, smooth, strict=True))
    parts.append(f'<g class="series blue"><polyline points="{points}"/></g>')
    if suggested is not None:
        at = x(math.log10(suggested))
        parts.append(f'<line class="mark" x1="{at}" x2="{at}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
        parts.append(_text(at, _TOP - 5, f"{suggested:g}", "middle soft"))
    names = _text(x((decades[0] + decades[-1]) / 2), _HEIGHT - 4, "learning rate", "middle soft")
    inside = _text(0, 14, title, "title") + "".join(parts) + names
    return _svg(_WIDTH, _HEIGHT, title, _STYLE + inside).replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1
    )


_STYLE = (
    "<style>svg { background: #ffffff; font: 12px sans-serif; } text { fill: #22262b; } "
    ".title { font-weight: 600; } .soft { fill: #5d6670; } .middle { text-anchor: middle; } "
    ".end { text-anchor: end; } .grid { stroke: #e3e1dc; } "
    ".mark { stroke: #5d6670; stroke-dasharray: 2 4; } "
    "polyline { fill: none; stroke: #2b6a8f; stroke-width: 2; }</style>"
)
"""What `report.css` gives the charts of the report, for one that stands alone."""


def _last_decade(rates: Sequence[float]) -> int:
    return math.ceil(math.log10(max(rates, default=1.0)))


def _svg(width: float, height: float, title: str, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">{inside}</svg>'
    )


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{round(x, 1)}" y="{round(y, 1)}" class="{style}">{escape(text)}</text>'


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _horizontal_grid(ticks: Sequence[float], y: Scale, as_percent: bool) -> str:
    return "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>'
        + _text(_LEFT - 8, y(tick) + 4, percent(tick, 0) if as_percent else f"{tick:g}", "end soft")
        for tick in ticks
    )


def _epochs(count: int, x: Scale) -> list[str]:
    shown = [tick for tick in nice_ticks(1, count, 9) if 1 <= tick <= count and tick == int(tick)]
    labels = [
        _text(x(tick), _HEIGHT - _BOTTOM + 18, f"{tick:g}", "middle soft") for tick in {1, *map(int, shown)}
    ]
    return [*labels, _text(x((1 + max(count, 2)) / 2), _HEIGHT - 4, "epoch", "middle soft")]


def _vertical_mark(at: float) -> str:
    line = f'<line class="mark" x1="{at}" x2="{at}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
    return line + _text(at, _TOP - 5, "kept", "middle soft")


def _line(item: Series, x: Scale, y: Scale) -> str:
    points = [(x(index + 1), y(value)) for index, value in enumerate(item.values) if math.isfinite(value)]
    path = " ".join(f"{px},{py}" for px, py in points)
    dots = "".join(f'<circle cx="{px}" cy="{py}" r="2.5"/>' for px, py in points)
    return f'<g class="series {item.colour}"><polyline points="{path}"/>{dots}</g>'


def _end_labels(series: Sequence[Series], x: Scale, y: Scale) -> list[str]:
    """Names beside the last points, pushed apart where they would overlap."""
    finite = [item for item in series if math.isfinite(item.values[-1])]
    placed: list[str] = []
    lowest = -math.inf
    for item in sorted(finite, key=lambda item: y(item.values[-1])):
        lowest = max(y(item.values[-1]) + 4, lowest + 14)
        placed.append(_text(x(len(item.values)) + 8, lowest, item.name, f"name {item.colour}"))
    return placed


def _interval_row(y: float, x: Scale, name: str, estimate: Estimate, width: float) -> str:
    ends = f"{percent(estimate.low, 0)} to {percent(estimate.high, 0)}"
    figures = f"{percent(estimate.value)} ({ends}, n = {estimate.n})"
    return (
        _text(x.start - 12, y + 4, _short(name), "end")
        + f'<line class="whisker" x1="{x(estimate.low)}" x2="{x(estimate.high)}" y1="{y}" y2="{y}"/>'
        + f'<circle class="dot" cx="{x(estimate.value)}" cy="{y}" r="5"/>'
        + _text(width, y + 4, figures, "end soft")
    )


def _squares(left: float, top: float, count: int) -> str:
    """The empty grid: one path instead of a rectangle a cell."""
    side = _CELL * count
    lines = "".join(
        f"M{left} {top + _CELL * index}h{side}M{left + _CELL * index} {top}v{side}"
        for index in range(count + 1)
    )
    return f'<path class="squares" d="{lines}"/>'


def _cell(
    left: float, top: float, row: int, column: int, count: int, support: int, names: Sequence[str]
) -> str:
    share = count / support
    kind = "right" if row == column else "wrong"
    dark = " deep" if share > 0.8 else " half" if share > 0.45 else ""
    what = f"{count} of {support} {names[row]}: taken for {names[column]}"
    x, y = left + _CELL * column, top + _CELL * row
    return (
        f'<g><title>{escape(what)}</title><rect class="{kind}" x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" '
        f'height="{_CELL - 2}" rx="3" fill-opacity="{0.15 + 0.85 * share:.2f}"/>'
        + _text(x + _CELL / 2, y + _CELL / 2 + 4, str(count), f"middle count{dark}")
        + "</g>"
    )


def _row_label(left: float, top: float, index: int, name: str) -> str:
    return _text(left - 8, top + _CELL * index + _CELL / 2 + 4, name, "end")


def _column_label(left: float, top: float, index: int, name: str) -> str:
    x, y = left + _CELL * index + _CELL / 2 + 4, top - 8
    return f'<text transform="translate({x} {y}) rotate(-50)">{escape(name)}</text>'
