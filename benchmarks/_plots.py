"""One kind of picture: points over two axes, as a self-contained SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from snaptune.evaluation.plots import Scale, nice_ticks

Points = Sequence[tuple[float, float]]
COLOURS = (
    "#0b6e99",
    "#c2410c",
    "#4d7c0f",
    "#7e22ce",
    "#be123c",
    "#525252",
    "#0f766e",
    "#a16207",
    "#1e293b",
    "#db2777",
)
WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 210, 40, 50


def chart(
    title: str, lines: Mapping[str, Points], x_label: str, y_label: str, *, logarithmic: bool = False
) -> str:
    """SVG text; each line is named at the right, in the order of its last value."""
    change: Callable[[float], float] = math.log10 if logarithmic else float
    back = (lambda value: 10**value) if logarithmic else float
    flat = [(change(x), change(y)) for points in lines.values() for x, y in points]
    across, up = ([pair[axis] for pair in flat] for axis in (0, 1))
    x_ticks, y_ticks = _ticks(across, logarithmic), _ticks(up, logarithmic)
    x = Scale(x_ticks[0], x_ticks[-1], LEFT, WIDTH - RIGHT)
    y = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [
        _text(LEFT, 22, title, weight="bold"),
        _text(LEFT, HEIGHT - 10, x_label),
        _text(4, TOP - 6, y_label),
    ]
    for tick in x_ticks:
        parts += [
            _line(x(tick), TOP, x(tick), HEIGHT - BOTTOM),
            _text(x(tick) - 8, HEIGHT - 32, _short(back(tick))),
        ]
    for tick in y_ticks:
        parts += [_line(LEFT, y(tick), WIDTH - RIGHT, y(tick)), _text(20, y(tick) + 4, _short(back(tick)))]
    ordered = sorted(lines, key=lambda name: -lines[name][-1][1])
    for place, name in enumerate(ordered):
        colour = COLOURS[place % len(COLOURS)]
        found = [(x(change(a)), y(change(b))) for a, b in lines[name]]
        path = " ".join(f"{px},{py}" for px, py in found)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{px}" cy="{py}" r="3" fill="{colour}"/>' for px, py in found]
        parts.append(_text(WIDTH - RIGHT + 12, TOP + 10 + 20 * place, name, colour=colour))
    inside = "".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>{inside}</svg>\n'
    )


def _ticks(values: Sequence[float], logarithmic: bool) -> list[float]:
    """Round values around all; powers of ten (or halves of them) on a logarithmic axis."""
    low, high = min(values), max(values)
    if not logarithmic:
        return nice_ticks(low, high)
    return [float(power) for power in range(math.floor(low), max(math.ceil(high), math.floor(low) + 1) + 1)]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _text(x: float, y: float, text: str, colour: str = "#222", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" font-weight="{weight}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#ddd"/>'
