"""What the page does without our headers and without the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from snaptune.demo.build import HASHED, DemoCard, DemoSample, build_demo
from snaptune.demo.serve import make_server
from tests.demo.conftest import PlainHandler, Serve, running
from tests.demo.test_page import open_demo, start_self_test
from tests.demo.tiny import Tiny


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


KEPT = """async () => {
  const [name] = await caches.keys();
  const requests = await (await caches.open(name)).keys();
  return requests.map(({ url }) => url.slice(document.baseURI.length));
}"""


def wait_until_kept(page: Page, site: Path) -> None:
    """Wait until the browser keeps exactly the site's files whose names hold their hash, but WebGPU's."""
    large = {path.relative_to(site).as_posix() for path in site.rglob("*") if HASHED.search(path.name)}
    large = {file for file in large if "webgpu" not in file}
    kept: set[str] = set()
    for _ in range(100):
        kept = {file for file in page.evaluate(KEPT) if HASHED.search(file)}
        if kept == large:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"kept {sorted(kept)}, not {sorted(large)}")


def loads_of(page: Page) -> list[str]:
    """Fills up with the address of each document that the page loads."""
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    return loads


def isolated(page: Page) -> bool:
    return bool(page.evaluate("crossOriginIsolated"))


def test_on_a_plain_server_it_isolates_itself_with_one_reload(page: Page, site: Path, serve: Serve) -> None:
    loads = loads_of(page)
    open_demo(page, serve(site, plain=True))

    assert isolated(page)
    assert len(loads) == 2
    expect(page.locator("#engine-name")).to_contain_text("thread")


def test_our_server_needs_no_reload(page: Page, site: Path, serve: Serve) -> None:
    loads = loads_of(page)
    open_demo(page, serve(site))

    assert isolated(page)
    assert len(loads) == 1


def test_without_a_service_worker_it_runs_one_thread_and_says_why(
    browser: Browser, site: Path, serve: Serve
) -> None:
    with browser.new_context() as context:
        context.add_init_script("delete Navigator.prototype.serviceWorker")
        page = context.new_page()
        loads = loads_of(page)
        open_demo(page, serve(site, plain=True))

        assert not isolated(page)
        assert len(loads) == 1
        expect(page.locator("#engine-name")).to_have_text("WebAssembly · 1 thread")
        page.locator("#engine").click()
        expect(page.locator("#engine-why")).to_contain_text("does not send the headers")
        start_self_test(page)
        expect(page.locator("#test-result")).to_contain_text("Passed: 6 of 6", timeout=30_000)


BROKEN_THREADS = """(() => {
  const [later, post] = [setTimeout, Worker.prototype.postMessage];
  let hurry = true;
  window.setTimeout = (action, ms) => later(action, hurry && ms > 40_000 ? 0 : ms);
  Worker.prototype.postMessage = function (message, transfer) {
    if (message.threads > 1) later(() => BREAK, 0);
    else { hurry = false; post.call(this, message, transfer); }
  };
})()"""


@pytest.mark.parametrize(
    "broken", ["this.onerror(new ErrorEvent('error'))", "this.onmessage({ data: { type: 'starting' } })"]
)
def test_where_threads_fail_or_hang_it_starts_with_one(
    browser: Browser, site: Path, serve: Serve, broken: str
) -> None:
    with browser.new_context() as context:
        context.add_init_script(BROKEN_THREADS.replace("BREAK", broken))
        page = context.new_page()
        open_demo(page, serve(site))

        assert isolated(page)
        expect(page.locator("#engine-name")).to_have_text("WebAssembly · 1 thread")
        page.locator("#engine").click()
        expect(page.locator("#engine-why")).to_contain_text("starting it with several failed")


def test_never_reloads_twice(browser: Browser, site: Path, serve: Serve) -> None:
    """Where the service worker controls the page but isolation fails all the same, the page goes on."""
    with browser.new_context() as context:
        context.add_init_script("Object.defineProperty(window, 'crossOriginIsolated', {value: false})")
        page = context.new_page()
        loads = loads_of(page)
        open_demo(page, serve(site, plain=True))

        assert len(loads) == 2
        expect(page.locator("#engine-name")).to_have_text("WebAssembly · 1 thread")


def test_the_second_visit_works_without_the_server(context: BrowserContext, site: Path) -> None:
    with running(make_server(site, 0)) as url:
        page = context.new_page()
        open_demo(page, url)
        wait_until_kept(page, site)
        page.close()
    page = context.new_page()
    open_demo(page, url)

    assert isolated(page)
    start_self_test(page)
    expect(page.locator("#test-result")).to_contain_text("Passed: 6 of 6", timeout=30_000)


def test_the_large_files_are_fetched_once(
    context: BrowserContext, site: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[str] = []

    def log(self: PlainHandler, format: str, *args: object) -> None:
        served.append(str(args[0]).split()[1])

    monkeypatch.setattr(PlainHandler, "log_message", log)
    url = serve(site, plain=True)
    for _ in range(3):
        open_demo(context.new_page(), url)

    large = sorted(path for path in served if path.endswith((".onnx", ".gzip")))
    assert len(large) == 2, large


def test_a_new_build_replaces_what_was_kept(
    context: BrowserContext,
    tiny: Tiny,
    card: DemoCard,
    samples: list[DemoSample],
    serve: Serve,
    tmp_path: Path,
) -> None:
    site = build_demo(tiny.onnx, samples[:3], tmp_path / "site", card=card)
    url = serve(site, plain=True)
    open_demo(context.new_page(), url)
    other = onnx.load(tiny.onnx)
    other.doc_string = "the same with another hash"
    onnx.save(other, tmp_path / "other.onnx")
    build_demo(tmp_path / "other.onnx", samples[1:], site, card=replace(card, title="Newer"))
    page = context.new_page()
    open_demo(page, url)

    expect(page).to_have_title("Newer")
    wait_until_kept(page, site)


def test_works_under_a_sub_path(page: Page, site: Path, serve: Serve) -> None:
    open_demo(page, serve(site.parent, plain=True) + site.name + "/")

    assert isolated(page)
    start_self_test(page)
    expect(page.locator("#test-result")).to_contain_text("Passed: 6 of 6", timeout=30_000)
