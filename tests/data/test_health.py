"""`check` finds what was planted, says where, and changes nothing."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from snaptune.data.dataset import ImageDataset
from snaptune.data.folders import from_folder
from snaptune.data.health import KINDS, DataReport, check
from snaptune.data.health_report import terminal_table, write_html, write_json
from snaptune.data.splits import split_automatically
from snaptune.images.load import load_image
from snaptune.images.preprocess import Preprocess
from tests.data.trees import put
from tests.images.pictures import bomb_png, deep_png, encoded, with_orientation


def texture(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """A busy picture of its own: coarse blocks with sharp edges."""
    blocks = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each trouble, under names that try to break out of HTML."""
    root = tmp_path_factory.mktemp("broken")
    pictures = {
        f"{label}/{number}.png": encoded(texture(number + 50 * (label == "b")), "PNG")
        for label in "ab"
        for number in range(12)
    }
    whole = pictures["a/0.png"]
    pictures |= {
        "a/truncated.png": whole[:200],
        "a/empty\n🙂.png": b"",
        "a/text.jpg": b"just text",
        "a/bomb.png": bomb_png(60_000, 60_000),
        "a/<img src=x onerror=alert(1)>.png": b"<script>alert(1)</script>",
        "a/exact.png": encoded(texture(1), "BMP"),
        "b/conflict.webp": encoded(
            texture(2).resize((200, 150), Image.Resampling.BICUBIC), "WEBP", quality=85
        ),
        "b/near.jpg": encoded(texture(53), "JPEG", quality=80),
        "b/blank.png": encoded(Image.new("RGB", (120, 90), "white"), "PNG"),
        "b/dark.png": encoded(texture(301).point(lambda value: value // 8), "PNG"),
        "b/blurred.png": encoded(texture(302, (480, 360)).filter(ImageFilter.GaussianBlur(24)), "PNG"),
        "b/huge.png": encoded(texture(303, (600, 450)), "PNG"),
        "b/long.png": encoded(texture(304, (300, 60)), "PNG"),
        "b/deep.png": deep_png(np.random.default_rng(1).integers(0, 65536, (90, 120, 3), dtype=np.uint16)),
        "b/print.jpg": encoded(texture(305).convert("CMYK"), "JPEG"),
        "b/clear.png": encoded(
            Image.merge("RGBA", (*texture(306).split(), Image.new("L", (120, 90), 99))), "PNG"
        ),
        "b/turned.jpg": with_orientation(6, "JPEG"),
    }
    for name, data in pictures.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture(scope="module")
def report(broken: Path) -> DataReport:
    return check(from_folder(broken))


def ids(report: DataReport, kind: str) -> list[set[str]]:
    return [{str(report.dataset.ids[index]) for index in found.samples} for found in report.of_kind(kind)]


def test_unreadable_files_have_their_reasons(report: DataReport) -> None:
    assert {(item.id, item.reason) for item in report.unreadable} == {
        ("a/truncated.png", "truncated"),
        ("a/empty\n🙂.png", "empty"),
        ("a/text.jpg", "not a picture"),
        ("a/bomb.png", "too many pixels"),
        ("a/<img src=x onerror=alert(1)>.png", "not a picture"),
    }
    assert len(report.of_kind("unreadable")) == 5


def test_each_planted_trouble_is_found_and_nothing_else(report: DataReport) -> None:
    assert ids(report, "exact") == [{"a/1.png", "a/exact.png"}]
    assert {frozenset(group) for group in ids(report, "near")} == {
        frozenset(("a/2.png", "b/conflict.webp")),
        frozenset(("b/3.png", "b/near.jpg")),
    }
    assert ids(report, "conflict") == [{"a/2.png", "b/conflict.webp"}]
    assert report.of_kind("conflict")[0].detail == "a / b"
    assert ids(report, "blank") == [{"b/blank.png"}]
    assert ids(report, "dark") == [{"b/dark.png"}]
    assert ids(report, "blurred") == [{"b/blurred.png"}]
    assert {frozenset(group) for group in ids(report, "odd")} == {
        frozenset(("b/huge.png",)),
        frozenset(("b/long.png",)),
    }
    assert ids(report, "leak") == []


def test_sharp_edges_may_lie_between_colours_of_one_green(tmp_path: Path) -> None:
    across, down = np.meshgrid(np.arange(240), np.arange(180))
    squares = ((across // 20 + down // 20) % 2 * 255).astype(np.uint8)
    pixels = np.stack([squares, (across // 3).astype(np.uint8), 255 - squares], axis=2)
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "edges.png")
    green = Image.fromarray(np.repeat(pixels[..., 1:2], 3, axis=2))
    green.save(tmp_path / "a" / "smooth.png")
    assert ids(check(from_folder(tmp_path)), "blurred") == [{"a/smooth.png"}]


def test_conversions_are_counted(report: DataReport) -> None:
    assert dict(report.conversions) == {
        "16-bit colour to 8-bit (upper bits)": 1,
        "CMYK to RGB": 1,
        "transparency laid on white": 1,
        "turned upright (EXIF)": 1,
    }
    assert dict(report.formats)["JPEG"] == 3


def test_duplicates_across_parts_are_leaks(tmp_path: Path) -> None:
    for name, seed in (("train/a/1.png", 1), ("train/a/2.png", 2), ("test/a/3.png", 1), ("train/b/4.png", 4)):
        put(tmp_path / name, seed)
    report = check(from_folder(tmp_path))
    assert report.part_counts == (("train", 3), ("test", 1))
    assert ids(report, "leak") == [{"train/a/1.png", "test/a/3.png"}]
    assert report.of_kind("leak")[0].detail == "test / train"


def test_a_split_that_knows_the_duplicates_does_not_leak(hands: ImageDataset) -> None:
    split = split_automatically(hands, 0.2, 1)
    report = check(hands, split=split)
    assert not report.of_kind("leak")
    assert dict(report.part_counts)["validation"] == len(split.indices("validation"))


def test_nothing_in_the_users_folder_changes(broken: Path) -> None:
    def state() -> dict[str, str]:
        files = sorted(path for path in broken.rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = state()
    check(from_folder(broken))
    assert state() == before


def test_the_html_is_one_file_and_escapes_names(report: DataReport, tmp_path: Path) -> None:
    write_html(report, tmp_path / "deep" / "report.html", Preprocess(64, (0.5,) * 3, (0.5,) * 3))
    text = (tmp_path / "deep" / "report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "<script" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "http:" not in text
    assert "https:" not in text
    assert r"empty\n🙂.png" in text
    for kind in KINDS:
        assert (KINDS[kind][0] in text) == bool(report.of_kind(kind))


def test_the_way_of_a_picture_shows_every_step_and_what_the_caller_made_of_it(
    report: DataReport, tmp_path: Path
) -> None:
    recipe, path = Preprocess(64, (0.5,) * 3, (0.5,) * 3), tmp_path / "report.html"
    given: list[tuple[int, ...]] = []

    def turned(pixels: np.ndarray, sample: int) -> list[np.ndarray]:
        given.append((*pixels.shape, sample))
        return [np.ascontiguousarray(np.rot90(pixels, turns)) for turns in (1, 2)]

    write_html(report, path, recipe, turned)
    steps = path.read_text(encoding="utf-8").partition("From file to model input")[2]
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", steps)
    assert [text.split(",")[0].split(":")[0] for text in captions] == [
        *("as stored", "longest side to 64", "edges repeated", "augmented", "augmented"),
        "normalised and back",
    ]
    assert len(set(re.findall(r"base64,([^\"]*)", steps)[2:5])) == 3
    assert given[0][:3] == (64, 64, 3)
    assert report.dataset.load(given[0][3])


def test_the_json_names_every_sample(report: DataReport, tmp_path: Path) -> None:
    write_json(report, tmp_path / "report.json")
    value = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert value["pictures"] == len(report.dataset)
    assert sum(value["class_counts"].values()) == len(report.dataset)
    assert {"kind": "dark", "ids": ["b/dark.png"], "detail": ""} in value["findings"]
    assert len(value["unreadable"]) == 5


def test_the_terminal_table_counts_each_kind(report: DataReport) -> None:
    text = terminal_table(report)
    assert "Cannot be read                 5 (first: not a picture)" in text
    assert "Near duplicates                4 in 2 sets" in text
    assert "converted  16-bit colour" in text


def test_sides_are_whole_numbers_and_one_set_is_no_sets(tmp_path: Path) -> None:
    """Not 2e+04 pixels, nor the 69.1 that lie between two pictures."""
    for name, size in (("a/one", (20_000, 3)), ("a/copy", (20_000, 3)), ("b/other", (45, 60))):
        put(tmp_path / "data" / f"{name}.png")
        texture(1, size).save(tmp_path / "data" / f"{name}.png")
    report = check(from_folder(tmp_path / "data"))
    write_html(report, tmp_path / "report.html", Preprocess(64, (0.5,) * 3, (0.5,) * 3))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    cells = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr><th>[wh].*?</tr>", html)]
    assert cells[0] == ["45", "45", "20,000", "20,000", "20,000"]
    assert cells[1] == ["3", "3", "3", "60", "60"]
    assert cells[2] == ["0.75", "0.75", "6,667", "6,667", "6,667"]
    assert "Exact duplicates               2 in 1 set\n" in terminal_table(report)


def test_a_clean_set_has_no_findings(hands: ImageDataset) -> None:
    report = check(hands)
    assert report.findings == ()
    assert terminal_table(report).endswith("Nothing found.")
    assert report.imbalance == pytest.approx(max(report.class_counts) / min(report.class_counts))


def test_a_set_without_a_readable_picture_is_reported_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "1.png").write_bytes(b"x")
    report = check(from_folder(tmp_path / "data"))
    write_html(report, tmp_path / "report.html", Preprocess(64, (0.5,) * 3, (0.5,) * 3))
    assert len(report.unreadable) == 1


def test_notebook_figures_hold_their_pictures(hands: ImageDataset) -> None:
    grid = hands.show()._repr_html_()
    assert grid.count("data:image/jpeg;base64,") == len(hands.class_names)
    assert "repeat(5," in grid
    bars = hands.plot_distribution()._repr_html_()
    assert all(name in bars for name in hands.class_names)
    assert load_image(hands.source.read(0), "x").size == (200, 160)
