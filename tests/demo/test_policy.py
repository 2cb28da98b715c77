"""Nothing that runs on the page reaches another origin: not the page, not its worker, not its threads."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Worker

from snaptune.demo.serve import HEADERS
from snaptune.demo.single_file import build_single_file
from tests.demo.conftest import Serve, running
from tests.demo.test_page import open_demo

ASK = """(url) => fetch(url).then(() => 'answered', () => 'refused')"""


@pytest.fixture
def foreign() -> Iterator[tuple[str, list[str]]]:
    """The address of another origin that would answer anyone, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Private-Network"):
                self.send_header(name, "*")
            self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url, asked


def worker_of(page: Page) -> Worker:
    """The worker that runs the model; its threads, which answer no question, have other addresses."""
    (worker,) = [one for one in page.workers if one.url.startswith(("blob:", "data:"))]
    return worker


def test_without_a_policy_the_other_origin_answers(
    page: Page, serve: Serve, tmp_path: Path, foreign: tuple[str, list[str]]
) -> None:
    """So that the tests below can fail."""
    url, asked = foreign
    (tmp_path / "index.html").write_text('<link rel="icon" href="data:,"><title>no policy</title>')
    page.goto(serve(tmp_path, plain=True))

    assert page.evaluate(ASK, url) == "answered"
    assert asked == ["/"]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("service_worker", [True, False])
def test_neither_page_nor_worker_reaches_another_origin(
    browser: Browser,
    site: Path,
    serve: Serve,
    foreign: tuple[str, list[str]],
    plain: bool,
    service_worker: bool,
) -> None:
    url, asked = foreign
    with browser.new_context() as context:
        if not service_worker:
            context.add_init_script("delete Navigator.prototype.serviceWorker")
        page = context.new_page()
        open_demo(page, serve(site, plain=plain))

        assert page.evaluate(ASK, url) == "refused"
        assert worker_of(page).evaluate(ASK, url) == "refused"
    assert asked == []


def test_nor_does_a_page_in_one_file(
    page: Page, site: Path, tmp_path: Path, foreign: tuple[str, list[str]]
) -> None:
    url, asked = foreign
    open_demo(page, build_single_file(site, tmp_path / "demo.html").as_uri())

    assert page.evaluate(ASK, url) == "refused"
    assert worker_of(page).evaluate(ASK, url) == "refused"
    assert asked == []


@pytest.mark.parametrize("plain", [False, True])
def test_its_threads_come_with_the_policy_too(page: Page, site: Path, serve: Serve, plain: bool) -> None:
    """A thread obeys what its own script came with: our server says it, elsewhere the service worker."""
    open_demo(page, serve(site, plain=plain))
    script = next(path.name for path in (site / "runtime").glob("ort.*.js"))
    sent = page.evaluate(
        "async (file) => Object.fromEntries((await fetch(file)).headers)", f"runtime/{script}"
    )

    expected = {
        name.lower(): value for name, value in HEADERS.items() if "Origin" in name or "Policy" in name
    }
    assert {name: sent.get(name) for name in expected} == expected
    assert "default-src 'self'" in sent["content-security-policy"]
