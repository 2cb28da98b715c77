"""From a finished run to its page, which proves its own file and says how near that is to PyTorch."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from snaptune.cli.main import main
from snaptune.data.readers import from_folder
from snaptune.demo.publish import demo_run
from snaptune.errors import DemoError
from snaptune.export.publish import export_run
from snaptune.images.load import load_image
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run
from tests.demo.conftest import Serve
from tests.demo.test_page import open_demo, start_self_test


@pytest.fixture(scope="module")
def run(tiny_run: Run, picture_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A trained and evaluated run of this module's own, not yet exported."""
    folder = shutil.copytree(tiny_run.path, tmp_path_factory.mktemp("published") / "run")
    assert main(["evaluate", str(folder), str(picture_folder)]) == 0
    return Run.open(folder)


def publish(run: Run, pictures: Path, weights: str) -> dict[str, Any]:
    """Export with these weights, build the page, and return its manifest."""
    dataset = from_folder(pictures)
    export_run(run, dataset, weights=weights, force=True)
    site = demo_run(run, dataset, run.demo_folder)
    manifest: dict[str, Any] = json.loads((site / "manifest.json").read_text("utf-8"))
    return manifest


def furthest_from_pytorch(run: Run, pictures: Path, samples: list[dict[str, Any]]) -> float:
    """The largest difference of a probability between the manifest and the run's own classifier."""
    classifier = TorchClassifier.load(run)
    pixels = [
        classifier.preprocess.pixels(load_image((pictures / one["name"]).read_bytes(), one["name"]))
        for one in samples
    ]
    stored = np.array([one["probabilities"] for one in samples])
    return float(np.abs(stored - classifier.probabilities(np.stack(pixels))).max())


@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8"])
def test_the_page_answers_as_its_own_file_and_shows_its_certificate(
    run: Run, picture_folder: Path, page: Page, serve: Serve, weights: str
) -> None:
    manifest = publish(run, picture_folder, weights)
    open_demo(page, serve(run.demo_folder))
    start_self_test(page)
    expect(page.locator("#test-result")).to_contain_text("Passed: 3 of 3", timeout=30_000)
    page.get_by_text("About this model").click()

    certificate = json.loads(run.certificate_file.read_text("utf-8"))
    assert certificate["weights"] == weights
    card = page.locator("#card")
    expect(card).to_contain_text(f"{weights} weights.")
    count = certificate["pictures"]
    equal = round(certificate["equal_top1"] * count)
    expect(card).to_contain_text(f"{equal} of {count} pictures get the label that PyTorch gives them")
    accuracy = json.loads(run.report_json.read_text("utf-8"))["accuracy"]
    expect(card).to_contain_text(f"{100 * accuracy['value']:.1f} % of {accuracy['n']} pictures")
    expect(card).to_contain_text(f"{100 * accuracy['low']:.1f} % to {100 * accuracy['high']:.1f} %")
    expect(card).to_contain_text(f"model {run.onnx_file.stat().st_size / 1e6:.1f} MB, runtime")
    assert ("points of accuracy" in card.inner_text()) == (weights != "fp32")
    if weights != "fp32":
        drop = certificate["accuracy"]["drop"]
        cost, low, high = (f"{100 * drop[name]:.1f}" for name in ("value", "low", "high"))
        expect(card).to_contain_text(
            f"They cost {cost} points of accuracy (95 % interval {low} to {high}, n = {drop['n']})."
        )
    found = re.search(r"no probability differs by more than ([0-9.]+)\.", card.inner_text())
    assert found is not None
    assert float(found[1]) == pytest.approx(certificate["largest_difference"], rel=0.05)
    assert furthest_from_pytorch(run, picture_folder, manifest["samples"]) <= float(found[1]) * 1.05 + 1e-7


def test_a_file_that_its_certificate_does_not_speak_of_is_refused(run: Run, picture_folder: Path) -> None:
    publish(run, picture_folder, "fp32")
    certificate = json.loads(run.certificate_file.read_text("utf-8"))
    run.certificate_file.write_text(json.dumps({**certificate, "sha256": "0" * 64}), "utf-8")
    refused = r"model.onnx' is not the file that 'certificate.json' was written for. Export the run again"

    with pytest.raises(DemoError, match=refused):
        demo_run(run, from_folder(picture_folder), run.demo_folder)
    run.certificate_file.unlink()
    with pytest.raises(DemoError, match=refused):
        demo_run(run, from_folder(picture_folder), run.demo_folder)
