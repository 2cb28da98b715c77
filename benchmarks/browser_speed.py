"""Milliseconds a frame in the browser: the demo page's own worker, in headless Chromium, for some models.

Each frame is 640x480 pixels of noise as an ImageBitmap, the way a camera frame goes in. The
weights are random: speed does not depend on them. One row a model and number of threads; the median and the
fastest of `--frames` after the warm-up, with the share that reading the pixels takes.

    python benchmarks/browser_speed.py [--models mobilenetv3_small_100:224 resnet18d:288] [--frames 60]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
from pathlib import Path
from statistics import median
from typing import TypedDict

import timm
from playwright.sync_api import Browser, sync_playwright

from snaptune.demo.build import DemoCard, build_demo
from snaptune.demo.serve import address, make_server
from snaptune.export.onnx import export_onnx
from snaptune.images.preprocess import Preprocess
from snaptune.prediction import TorchClassifier

MODELS = ["mobilenetv3_small_100:224", "tf_efficientnet_lite0:224", "resnet18d:288"]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
CLASSES = tuple(f"class {number}" for number in range(19))
RUN = """async ([frames, threads]) => {
  const { startEngine } = await import('./engine.js');
  const { asset, assetUrl, fetchAsset } = await import('./assets.js');
  const { model, runtime } = await (await fetchAsset('manifest.json')).json();
  const assets = { script: assetUrl(runtime.script.file), wasm: asset(runtime.wasm), model: asset(model) };
  if (threads === 1) Object.defineProperty(globalThis, 'crossOriginIsolated', { value: false });
  const engine = await startEngine(assetUrl('worker.js'), assets, () => {});
  const canvas = new OffscreenCanvas(640, 480);
  const noise = new ImageData(640, 480);
  noise.data.forEach((_, at) => { noise.data[at] = at % 4 === 3 ? 255 : Math.random() * 256; });
  canvas.getContext('2d').putImageData(noise, 0, 0);
  const rows = [];
  for (let frame = 0; frame < frames + 5; frame += 1) {
    const bitmap = await createImageBitmap(canvas);
    const began = performance.now();
    const { times } = await engine.classify(bitmap);
    if (frame >= 5) rows.push([performance.now() - began, times.read + times.prepare]);
  }
  return { threads: engine.threads, rows };
}"""


class Measured(TypedDict):
    threads: int
    rows: list[tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME:SIZE")
    parser.add_argument("--frames", type=int, default=60)
    args = parser.parse_args()
    print("| model | size | threads | median ms | fastest ms | of it pixels | frames a second |")
    print("|---|---|---|---|---|---|---|")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for text in args.models:
            name, _, size = text.partition(":")
            measure(browser, name, int(size), args.frames)
        browser.close()


def measure(browser: Browser, name: str, size: int, frames: int) -> None:
    """Print a row for one thread and one for as many as the page would take."""
    with tempfile.TemporaryDirectory() as folder:
        site = build_site(Path(folder), name, size)
        with make_server(site, 0) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            for threads in (1, 0):
                print_row(name, size, run_frames(browser, address(server), frames, threads))
            server.shutdown()
            thread.join()


def build_site(folder: Path, name: str, size: int) -> Path:
    recipe = Preprocess(size=size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    classifier = TorchClassifier(timm.create_model(name, num_classes=len(CLASSES)).eval(), recipe, CLASSES)
    model = export_onnx(classifier, folder / "model.onnx", model_name=name)
    card = DemoCard(name, CLASSES, 0.0, 0.0, 1.0, 0, name, "random weights")
    return build_demo(model, [], folder / "site", card=card)


def run_frames(browser: Browser, url: str, frames: int, threads: int) -> Measured:
    """Start a second worker from the opened page, whose own one is idle by then, and time it."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        page.locator("#engine").wait_for(timeout=120_000)
        measured: Measured = page.evaluate(RUN, [frames, threads])
        return measured


def print_row(name: str, size: int, measured: Measured) -> None:
    totals = [total for total, _ in measured["rows"]]
    pixels = median(pixels for _, pixels in measured["rows"])
    middle = median(totals)
    print(
        f"| {name} | {size} | {measured['threads']} | {middle:.1f} | {min(totals):.1f} | {pixels:.1f} "
        f"| {1000 / middle:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
