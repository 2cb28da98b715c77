"""The main job, end to end, as a new user runs it; shortened to one epoch."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from snaptune.cli.main import main
from snaptune.run_folder import Run
from tests.demo.conftest import Serve
from tests.demo.test_page import open_demo, start_self_test


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A finished quickstart, and what it printed."""
    out = tmp_path_factory.mktemp("quickstart")
    with pytest.MonkeyPatch.context() as patch:
        shown: list[str] = []
        patch.setattr("builtins.print", lambda *texts, **kwargs: shown.append(" ".join(map(str, texts))))
        assert main(["quickstart", "--out", str(out), "--epochs", "1"]) == 0
    return Run.open(out), "\n".join(shown)


def test_it_ends_by_saying_where_everything_lies(quickstart: tuple[Run, str]) -> None:
    run, shown = quickstart
    ending = shown.splitlines()[-4:]
    assert re.fullmatch(
        r"held-out artist noto: accuracy \d+\.\d % \(95 % interval .* to .*, n = 132\)", ending[0]
    )
    assert ending[1:] == [
        f"run      {run.path}",
        f"report   {run.report_file}",
        f"demo     snaptune demo {run.path} --serve",
    ]


def test_the_exported_file_answers_as_pytorch_on_every_held_out_picture(quickstart: tuple[Run, str]) -> None:
    certificate = json.loads(quickstart[0].certificate_file.read_text("utf-8"))
    assert certificate["pictures"] >= 132
    assert certificate["largest_difference"] <= 1e-3
    assert certificate["equal_top1"] == 1.0


def test_the_credits_of_the_pictures_go_with_them(quickstart: tuple[Run, str]) -> None:
    run, _ = quickstart
    for folder in (run.credits_folder, run.demo_folder / "credits"):
        assert sorted(file.name for file in folder.iterdir()) == [
            "Apache-2.0.txt",
            "CC-BY-4.0.txt",
            "MIT.txt",
            "README.md",
        ]


def test_the_page_answers_as_pytorch(quickstart: tuple[Run, str], page: Page, serve: Serve) -> None:
    open_demo(page, serve(quickstart[0].demo_folder))
    expect(page.locator("#samples li")).to_have_count(19)
    start_self_test(page)
    result = page.locator("#test-result")
    expect(result).to_contain_text("Passed: 19 of 19 pictures", timeout=120_000)
    found = re.search(r"probability is ([0-9.]+)", result.inner_text())
    assert found is not None
    assert float(found[1]) <= 1e-3
