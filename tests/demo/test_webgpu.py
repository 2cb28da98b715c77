"""The graphics card answers only where it proves itself, and the badge tells the truth about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from benchmarks.chromium import SOFTWARE_GPU, launch
from snaptune.demo.serve import HEADERS
from tests.demo.conftest import Serve
from tests.demo.test_page import copy_of, open_demo, start_self_test

SLOW = 240_000  # milliseconds: the processor plays the graphics card, on a shared machine
A_REAL_CARD = "Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { get: () => false })"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/140.0 Mobile"


@pytest.fixture(scope="module")
def gpu_browser(playwright: Playwright) -> Iterator[Browser]:
    """A browser with WebGPU, computed by the processor: it says so, and is far slower than WebAssembly."""
    with launch(playwright, *SOFTWARE_GPU) as started:
        yield started


@pytest.fixture
def page(gpu_browser: Browser) -> Iterator[Page]:
    with gpu_browser.new_context() as context:
        yield context.new_page()


def choose(page: Page, name: str) -> None:
    page.locator("#engine").evaluate("badge => badge.open = true")
    page.get_by_label(name).check()


def running(page: Page) -> int:
    """How many workers hold a model; the threads of one have other addresses."""
    return len([worker for worker in page.workers if worker.url.startswith("blob:")])


def wait_until_one_runs(page: Page) -> None:
    """A worker that was ended is gone a moment later."""
    for _ in range(50):
        if running(page) == 1:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{running(page)} engines run")


def test_an_imitated_card_is_not_even_tried(page: Page, site: Path, serve: Serve) -> None:
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    open_demo(page, serve(site))

    expect(page.locator("#engine-news")).to_have_text(
        "WebGPU is not used: here the processor would only imitate a graphics card; it runs only if chosen."
    )
    expect(page.locator("#engine-name")).to_contain_text("WebAssembly · ")
    assert any("runtime/ort." in url for url in asked)
    assert [url for url in asked if "webgpu" in url] == []


def test_chosen_by_hand_it_answers_within_a_thousandth_and_alone(
    page: Page, site: Path, serve: Serve
) -> None:
    open_demo(page, serve(site))
    choose(page, "Graphics card")

    expect(page.locator("#engine-name")).to_have_text("WebGPU", timeout=SLOW)
    expect(page.locator("#engine-news")).to_contain_text("WebGPU was chosen:")
    wait_until_one_runs(page)
    start_self_test(page)
    expect(page.locator("#test-result")).to_contain_text("Passed: 6 of 6 pictures", timeout=SLOW)

    choose(page, "Processor")
    expect(page.locator("#engine-name")).to_contain_text("WebAssembly", timeout=SLOW)
    expect(page.locator("#engine-news")).to_have_text("The processor was chosen.")
    wait_until_one_runs(page)


def test_a_slower_card_is_tried_and_given_up(page: Page, site: Path, serve: Serve) -> None:
    page.add_init_script(A_REAL_CARD)
    open_demo(page, serve(site))

    expect(page.locator("#engine-news")).to_contain_text(
        "WebGPU was tried and is not used, being no faster: ", timeout=SLOW
    )
    expect(page.locator("#engine-name")).to_contain_text("WebAssembly · ")
    wait_until_one_runs(page)


def test_a_card_that_answers_otherwise_is_refused_even_if_chosen(
    page: Page, site: Path, serve: Serve
) -> None:
    """With a limit that only the very same bits would keep."""
    manifest = json.loads((site / "manifest.json").read_text("utf-8"))
    page.context.route(
        "**/manifest.json", lambda route: route.fulfill(json={**manifest, "tolerance": 0}, headers=HEADERS)
    )
    open_demo(page, serve(site))
    choose(page, "Graphics card")

    expect(page.locator("#engine-news")).to_contain_text(
        "WebGPU was tried and is not used: its probabilities are up to ", timeout=SLOW
    )
    expect(page.locator("#engine-name")).to_contain_text("WebAssembly · ")
    wait_until_one_runs(page)


def test_where_it_stops_working_the_processor_takes_over(page: Page, site: Path, serve: Serve) -> None:
    open_demo(page, serve(site))
    choose(page, "Graphics card")
    expect(page.locator("#engine-name")).to_have_text("WebGPU", timeout=SLOW)
    wait_until_one_runs(page)
    (worker,) = [one for one in page.workers if one.url.startswith("blob:")]
    worker.evaluate("() => { GPUQueue.prototype.submit = () => { throw new Error('device lost'); }; }")
    start_self_test(page)

    expect(page.locator("#test-result")).to_contain_text("Passed: 6 of 6 pictures", timeout=SLOW)
    expect(page.locator("#engine-name")).to_contain_text("WebAssembly · ")
    expect(page.locator("#engine-news")).to_contain_text(
        "WebGPU stopped working, so the processor took over:"
    )
    wait_until_one_runs(page)


def test_where_it_cannot_be_loaded_the_processor_goes_on(
    page: Page, site: Path, serve: Serve, tmp_path: Path
) -> None:
    copy = copy_of(site, tmp_path)
    for path in (copy / "runtime").glob("ort-webgpu.*.gzip"):
        path.unlink()
    open_demo(page, serve(copy))
    choose(page, "Graphics card")

    expect(page.locator("#engine-news")).to_contain_text("WebGPU was tried and failed: ", timeout=SLOW)
    expect(page.locator("#engine-news")).to_contain_text("(the server answered 404)")
    expect(page.locator("#engine-name")).to_contain_text("WebAssembly · ")
    wait_until_one_runs(page)


def test_on_an_iphone_it_is_never_automatic(gpu_browser: Browser, site: Path, serve: Serve) -> None:
    with gpu_browser.new_context(user_agent=IPHONE) as context:
        context.add_init_script(A_REAL_CARD)
        page = context.new_page()
        open_demo(page, serve(site))

        expect(page.locator("#engine-news")).to_contain_text(
            "on iPhones, iPads and in Safari it can use up the memory; it runs only if chosen"
        )


def test_where_the_browser_has_none_it_says_so(gpu_browser: Browser, site: Path, serve: Serve) -> None:
    with gpu_browser.new_context() as context:
        context.add_init_script("delete Navigator.prototype.gpu")
        page = context.new_page()
        open_demo(page, serve(site))

        expect(page.locator("#engine-news")).to_have_text(
            "WebGPU is not used: this browser does not offer it here."
        )
