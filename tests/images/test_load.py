"""Every row of "bad input": decoded on purpose and noted, or refused with its reason."""

from __future__ import annotations

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, features

from snaptune.data.dataset import Files, strings
from snaptune.errors import ImageError
from snaptune.images.load import decode, load_image, quiet_decoder
from tests.images.pictures import bomb_png, deep_png, encoded, scene, with_orientation, ycck_jpeg


def difference(one: Image.Image, other: Image.Image) -> float:
    """Largest difference of a channel."""
    assert one.size == other.size
    return float(np.asarray(ImageChops.difference(one, other)).max())


def test_a_plain_picture_is_returned_as_it_is_and_nothing_is_noted() -> None:
    result = decode(encoded(scene(), "PNG"), "a.png")
    assert (result.format, result.mode, result.conversions) == ("PNG", "RGB", ())
    assert difference(result.image, scene()) == 0


def test_what_is_rgb_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(scene(), "PNG")
    for name in ("convert", "copy"):
        monkeypatch.delattr(Image.Image, name)
    assert difference(load_image(data, "a.png"), scene()) == 0


@pytest.mark.parametrize(
    ("data", "text", "reason"),
    [
        (b"", "'a.jpg' is empty (0 bytes).", "empty"),
        (b"hello, I am text", "not a known picture format (it starts with b'hello, I')", "not a picture"),
        (encoded(scene(), "JPEG")[:-40], "truncated", "truncated"),
        (encoded(scene(), "PNG")[:90], "truncated", "truncated"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "'heic' pictures (HEIC/AVIF) need a decoder", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a known picture format", "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_reason(data: bytes, text: str, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(data, "a.jpg")
    assert text in str(caught.value)
    assert caught.value.reason == reason


def test_the_pixel_limit_is_the_users() -> None:
    data = encoded(scene((40, 30)), "PNG")
    with pytest.raises(
        ImageError, match=r"'a.png' has 40x30 pixels; the limit is 1,199. Raise it with --max-pixels"
    ):
        load_image(data, "a.png", max_pixels=1199)
    assert load_image(data, "a.png", max_pixels=1200).size == (40, 30)


def test_pillows_own_limit_gives_way_to_the_users_and_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # it refuses what has more than twice as many
    assert load_image(encoded(scene((40, 30)), "PNG"), "a.png", max_pixels=1200).size == (40, 30)
    assert Image.MAX_IMAGE_PIXELS == 500


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(side: int) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(bomb_png(side, side), "bomb.png")
    assert caught.value.reason == "too many pixels"


def test_16_bit_grey_keeps_its_upper_bits_and_says_so() -> None:
    values = np.array([[[0], [255], [256], [65535]]], dtype=np.uint16)
    result = decode(deep_png(values), "deep.png")
    assert np.asarray(result.image)[0, :, 0].tolist() == [0, 0, 1, 255]
    assert result.conversions == ("16-bit grey to 8-bit (upper bits)",)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_colour_and_alpha_say_so_too(channels: int) -> None:
    result = decode(deep_png(np.full((2, 2, channels), 65535, np.uint16)), "deep.png")
    assert "16-bit colour to 8-bit (upper bits)" in result.conversions
    assert np.asarray(result.image).min() == 255


@pytest.mark.parametrize(
    ("values", "expected", "note"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255], "float grey 0–1 to 8-bit"),
        ([0.0, 7.0, 200.0], [0, 7, 200], "float grey 0–255 to 8-bit"),
        ([-10.0, 0.0, 10.0], [0, 128, 255], "float grey stretched to 8-bit from -10 to 10"),
        ([float("nan"), 0.0, 1.0], [0, 0, 255], "float grey 0–1 to 8-bit"),
        ([500.0, 500.0, 500.0], [0, 0, 0], "float grey stretched to 8-bit from 500 to 500"),
    ],
)
def test_float_grey_is_scaled_on_purpose(values: list[float], expected: list[int], note: str) -> None:
    result = decode(encoded(Image.fromarray(np.array([values], np.float32)), "TIFF"), "float.tif")
    assert np.asarray(result.image)[0, :, 0].tolist() == expected
    assert result.conversions == (note,)


def test_cmyk_jpeg_becomes_rgb_and_says_so() -> None:
    result = decode(encoded(scene().convert("CMYK"), "JPEG", quality=100), "print.jpg")
    assert difference(result.image, scene()) < 24
    assert result.conversions == ("CMYK to RGB",)


def test_ycck_jpeg_is_not_read_as_cmyk() -> None:
    grey = Image.new("CMYK", (16, 16), (128, 128, 128, 0))
    plain = decode(encoded(grey, "JPEG", quality=100), "cmyk.jpg")
    ycck = decode(ycck_jpeg(Image.new("CMYK", (16, 16), (128, 0, 128, 0))), "ycck.jpg")
    assert ycck.conversions == ("CMYK to RGB",)
    assert difference(plain.image, Image.new("RGB", (16, 16), (127, 127, 127))) <= 2
    assert difference(ycck.image, plain.image) > 60


def test_alpha_is_laid_on_white_and_a_full_alpha_channel_is_not_worth_a_note() -> None:
    clear = decode(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG"), "clear.png")
    full = decode(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 255)), "PNG"), "full.png")
    assert clear.image.getpixel((0, 0)) == (255, 255, 255)
    assert clear.conversions == ("transparency laid on white",)
    assert full.image.getpixel((0, 0)) == (255, 0, 0)
    assert full.conversions == ()


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_a_palette_with_transparency_is_laid_on_white(transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    result = decode(encoded(image, "PNG", transparency=transparency), "palette.png")
    assert np.asarray(result.image)[0].tolist() == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("value", range(1, 9))
def test_every_exif_orientation_is_applied(value: int, kind: str) -> None:
    result = decode(with_orientation(value, kind), "turned")
    upright = decode(encoded(scene(), kind), "upright").image
    stored = _turned(upright, value)
    assert difference(result.image, stored) == 0
    assert ("turned upright (EXIF)" in result.conversions) == (value != 1)


def _turned(image: Image.Image, value: int) -> Image.Image:
    """The stored pixels as a viewer shows them, by rows and columns alone (not Pillow's own table)."""
    pixels = np.asarray(image)
    swapped = pixels.transpose(1, 0, 2)
    views = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: swapped,
        6: swapped[:, ::-1],
        7: swapped[::-1, ::-1],
        8: swapped[::-1],
    }
    return Image.fromarray(np.ascontiguousarray(views[value]))


def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = encoded(scene(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 30)
    assert decode(data, "a.jpg").image.size == scene().size


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF"])
def test_of_several_frames_the_first_is_taken(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF decoder")
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    result = decode(data, "frames")
    assert difference(result.image, frames[0]) < 10
    assert result.conversions == ("first frame of several",)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF decoder")
def test_avif_is_read() -> None:
    assert decode(encoded(scene(), "AVIF", quality=95), "a.avif").format == "AVIF"


@pytest.mark.parametrize("size", [(1, 1), (20_000, 3), (3, 20_000)])
def test_extreme_shapes_are_read(size: tuple[int, int]) -> None:
    assert load_image(encoded(Image.new("RGB", size), "PNG"), "odd.png").size == size


@pytest.mark.parametrize("name", ["with space.png", "smile 🙂.png", "two\nlines.png", "quote'\".png"])
def test_odd_names_are_read_and_named_on_one_line(name: str, tmp_path: Path) -> None:
    files = Files(tmp_path, strings([name]))
    (tmp_path / name).write_bytes(encoded(scene(), "PNG"))
    assert load_image(files.read(0), name).size == scene().size
    (tmp_path / name).unlink()
    with pytest.raises(ImageError) as caught:
        files.read(0)
    assert "\n" not in str(caught.value)
    assert caught.value.reason == "no such file or directory"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of another kind")
def test_a_file_that_may_not_be_read_is_an_image_error(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(scene(), "PNG"))
    (tmp_path / "secret.png").chmod(0)
    who = os.geteuid()
    if who == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(ImageError, match=r"'secret.png' cannot be read: Permission denied."):
            Files(tmp_path, strings(["secret.png"])).read(0)
    finally:
        os.seteuid(who)


def test_warnings_of_the_decoder_neither_leak_nor_stay_silenced() -> None:
    tiff = bytearray(encoded(scene(), "TIFF"))
    tiff[4:8] = (len(tiff) - 2).to_bytes(4, "little")  # the directory lies behind the end: Pillow warns
    noisy = [
        encoded(scene(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x1a\x01\x05\0\xff" * 9),
        bytes(tiff),
    ]
    before = list(warnings.filters)

    def attempt(data: bytes) -> str:
        try:
            return decode(data, "noisy").format
        except ImageError as error:
            return error.reason

    with ThreadPoolExecutor(8) as pool:
        outcomes = set(pool.map(attempt, noisy * 60))
    assert "JPEG" in outcomes
    assert list(warnings.filters) == before
    with pytest.raises(UserWarning, match="mine"):
        warnings.warn("mine", UserWarning, stacklevel=1)


def test_filters_return_only_when_the_last_thread_leaves() -> None:
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with quiet_decoder():
            inside.set()
            leave.wait(5)

    other = threading.Thread(target=stay)
    other.start()
    inside.wait(5)
    with quiet_decoder():
        pass
    assert list(warnings.filters) != before
    leave.set()
    other.join()
    assert list(warnings.filters) == before


SEEDS = [
    encoded(scene(), "JPEG"),
    encoded(scene().convert("CMYK"), "JPEG"),
    with_orientation(6, "JPEG"),
    encoded(scene(), "PNG"),
    encoded(scene(), "GIF"),
    encoded(scene(), "WEBP"),
    encoded(scene(), "TIFF", compression="tiff_lzw"),
    encoded(scene(), "BMP"),
    encoded(scene(), "PPM"),
    encoded(scene(), "TGA"),
    encoded(scene(), "ICO"),
    encoded(scene(), "MPO", save_all=True, append_images=[scene(seed=1)]),
    deep_png(np.full((3, 3, 3), 999, np.uint16)),
]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    cut=st.floats(0, 1),
)
def test_damaged_files_raise_nothing_but_image_errors(
    data: bytes, edits: list[tuple[float, int]], cut: float
) -> None:
    damaged = bytearray(data)
    for place, value in edits:
        damaged[int(place * len(damaged))] = value
    if cut > 0.5:
        del damaged[int((cut - 0.5) * 2 * len(damaged)) :]
    with suppress(ImageError):
        image = load_image(bytes(damaged), "damaged", max_pixels=2_000_000)
        assert image.mode == "RGB"
        assert image.width * image.height <= 2_000_000
