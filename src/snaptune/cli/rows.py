"""Predictions as lines of text: an aligned table, CSV or JSON Lines. Confidence is in percent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from snaptune.cli.table import printable

if TYPE_CHECKING:
    from snaptune.prediction_stream import Row

Lines = Callable[["Iterable[Row]", int, int], Iterator[str]]
"""(rows, classes shown a row, letters of the longest class name) -> lines without their ends"""


def table_lines(rows: Iterable[Row], top: int, width: int) -> Iterator[str]:
    """Columns of fixed width, so that rows can be shown as they come; the name is last."""
    others = (top - 1) * (width + 9)
    width = max(width, len("target"))
    then = f"  {'then':{others}}" if others else ""
    yield f"{'confidence':>10}  {'label':{width}}  {'target':{width}}{then}  name"
    for row in rows:
        if row.prediction is None:
            named = row.error if row.name in row.error else f"{row.name}: {row.error}"
            yield f"{'-':>10}  {printable(named)}"
            continue
        rest = row.prediction.top[1:]
        then = ", ".join(f"{printable(label)} {_percent(share):.2f} %" for label, share in rest)
        then = f"  {then:{others}}" if others else ""
        cells = f"{printable(row.prediction.label):{width}}  {printable(row.target):{width}}"
        yield f"{_percent(row.prediction.confidence):>8.2f} %  {cells}{then}  {printable(row.name)}"


def csv_lines(rows: Iterable[Row], top: int, width: int) -> Iterator[str]:
    """A header, then a row a picture; the second and later classes have columns of their own."""
    numbers = [f"_{number}" if number > 1 else "" for number in range(1, top + 1)]
    leading = [f"{column}{number}" for number in numbers for column in ("label", "confidence_percent")]
    yield _csv(["name", "target", "error", *leading])
    for row in rows:
        shares = _leading(row)
        cells = [cell for label, share in shares for cell in (label, f"{_percent(share):.4f}")]
        yield _csv([row.name, row.target, row.error, *cells, *[""] * (2 * top - len(cells))])


def jsonl_lines(rows: Iterable[Row], top: int, width: int) -> Iterator[str]:
    """One JSON object a picture; `label` may be 'unknown', `top` holds the classes."""
    for row in rows:
        answer = row.prediction
        shares = answer.top if answer else ()
        leading = [{"label": label, "confidence_percent": _percent(share)} for label, share in shares]
        value = {"name": row.name, **(leading[0] | {"label": answer.label} if answer else {}), "top": leading}
        known = {"target": row.target, "error": row.error}
        yield json.dumps({**value, **{key: text for key, text in known.items() if text}})


FORMATS: dict[str, Lines] = {"table": table_lines, "csv": csv_lines, "jsonl": jsonl_lines}


def _leading(row: Row) -> list[tuple[str, float]]:
    """The answer, which may be 'unknown', then the second and later classes."""
    if row.prediction is None:
        return []
    return [(row.prediction.label, row.prediction.confidence), *row.prediction.top[1:]]


def _percent(share: float) -> float:
    return round(100 * share, 4)


def _csv(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
