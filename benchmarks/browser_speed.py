"""Milliseconds a frame in the browser: the demo page's own worker, in headless Chromium, for some models.

Each frame is 640x480 pixels of noise as an ImageBitmap, the way a camera frame goes in. The weights
are random, and 8-bit ones have their ranges from noise: speed does not depend on them. One row a model
and number of threads; the median and the fastest of `--frames` after the warm-up, with the share that
reading the pixels takes.

    python -m benchmarks.browser_speed [--models resnet18d:288:int8 ...] [--frames 60]
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import TypedDict

import numpy as np
import timm
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from benchmarks.chromium import launch
from snaptune.demo.build import DemoCard, DemoSample, build_demo
from snaptune.demo.serve import address, make_server
from snaptune.export.onnx import describe, network_graph, with_recipe
from snaptune.export.quantize import quantised, with_half_weights
from snaptune.images.preprocess import Preprocess
from snaptune.prediction import TorchClassifier

MODELS = [
    "mobilenetv3_small_100:224",
    "mobilenetv3_small_100:224:int8",
    "tf_efficientnet_lite0:224",
    "resnet18d:288",
    "resnet18d:288:int8",
]
CALIBRATION_FRAMES = 4
CLASSES = tuple(f"class {number}" for number in range(19))
RUN = """async ([frames, threads]) => {
  const { startEngine } = await import('./engine.js');
  const { assetUrl, engineAssets, fetchAsset } = await import('./assets.js');
  const manifest = await (await fetchAsset('manifest.json')).json();
  if (threads === 1) Object.defineProperty(globalThis, 'crossOriginIsolated', { value: false });
  const engine = await startEngine(assetUrl('worker.js'), engineAssets(manifest, 'wasm'), () => {});
  const canvas = new OffscreenCanvas(640, 480);
  const noise = await (await fetchAsset(manifest.samples[0].file)).blob();
  canvas.getContext('2d').drawImage(await createImageBitmap(noise), 0, 0);
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
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME:SIZE[:WEIGHTS]")
    parser.add_argument("--frames", type=int, default=60)
    args = parser.parse_args()
    print(
        "| model | size | weights | MB | threads | median ms | fastest ms | of it pixels | frames a second |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with sync_playwright() as playwright, launch(playwright) as browser:
        for text in args.models:
            name, size, weights = [*text.split(":"), "fp32"][:3]
            measure(browser, name, int(size), weights, args.frames)


def measure(browser: Browser, name: str, size: int, weights: str, frames: int) -> None:
    """Print a row for one thread and one for as many as the page would take."""
    with tempfile.TemporaryDirectory() as folder:
        model = export(Path(folder), name, size, weights)
        megabytes = f"{model.stat().st_size / 1e6:.1f}"
        site = build_site(Path(folder), model)
        with make_server(site, 0) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            for threads in (1, 0):
                measured = run_frames(browser, address(server), frames, threads)
                print(f"| {name} | {size} | {weights} | {megabytes} {row(measured)}", flush=True)
            server.shutdown()
            thread.join()


def export(folder: Path, name: str, size: int, weights: str) -> Path:
    """The whole graph of a network with random weights, as `snaptune export --weights` makes it."""
    recipe = Preprocess(size=size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    classifier = TorchClassifier(timm.create_model(name, num_classes=len(CLASSES)).eval(), recipe, CLASSES)
    network = network_graph(classifier)
    if weights == "int8":
        noise, shape = np.random.default_rng(0), (1, 3, size, size)
        frames = (noise.normal(size=shape).astype(np.float32) for _ in range(CALIBRATION_FRAMES))
        network = quantised(network, frames)
    elif weights == "fp16":
        network = with_half_weights(network)
    path = folder / "model.onnx"
    path.write_bytes(with_recipe(network, describe(classifier, name)).SerializeToString())
    return path


def build_site(folder: Path, model: Path) -> Path:
    """The page, with one sample: a frame of noise."""
    frame = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    encoded = BytesIO()
    Image.fromarray(frame).save(encoded, "PNG")
    probabilities = (1 / len(CLASSES),) * len(CLASSES)  # nobody asks this page for a self-test
    sample = DemoSample("noise.png", CLASSES[0], encoded.getvalue(), probabilities)
    card = DemoCard("speed", CLASSES, 0.0, 0.0, 1.0, 0, "random weights", "")
    return build_demo(model, [sample], folder / "site", card=card)


def run_frames(browser: Browser, url: str, frames: int, threads: int) -> Measured:
    """Start a second worker from the opened page, whose own one is idle by then, and time it."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        page.locator("#engine").wait_for(timeout=120_000)
        page.locator("#winner:not(:empty)").wait_for(timeout=120_000)
        measured: Measured = page.evaluate(RUN, [frames, threads])
        return measured


def row(measured: Measured) -> str:
    totals = [total for total, _ in measured["rows"]]
    pixels = median(pixels for _, pixels in measured["rows"])
    middle = median(totals)
    return (
        f"| {measured['threads']} | {middle:.1f} | {min(totals):.1f} | {pixels:.1f} | {1000 / middle:.1f} |"
    )


if __name__ == "__main__":
    main()
