"""Every kind of picture file gives the browser the numbers that training gets from it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from playwright.sync_api import Page, expect

from snaptune.demo.build import DemoCard, DemoSample, build_demo
from tests.demo.conftest import Serve
from tests.demo.test_page import open_demo, start_self_test
from tests.demo.tiny import Tiny


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photo() -> Image.Image:
    """A colourful 241x163 picture without symmetry: smooth ground, hard edges, some noise."""
    y, x = np.mgrid[0:163, 0:241]
    ground = np.stack([x, y * 1.5, 255 - x * 0.7 - y * 0.3], 2)
    pixels = ground + np.random.default_rng(3).normal(0, 6, ground.shape)
    pixels[20:90, 30:80] = (230, 40, 30)
    pixels[100:150, 150:230] = (20, 60, 220)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def with_alpha() -> Image.Image:
    image = photo().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def rotated(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(photo(), "JPEG", quality=90, exif=exif)


def swapped_profile() -> bytes:
    """sRGB's profile with red and green exchanged: a decoder that applies it changes every colour."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tmp ").replace(b"gXYZ", b"rXYZ").replace(b"tmp ", b"gXYZ")


def files() -> dict[str, bytes]:
    image = photo()
    return {
        "jpeg 4:4:4": encode(image, "JPEG", quality=92, subsampling=0),
        "jpeg 4:2:0": encode(image, "JPEG", quality=88, subsampling=2),
        "jpeg 4:2:2": encode(image, "JPEG", quality=88, subsampling=1),
        "jpeg progressive": encode(image, "JPEG", quality=85, progressive=True),
        "jpeg grey": encode(image.convert("L"), "JPEG", quality=90),
        "jpeg cmyk": encode(image.convert("CMYK"), "JPEG", quality=92),
        "jpeg with profile": encode(image, "JPEG", quality=92, icc_profile=swapped_profile()),
        "png": encode(image, "PNG"),
        "png palette": encode(image.quantize(64), "PNG"),
        "png palette with transparency": encode(image.quantize(64), "PNG", transparency=3),
        "png grey": encode(image.convert("L"), "PNG"),
        "png grey with alpha": encode(with_alpha().convert("LA"), "PNG"),
        "png alpha": encode(with_alpha(), "PNG"),
        "png with profile": encode(image, "PNG", icc_profile=swapped_profile()),
        "webp": encode(image, "WEBP", quality=85),
        "webp lossless with alpha": encode(with_alpha(), "WEBP", lossless=True, exact=True),
        "gif": encode(image.quantize(64), "GIF"),
        "bmp": encode(image, "BMP"),
        **{f"jpeg orientation {number}": rotated(number) for number in range(1, 9)},
    }


def test_every_kind_of_file_is_decoded_as_in_training(
    page: Page, serve: Serve, tiny: Tiny, card: DemoCard, tmp_path: Path
) -> None:
    samples = [
        DemoSample(name, tiny.class_names[0], data, tiny.probabilities(data))
        for name, data in files().items()
    ]
    site = build_demo(tiny.onnx, samples, tmp_path / "site", card=replace(card, title="Kinds of files"))
    open_demo(page, serve(site))
    start_self_test(page)
    expect(page.locator("#test-table")).to_be_visible(timeout=60_000)

    rows = [row.split("\t") for row in page.locator("#test-table tbody tr").all_inner_texts()]
    differences = {name: float(difference) for name, _, _, difference in rows}
    assert set(differences) == set(files())
    assert {name: found for name, found in differences.items() if found > 1e-3} == {}
