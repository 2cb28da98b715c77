"""The report in a real browser: a copy of the page measures itself and writes the answer into its title."""

from __future__ import annotations

import json
import os
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest

from benchmarks.chromium import FLAGS
from tests.demo.conftest import chromium
from tests.evaluation.test_report import page

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"


def measured(text: str, script: str, folder: Path, *flags: str) -> str:
    """The title of the page after `script` has run in it."""
    file = folder / "report.html"
    file.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    command = [
        *(chromium(), "--headless", *FLAGS, f"--user-data-dir={folder / 'profile'}"),
        *("--virtual-time-budget=20000", *flags, "--dump-dom", file.as_uri()),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    title = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)
    assert title is not None, shown[:500]
    return unescape(title.group(1))


@pytest.mark.parametrize("width", [500, 1280])
def test_the_page_does_not_scroll_sideways(width: int, tmp_path: Path) -> None:
    script = "const root = document.documentElement; document.title = root.scrollWidth - root.clientWidth"
    found = measured(
        page("a rather long name of a class", 30), script, tmp_path, f"--window-size={width},900"
    )
    assert found == "0"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme: str, tmp_path: Path) -> None:
    if not AXE.exists() and not os.environ.get("CI"):
        pytest.skip("axe-core is not installed: npm ci --ignore-scripts")
    script = (
        AXE.read_text(encoding="utf-8")
        + ";const dark = matchMedia('(prefers-color-scheme: dark)').matches;"
        + "axe.run().then(found => document.title = "
        + "JSON.stringify([dark, found.violations.map(rule => rule.id)]))"
    )
    flags = ("--blink-settings=preferredColorScheme=0",) if scheme == "dark" else ()
    assert json.loads(measured(page(), script, tmp_path, "--window-size=500,900", *flags)) == [
        scheme == "dark",
        [],
    ]
