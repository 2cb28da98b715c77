"""The demo in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from snaptune.demo.build import DemoSample
from tests.demo.conftest import Serve


def open_demo(page: Page, url: str) -> None:
    """Open the demo and wait until its model answers."""
    page.goto(url)
    expect(page.locator("#engine")).to_be_visible(timeout=60_000)
    expect(page.locator("#winner")).not_to_be_empty()


def test_self_test_finds_every_sample_within_a_thousandth(page: Page, site: Path, serve: Serve) -> None:
    open_demo(page, serve(site))
    page.get_by_text("Does it answer as the original did?").click()
    page.get_by_role("button", name="Run the self-test").click()

    result = page.locator("#test-result")
    expect(result).to_contain_text("Passed: 6 of 6 pictures", timeout=30_000)
    found = re.search(r"probability is ([0-9.]+)", result.inner_text())
    print(result.inner_text(), page.locator("#engine-name").inner_text(), page.locator('#times').inner_text())
    assert found is not None
    assert float(found[1]) <= 1e-3
