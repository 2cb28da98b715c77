"""The whole demo in one HTML file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from snaptune.demo.build import SITE
from snaptune.demo.single_file import build_single_file, bundle
from snaptune.errors import DemoError
from tests.demo.test_page import open_demo, start_self_test


@pytest.fixture(scope="session")
def single(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_single_file(site, tmp_path_factory.mktemp("single") / "demo.html")


def test_opens_from_disk_and_answers_as_pytorch_does(page: Page, single: Path) -> None:
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    open_demo(page, single.as_uri())
    start_self_test(page)

    expect(page.locator("#test-result")).to_contain_text("Passed: 6 of 6 pictures", timeout=30_000)
    expect(page.locator("#engine-name")).to_have_text("WebAssembly · 1 thread")
    assert {address.split(":")[0] for address in asked} <= {"file", "blob", "data"}
    assert [address for address in asked if address.startswith("file")] == [single.as_uri()]


def test_says_why_it_has_one_thread(page: Page, single: Path) -> None:
    open_demo(page, single.as_uri())
    page.locator("#engine").click()

    expect(page.locator("#engine-why")).to_contain_text("all in one file")


def test_webgpu_is_left_out_and_the_badge_says_so(page: Page, single: Path, site: Path) -> None:
    assert single.stat().st_size < sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    open_demo(page, single.as_uri())

    expect(page.locator("#engine-news")).to_have_text(
        "WebGPU is not used: this page, all in one file, does not carry it."
    )


@pytest.mark.parametrize("name", ["app.js", "worker.js"])
def test_the_modules_that_become_one_share_no_name(name: str) -> None:
    declared = re.findall(
        r"^(?:async )?(?:function|const|let|class) (?:\[([^]]*)\]|(\w+))", bundle(SITE, name), re.MULTILINE
    )
    names = [one.strip() for several, single in declared for one in (single or several).split(",")]

    assert len(names) > 10
    assert sorted(set(names)) == sorted(names)


def test_its_licences_are_inside(page: Page, single: Path) -> None:
    page.goto(single.as_uri())
    with page.expect_download() as started:
        page.get_by_role("link", name="licence").click()

    assert "Copyright (c) Microsoft Corporation" in Path(started.value.path()).read_text("utf-8")


def test_refers_to_no_file_beside_it(single: Path) -> None:
    html = re.sub(r">[A-Za-z0-9+/=]{100,}<", "><", single.read_text("utf-8"))

    assert re.findall(r'(?:src|href)="(?!data:)([^"]*)"', html) == []
    assert "http.server" not in html


def test_says_that_there_is_no_demo(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"No demo in .* Build one first: snaptune demo RUN --out"):
        build_single_file(tmp_path, tmp_path / "demo.html")
