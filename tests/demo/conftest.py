"""Shared by the demo's tests: a tiny model, sample pictures, a built site, servers and a real browser."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from benchmarks.chromium import find_chromium, launch
from snaptune.demo.build import DemoCard, DemoSample, build_demo
from snaptune.demo.serve import address, make_server
from tests.demo.tiny import Tiny, make_tiny

CLASS_NAMES = ("call", "dislike", "fist", "like", "palm", "peace")
PICTURES = Path(__file__).parents[2] / "src/snaptune/data/hand_emoji"

Serve = Callable[..., str]
expect.set_options(timeout=15_000)  # milliseconds; a shared machine may be slow


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    """One picture a class, by class name."""
    return {name: min((PICTURES / name).glob("noto_*.jpg")).read_bytes() for name in CLASS_NAMES}


@pytest.fixture(scope="session")
def tiny(pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(CLASS_NAMES, list(pictures.values()), tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def card() -> DemoCard:
    return DemoCard(
        title="Hand gestures",
        class_names=CLASS_NAMES,
        accuracy=0.934,
        accuracy_low=0.879,
        accuracy_high=0.965,
        n=137,
        model_name="test_resnet",
        note="Drawn hands only.",
        certificate="No probability differs by more than 0.0001.",
    )


@pytest.fixture(scope="session")
def samples(tiny: Tiny, pictures: dict[str, bytes]) -> list[DemoSample]:
    return [
        DemoSample(f"{name}.jpg", name, picture, tiny.probabilities(picture))
        for name, picture in pictures.items()
    ]


@pytest.fixture(scope="session")
def site(
    tiny: Tiny, samples: list[DemoSample], card: DemoCard, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return build_demo(tiny.onnx, samples, tmp_path_factory.mktemp("demo") / "site", card=card)


class PlainHandler(SimpleHTTPRequestHandler):
    """What `python -m http.server` does, without the log."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """The address of `server` while it answers in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield address(server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a folder until the test ends: `serve(folder)` with our headers, `plain=True` without."""
    with ExitStack() as servers:

        def start(folder: Path, *, plain: bool = False) -> str:
            if plain:
                handler = partial(PlainHandler, directory=str(folder))
                server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            else:
                server = make_server(folder, 0)
            return servers.enter_context(running(server))

        yield start


def chromium() -> str:
    """The path of Chromium; without one, browser tests are skipped, but in CI they fail."""
    found = find_chromium()
    if found is None and not os.environ.get("CI"):
        pytest.skip("no Chromium on PATH")
    assert found is not None, "CI must have Chromium on PATH"
    return found


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    chromium()
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with launch(playwright) as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with an empty profile that fails the test where the page's own code fails."""
    with browser.new_context() as context:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        assert errors == []


@pytest.fixture(scope="session")
def camera_picture(pictures: dict[str, bytes]) -> bytes:
    """A camera frame, 640x480: a sample picture on a plain ground."""
    frame = Image.new("RGB", (640, 480), "white")
    frame.paste(Image.open(io.BytesIO(pictures["like"])).resize((480, 480)), (80, 0))
    buffer = io.BytesIO()
    frame.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def camera_browser(
    playwright: Playwright, camera_picture: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    film = tmp_path_factory.mktemp("camera") / "film.mjpeg"
    film.write_bytes(camera_picture * 30)
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with launch(playwright, *fake, f"--use-file-for-fake-video-capture={film}") as started:
        yield started


@pytest.fixture
def camera_page(camera_browser: Browser) -> Iterator[Page]:
    with camera_browser.new_context(permissions=["camera"]) as context:
        yield context.new_page()
