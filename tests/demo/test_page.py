"""The demo in a real browser."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect

from benchmarks.chromium import launch
from snaptune.demo.build import DemoSample
from snaptune.demo.serve import HEADERS
from tests.demo.conftest import Serve
from tests.demo.tiny import Tiny


def open_demo(page: Page, url: str) -> None:
    """Open the demo and wait until its model has answered for the first sample."""
    page.goto(url)
    expect(page.locator("#engine")).to_be_visible(timeout=60_000)
    expect(page.locator("#winner")).not_to_be_empty()


def start_self_test(page: Page) -> None:
    page.get_by_text("Self-test:").click()
    page.get_by_role("button", name="Run the self-test").click()


def percents(texts: list[str]) -> list[float]:
    """The shares, 0 to 1, that the texts name to a tenth of a percent."""
    return [float(re.findall(r"[0-9.]+", text)[0]) / 100 for text in texts]


def winner(class_names: tuple[str, ...], probabilities: tuple[float, ...]) -> str:
    return class_names[probabilities.index(max(probabilities))]


def test_self_test_finds_every_sample_within_a_thousandth(page: Page, site: Path, serve: Serve) -> None:
    open_demo(page, serve(site))
    start_self_test(page)

    result = page.locator("#test-result")
    expect(result).to_contain_text("Passed: 6 of 6 pictures", timeout=30_000)
    found = re.search(r"probability is ([0-9.]+)", result.inner_text())
    assert found is not None
    assert float(found[1]) <= 1e-3


def test_self_test_notices_another_model(page: Page, site: Path, serve: Serve) -> None:
    def lie(route: object) -> None:
        manifest = json.loads((site / "manifest.json").read_text("utf-8"))
        manifest["samples"][2]["probabilities"].reverse()
        route.fulfill(json=manifest, headers=HEADERS)  # type: ignore[attr-defined]

    page.context.route("**/manifest.json", lie)
    open_demo(page, serve(site))
    start_self_test(page)

    expect(page.locator("#test-result")).to_contain_text("Failed", timeout=30_000)


def test_a_sample_shows_its_answer_and_true_label(
    page: Page, site: Path, serve: Serve, samples: list[DemoSample], tiny: Tiny
) -> None:
    open_demo(page, serve(site))
    for sample in samples:
        page.locator("#samples").get_by_role("button", name=sample.label, exact=True).click()
        expected = winner(tiny.class_names, sample.probabilities)
        verdict = "✓ True label" if expected == sample.label else f"✗ True label: {sample.label}"
        expect(page.locator("#winner")).to_have_text(expected)
        expect(page.locator("#verdict")).to_have_text(verdict)
        shares = percents(page.locator("#bars .share").all_inner_texts())
        assert shares == pytest.approx(sorted(sample.probabilities, reverse=True)[:5], abs=1.5e-3)


def test_more_classes_are_shown_on_request(
    page: Page, site: Path, serve: Serve, samples: list[DemoSample]
) -> None:
    open_demo(page, serve(site))
    expect(page.locator("#bars li")).to_have_count(5)
    page.get_by_role("button", name="All 6 classes").click()

    expect(page.locator("#bars li")).to_have_count(6)
    shares = percents(page.locator("#bars .share").all_inner_texts())
    assert shares == pytest.approx(sorted(samples[0].probabilities, reverse=True), abs=1.5e-3)
    page.get_by_role("button", name="First 5 only").click()
    expect(page.locator("#bars li")).to_have_count(5)


def test_an_uploaded_picture_is_answered_as_pytorch_does(
    page: Page, site: Path, serve: Serve, pictures: dict[str, bytes], tiny: Tiny
) -> None:
    open_demo(page, serve(site))
    buffer = io.BytesIO()
    Image.open(io.BytesIO(pictures["peace"])).resize((371, 240)).save(buffer, "PNG")
    page.locator("#file").set_input_files(
        {"name": "my own.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    )

    probabilities = tiny.probabilities(buffer.getvalue())
    expect(page.locator("#verdict")).to_contain_text("confident")
    expect(page.locator("#winner")).to_have_text(winner(tiny.class_names, probabilities))
    (share,) = percents([page.locator("#verdict").inner_text()])
    assert share == pytest.approx(max(probabilities), abs=1.5e-3)


def test_a_file_that_is_no_picture_gets_a_message(page: Page, site: Path, serve: Serve) -> None:
    open_demo(page, serve(site))
    page.locator("#file").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"})

    expect(page.locator("#notice")).to_have_text(re.compile("cannot read that file as a picture"))


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_can_be_dropped_or_pasted(
    page: Page, site: Path, serve: Serve, samples: list[DemoSample], tiny: Tiny, event: str
) -> None:
    open_demo(page, serve(site))
    shown = winner(tiny.class_names, samples[0].probabilities)
    other = next(one for one in samples if winner(tiny.class_names, one.probabilities) != shown)
    page.evaluate(
        """async ([event, index]) => {
          const sample = document.querySelectorAll('#samples img')[index];
          const picture = await (await fetch(sample.src)).blob();
          const data = new DataTransfer();
          data.items.add(new File([picture], 'dropped.jpg', {type: picture.type}));
          const init = {bubbles: true, cancelable: true};
          document.body.dispatchEvent(event === 'drop'
            ? new DragEvent('drop', {...init, dataTransfer: data})
            : new ClipboardEvent('paste', {...init, clipboardData: data}));
        }""",
        [event, samples.index(other)],
    )

    expect(page.locator("#picture")).to_have_attribute("alt", "Your picture")
    expect(page.locator("#verdict")).to_contain_text("confident")
    expect(page.locator("#winner")).to_have_text(winner(tiny.class_names, other.probabilities))
    (share,) = percents([page.locator("#verdict").inner_text()])
    assert share == pytest.approx(max(other.probabilities), abs=1.5e-3)


def test_asks_no_other_origin(browser: Browser, site: Path, serve: Serve) -> None:
    """With the policy off: otherwise the browser would stop such a request before we could see it."""
    url = serve(site)
    asked: list[str] = []
    with browser.new_context(bypass_csp=True, service_workers="block") as context:
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        open_demo(page, url)
        start_self_test(page)
        expect(page.locator("#test-result")).to_contain_text("Passed", timeout=30_000)

    assert any("model." in address for address in asked)
    assert [address for address in asked if not address.startswith((url, f"blob:{url}"))] == []


def test_opened_from_disk_it_says_what_to_do(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())

    expect(page.locator("#notice")).to_contain_text("python -m http.server")
    expect(page.locator("#notice")).to_have_css("opacity", "1", timeout=10_000)


@pytest.mark.parametrize("damage", [b"cut short", None])
def test_says_that_the_model_file_is_damaged(
    page: Page, site: Path, serve: Serve, tmp_path: Path, damage: bytes | None
) -> None:
    copy = copy_of(site, tmp_path)
    (model,) = (copy / "model").iterdir()
    data = model.read_bytes()
    model.write_bytes(damage or data[:1000] + bytes(100) + data[1100:])
    page.goto(serve(copy))

    expect(page.locator("#notice")).to_contain_text("is damaged or from another build", timeout=60_000)
    expect(page.locator("#loading")).to_be_hidden()


def test_says_that_the_model_file_is_missing(page: Page, site: Path, serve: Serve, tmp_path: Path) -> None:
    copy = copy_of(site, tmp_path)
    (model,) = (copy / "model").iterdir()
    model.unlink()
    page.goto(serve(copy))

    expect(page.locator("#notice")).to_contain_text("the server answered 404", timeout=60_000)


def copy_of(site: Path, folder: Path) -> Path:
    target = folder / "copy"
    for path in site.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(site)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return target


# The camera


def test_the_camera_is_answered_as_pytorch_does(
    camera_page: Page, site: Path, serve: Serve, camera_picture: bytes, tiny: Tiny
) -> None:
    page = camera_page
    open_demo(page, serve(site))
    page.get_by_role("button", name="Use the camera").click()

    expected = winner(tiny.class_names, tiny.probabilities(camera_picture))
    expect(page.locator("#rate")).to_contain_text("frames a second")
    expect(page.locator("#verdict")).to_contain_text("confident")
    expect(page.locator("#winner")).to_have_text(expected)


def test_pause_freeze_and_mirror(camera_page: Page, site: Path, serve: Serve) -> None:
    page = camera_page
    open_demo(page, serve(site))
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#rate")).to_contain_text("frames a second")

    expect(page.locator("#video")).to_have_class("mirrored")
    page.get_by_role("button", name="Mirror").click()
    expect(page.locator("#video")).not_to_have_class("mirrored")

    page.get_by_role("button", name="Pause").click()
    assert page.evaluate("document.querySelector('#video').paused")
    page.get_by_role("button", name="Pause").click()
    assert not page.evaluate("document.querySelector('#video').paused")

    page.get_by_role("button", name="Freeze").click()
    expect(page.locator("#picture")).to_have_attribute("alt", "Your picture")
    expect(page.locator("#video")).to_be_hidden()
    assert page.evaluate("document.querySelector('#video').srcObject") is None


def test_smoothing_averages_frames_until_it_is_turned_off(
    camera_page: Page, site: Path, serve: Serve
) -> None:
    page = camera_page
    page.add_init_script(FLICKER)
    open_demo(page, serve(site))
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#rate")).to_contain_text("frames a second")

    smooth = page.get_by_role("button", name="Smooth")
    expect(smooth).to_have_attribute("aria-pressed", "true")
    shares = percents(page.evaluate(SHARES, 12))
    assert max(shares[4:]) < 0.999
    smooth.click()
    expect(smooth).to_have_attribute("aria-pressed", "false")
    assert min(percents(page.evaluate(SHARES, 12))[1:]) == 1


FLICKER = """(() => {
  const real = Object.getOwnPropertyDescriptor(MessageEvent.prototype, 'data').get;
  let turn = 0;
  Object.defineProperty(MessageEvent.prototype, 'data', { get() {
    const data = real.call(this);
    if (data?.type !== 'answer') return data;
    turn += 1;
    return { ...data, probabilities: data.probabilities.map((_, index) => Number(index === turn % 2)) };
  } });
})()"""
SHARES = """(count) => new Promise((resolve) => {
  const seen = [];
  const watcher = new MutationObserver(() => {
    seen.push(document.querySelector('#bars .share').textContent);
    if (seen.length === count) resolve((watcher.disconnect(), seen));
  });
  watcher.observe(document.querySelector('#times'), { childList: true });
})"""


def test_another_camera_can_be_chosen(playwright: Playwright, site: Path, serve: Serve) -> None:
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=device-count=2")
    with launch(playwright, *fake) as browser, browser.new_context(permissions=["camera"]) as context:
        page = context.new_page()
        open_demo(page, serve(site))
        page.get_by_role("button", name="Use the camera").click()
        expect(page.locator("#rate")).to_contain_text("frames a second")
        choice = page.get_by_label("Camera", exact=True).and_(page.locator("select"))
        offered = choice.locator("option").evaluate_all("all => all.map((one) => one.value)")
        assert len(offered) == 2
        assert page.evaluate(USED) == offered[0]

        choice.select_option(offered[1])
        expect(page.locator("#rate")).to_contain_text("frames a second")
        assert page.evaluate(USED) == offered[1]
        expect(choice).to_have_value(offered[1])


USED = "() => document.querySelector('#video').srcObject.getVideoTracks()[0].getSettings().deviceId"


def test_says_why_there_is_no_camera(page: Page, site: Path, serve: Serve) -> None:
    open_demo(page, serve(site))
    page.get_by_role("button", name="Use the camera").click()

    expect(page.locator("#notice")).to_have_text(
        re.compile("No camera was found|was not allowed to use the camera")
    )
    expect(page.locator("#camera-actions")).to_be_hidden()
