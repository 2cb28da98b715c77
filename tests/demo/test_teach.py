"""Correcting answers on the page, and the zip that carries the corrections home."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Dialog, Page, expect

from snaptune.data.corrections import from_corrections
from tests.demo.conftest import Serve
from tests.demo.test_page import open_demo


def keep(page: Page, label: str) -> None:
    page.get_by_label("What is it really?").fill(label)
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("#teach-news")).to_have_text(f"Kept as {label}.")


def download(page: Page, folder: Path) -> zipfile.ZipFile:
    with page.expect_download() as started:
        page.locator("#download").click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    assert path.name == "corrections.zip"
    return zipfile.ZipFile(path)


def rows_of(archive: zipfile.ZipFile) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode("utf-8"))))


def test_corrections_go_home_in_a_zip(
    page: Page, site: Path, serve: Serve, pictures: dict[str, bytes], tmp_path: Path
) -> None:
    open_demo(page, serve(site))
    keep(page, "call")
    page.locator("#file").set_input_files(
        {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": pictures["peace"]}
    )
    expect(page.locator("#picture")).to_have_attribute("alt", "Your picture")
    keep(page, "fünf, vielleicht")

    with download(page, tmp_path) as archive:
        assert archive.testzip() is None
        rows = rows_of(archive)
        assert [(row["file"], row["label"]) for row in rows] == [
            ("pictures/0001.jpg", "call"),
            ("pictures/0002.jpg", "fünf, vielleicht"),
        ]
        (group,) = {row["group"] for row in rows}
        assert re.fullmatch(r"demo-\d{4}-\d\d-\d\d-[0-9a-f]{8}", group)
        assert archive.read("pictures/0001.jpg") == pictures["call"]
        assert archive.read("pictures/0002.jpg") == pictures["peace"]

    added = from_corrections(tmp_path / "corrections.zip")
    assert [added.class_names[label] for label in added.labels] == ["call", "fünf, vielleicht"]
    assert added.source.read(1) == pictures["peace"]
    assert added.group_of(0) == group


def test_a_camera_frame_is_kept_as_the_camera_took_it(
    camera_page: Page, site: Path, serve: Serve, camera_picture: bytes, tmp_path: Path
) -> None:
    page = camera_page
    open_demo(page, serve(site))
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#rate")).to_contain_text("frames a second")
    keep(page, "a new class")

    with download(page, tmp_path) as archive:
        (row,) = rows_of(archive)
        assert row["label"] == "a new class"
        kept = pixels(archive.read(row["file"]))
    taken = pixels(camera_picture)
    assert kept.shape == (480, 640, 3)
    assert np.abs(kept - taken).mean() < 10  # the camera's own colour coding
    assert np.abs(kept - taken[:, ::-1]).mean() > 20  # the user sees it mirrored; the file is not


def pixels(picture: bytes) -> npt.NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=np.int64)


def test_a_kept_picture_can_be_removed(page: Page, site: Path, serve: Serve) -> None:
    open_demo(page, serve(site))
    keep(page, "call")
    keep(page, "palm")
    expect(page.locator("#download")).to_have_text("Download 2 pictures")

    page.get_by_role("button", name="Remove call").click()
    expect(page.locator("#download")).to_have_text("Download 1 picture")
    page.get_by_role("button", name="Remove palm").click()
    expect(page.locator("#collection")).to_be_hidden()


def test_leaving_with_pictures_not_downloaded_asks_first(
    page: Page, site: Path, serve: Serve, tmp_path: Path
) -> None:
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    open_demo(page, serve(site))
    page.reload()
    assert asked == []

    open_demo(page, page.url)
    keep(page, "palm")
    page.reload()
    assert asked == ["beforeunload"]

    open_demo(page, page.url)
    keep(page, "palm")
    download(page, tmp_path).close()
    page.reload()
    assert asked == ["beforeunload"]


def test_the_class_names_are_offered_as_text(page: Page, site: Path, serve: Serve) -> None:
    open_demo(page, serve(site))

    offered = page.eval_on_selector_all("#known-classes option", "all => all.map((one) => one.value)")
    assert offered == ["call", "dislike", "fist", "like", "palm", "peace"]
    keep(page, "<b>bold</b>")
    assert page.locator("#kept b").count() == 0
