"""The notebook runs from top to bottom."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

from snaptune.data.splits import read_split

NOTEBOOK = Path(__file__).parents[1] / "docs/gestures.ipynb"


def cells() -> list[str]:
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def last_value(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; what a notebook would show, the value of its last line."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)  # noqa: S102
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)  # noqa: S307


def test_it_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = []
    for source in cells():
        shown.append(last_value(source, names))
        if "EPOCHS = " in source:
            names["EPOCHS"] = 1
    assert shown[1]._repr_html_().count("<figure") == 19
    assert shown[-2].label in names["dataset"].class_names
    assert names["run"].report_file.is_file()
    held_out = read_split(names["run"].split_file, names["dataset"]).indices("validation")
    assert names["report"].accuracy.n == len(held_out)
    assert Path("runs/gestures/audit/audit.html").is_file()


def test_nothing_that_was_shown_is_kept_in_it() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert all(not cell.get("outputs") for cell in json.loads(text)["cells"])
    assert os.sep + "home" not in text
