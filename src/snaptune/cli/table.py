"""Aligned text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Rows of cells as lines of equal columns; columns numbered in `right` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    to_right = set(right)
    return [_line(row, widths, to_right) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int], right: set[int]) -> str:
    cells = (
        cell.rjust(width) if number in right else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def short(number: int) -> str:
    """Three digits or so and a unit: 864, 14.2 M, 2.7 G."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def printable(text: str) -> str:
    """Text that cannot steer a terminal: control characters and broken surrogates are written out."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
