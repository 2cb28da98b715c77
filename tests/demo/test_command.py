"""`snaptune demo` from a real run."""

from __future__ import annotations

import json
import shutil
import webbrowser
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import snaptune.demo.serve as serving
from snaptune.cli.main import main
from snaptune.run_folder import Run
from tests.demo.conftest import Serve
from tests.demo.test_page import open_demo, start_self_test


@pytest.fixture(scope="module")
def published(
    tiny_run: Run, picture_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The folder and the single file that the command writes for a trained run."""
    folder = tmp_path_factory.mktemp("published")
    run = str(shutil.copytree(tiny_run.path, folder / "run"))
    data = str(picture_folder)
    site, single = folder / "site", folder / "demo.html"
    for command in (
        ["evaluate", run, data],
        ["export", run, data],
        ["demo", run, data, "--out", str(site), "--single-file", str(single)],
    ):
        assert main(command) == 0, command
    return site, single


def test_the_page_of_a_run_answers_as_its_model_does(
    page: Page, published: tuple[Path, Path], serve: Serve
) -> None:
    site, _ = published
    count = len(json.loads((site / "manifest.json").read_text("utf-8"))["samples"])
    assert count > 0
    open_demo(page, serve(site))
    start_self_test(page)

    expect(page.locator("#test-result")).to_contain_text(f"Passed: {count} of {count}", timeout=30_000)


def test_the_single_file_of_a_run_opens_from_disk(page: Page, published: tuple[Path, Path]) -> None:
    _, single = published
    open_demo(page, single.as_uri())
    start_self_test(page)

    expect(page.locator("#test-result")).to_contain_text("Passed", timeout=30_000)


@pytest.mark.parametrize("desktop", [True, False])
def test_serve_prints_the_address_and_opens_it_on_a_desktop(
    published: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    desktop: bool,
) -> None:
    opened: list[str] = []

    def interrupt(server: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(serving, "has_desktop", lambda: desktop)
    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", interrupt)
    serving.serve(published[0], 0)

    printed = capsys.readouterr().out
    assert printed.startswith("The demo is at http://127.0.0.1:")
    assert opened == ([printed.split()[4]] if desktop else [])
