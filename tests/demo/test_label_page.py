"""The page on which suspect labels are put right, in a real browser."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from snaptune.data.dataset import ImageDataset
from snaptune.data.fixes import fixed
from snaptune.evaluation.suspects import Suspect
from snaptune.label_audit import LabelAudit
from tests.demo.test_quality import AXE


def strange_audit(dataset: ImageDataset) -> LabelAudit:
    """Three suspects; the names of the classes would be markup if they were not escaped."""
    names = ("<b>fist</b>", 'say "ok", </script>', "palm")
    renamed = replace(dataset, class_names=names)
    ids = list(map(str, dataset.ids))
    listed = [Suspect(i, ids[i], names[0], names[1], 0.1, 0.8) for i in range(3)]
    return LabelAudit(renamed, len(dataset), tuple(listed))


def test_what_is_decided_on_the_page_is_what_fix_reads(
    page: Page, small_dataset: ImageDataset, tmp_path: Path
) -> None:
    found = strange_audit(small_dataset)
    page.goto(found.write(tmp_path).as_uri())
    assert page.locator("li[data-id] b", has_text='say "ok", </script>').count() == 3
    expect(page.locator("#save")).to_be_disabled()
    cards = page.locator("li[data-id]")
    cards.nth(0).locator("[data-do=take]").click()
    cards.nth(1).locator("[data-do=remove]").click()
    cards.nth(2).locator("input").fill("pal")
    expect(page.locator("#count")).to_have_text("2 of 3 decided, 2 to fix")
    cards.nth(2).locator("input").fill("palm")
    expect(page.locator("#count")).to_have_text("3 of 3 decided, 3 to fix")
    with page.expect_download() as started:
        page.locator("#save").click()
    started.value.save_as(tmp_path / "fixes.csv")
    after = fixed(found.dataset, tmp_path / "fixes.csv")
    assert len(after) == len(small_dataset) - 1
    ids = list(map(str, after.ids))
    assert after.class_names[after.labels[ids.index(found.suspects[0].id)]] == 'say "ok", </script>'
    assert after.class_names[after.labels[ids.index(found.suspects[2].id)]] == "palm"


def test_all_suggestions_can_be_taken_but_for_those_decided(
    page: Page, small_dataset: ImageDataset, tmp_path: Path
) -> None:
    found = strange_audit(small_dataset)
    page.goto(found.write(tmp_path).as_uri())
    page.locator("li[data-id]").nth(1).locator("[data-do=keep]").click()
    page.locator("#take").click()
    expect(page.locator("#count")).to_have_text("3 of 3 decided, 2 to fix")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: Browser, small_dataset: ImageDataset, tmp_path: Path, scheme: Any
) -> None:
    if not AXE.exists() and not os.environ.get("CI"):
        pytest.skip("axe-core is not installed: npm ci --ignore-scripts")
    found = strange_audit(small_dataset)
    with browser.new_context(color_scheme=scheme, viewport={"width": 500, "height": 900}) as context:
        page = context.new_page()
        page.goto(found.write(tmp_path).as_uri())
        page.locator("[data-do=take]").first.click()
        page.add_script_tag(path=AXE)
        violations = page.evaluate("axe.run()")["violations"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 500
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in violations] == []
