"""Headless Chromium, as the tests, the benchmarks and the README's pictures start it."""

from __future__ import annotations

import shutil

from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SOFTWARE_GPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
)
"""WebGPU computed by the processor: right, and far too slow for anything but tests."""


def find_chromium() -> str | None:
    """The path of the Chromium on this machine, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright, *more: str) -> Browser:
    """A running browser with our flags and `more`."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=[*FLAGS, *more])
