"""Make the pictures of the README from a finished run: the page and the report, as Chromium shows them.

python -m docs.pictures snaptune-quickstart
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.chromium import launch
from snaptune.demo.serve import address, make_server
from snaptune.run_folder import Run

IMAGES = Path(__file__).parent / "images"


def main(project: str) -> None:
    run = Run.open(project)
    server = make_server(run.demo_folder, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1200, "height": 960})
        photograph_demo(page, address(server))
        photograph_report(page, run.report_file)
        browser.close()
    server.shutdown()


def photograph_demo(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("#winner:not(:empty)").wait_for(timeout=60_000)
    page.locator("#samples").get_by_role("button", name="peace", exact=True).click()
    page.wait_for_timeout(1500)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=IMAGES / "demo.png")


def photograph_report(page: Page, report: Path) -> None:
    page.goto(report.resolve().as_uri())
    page.screenshot(path=IMAGES / "report.png")


if __name__ == "__main__":
    main(sys.argv[1])
