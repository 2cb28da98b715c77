"""Bytes to an upright RGB picture, and a note of whatever was changed on the way."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from snaptune.errors import ImageError, shown

MAX_PIXELS = 89_478_485
"""Largest picture that is decoded, in pixels; the same limit at which Pillow starts to warn."""

FORMATS = (
    *("JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "HEIF"),
    *("JPEG2000", "PPM", "TGA", "ICO", "ICNS", "PCX", "SGI", "QOI"),
)
"""What is decoded where Pillow can. Formats whose decoders start other programs are left out."""

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif"),
        *(".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".qoi"),
    )
)
"""How the names of pictures end."""

_DEEP_GREY = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Decoded:
    """An upright RGB picture, what its file was, and what was done to it (nothing, for 8-bit RGB or grey)."""

    image: Image.Image
    format: str
    mode: str
    conversions: tuple[str, ...]


def load_image(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame of an encoded picture: EXIF orientation applied, transparency laid on white, RGB.

    Raises `ImageError`, which names the picture and the reason.
    """
    return decode(data, name, max_pixels=max_pixels).image


def decode(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Decoded:
    """The first frame as `load_image` gives it, with its format, mode and the conversions made.

    16-bit values keep their upper 8 bits. Float grey within 0–1 is scaled by 255; 32-bit and float
    grey of any other range is stretched so that its own range fills 0–255. Embedded colour profiles
    are not applied, as in the browser page.

    Raises `ImageError`, which names the picture and the reason.
    """
    if not data:
        raise ImageError(f"'{shown(name)}' is empty (0 bytes).", "empty")
    try:
        with quiet_decoder():
            _raise_limit(max_pixels)
            with Image.open(io.BytesIO(data), formats=_known_formats()) as image:
                return _decoded(image, name, max_pixels)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"'{shown(name)}' is too large to decode: {error}", "too many pixels") from error
    except UnidentifiedImageError as error:
        text = f"'{shown(name)}' cannot be decoded: {_unknown_format(data)}."
        raise ImageError(text, "not a picture") from error
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        text = str(error).strip() or type(error).__name__
        reason = "truncated" if "truncated" in text.lower() else "damaged"
        raise ImageError(
            f"'{shown(name)}' cannot be decoded: {text} ({len(data):,} bytes read).", reason
        ) from error


def _decoded(image: Image.Image, name: str, max_pixels: int) -> Decoded:
    _check_size(image, name, max_pixels)
    kind, mode = image.format or "unknown", image.mode
    conversions = [*_deep_colour(image), *_frames(image)]
    turned = _orientation(image)
    image.load()
    upright = _UPRIGHT.get(_orientation(image))
    rgb, how = _to_rgb(image if upright is None else image.transpose(upright))
    if turned != 1:
        conversions.append("turned upright (EXIF)")
    return Decoded(rgb, kind, mode, (*conversions, *how))


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise ImageError(
            f"'{shown(name)}' has {image.width}x{image.height} pixels; the limit is {max_pixels:,}. "
            "Raise it with --max-pixels if you trust the file.",
            "too many pixels",
        )


_pluginlock = threading.Lock()


def _known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow, with the plug-ins the user registered, can open."""
    if "QOI" not in Image.OPEN:
        with _pluginlock:
            Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _unknown_format(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        brand = data[8:12].decode("latin-1")
        return (
            f"'{brand}' pictures (HEIC/AVIF) need a decoder that this Pillow lacks; convert it to JPEG or PNG"
        )
    return f"not a known picture format (it starts with {data[:8]!r})"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or it cannot be read: the pixels still can."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # the EXIF reader raises nearly anything on damaged bytes
        return 1
    return value if value in _UPRIGHT else 1


def _deep_colour(image: Image.Image) -> list[str]:
    """16-bit colour, which Pillow hands out as 8-bit: only the raw mode of the file tells."""
    raw_modes = [str(tile[3]) for tile in getattr(image, "tile", [])]
    deep = image.mode not in _DEEP_GREY and any(";16" in mode for mode in raw_modes)
    return ["16-bit colour to 8-bit (upper bits)"] if deep else []


def _frames(image: Image.Image) -> list[str]:
    try:
        several = getattr(image, "is_animated", False)
    except Exception:  # damage behind the first frame, which is all that is wanted
        several = True
    return ["first frame of several"] if several else []


def _to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    if image.mode in _DEEP_GREY:
        grey, how = _to_8_bits(image)
        return Image.fromarray(grey).convert("RGB"), [how]
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        on_white = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
        return on_white, ["transparency laid on white"] if _is_see_through(rgba) else []
    if image.mode == "RGB":
        return image, []  # itself: to copy a large picture takes as long as to decode it
    plain = image.mode in ("L", "1", "P")
    return image.convert("RGB"), [] if plain else [f"{image.mode} to RGB"]


def _is_see_through(rgba: Image.Image) -> bool:
    lowest, _ = rgba.getchannel("A").getextrema()
    return float(lowest) < 255  # type: ignore[arg-type]


def _to_8_bits(image: Image.Image) -> tuple[npt.NDArray[np.uint8], str]:
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return (values.astype(np.uint16) >> 8).astype(np.uint8), "16-bit grey to 8-bit (upper bits)"
    finite = np.where(np.isfinite(values), values, 0).astype(np.float64)
    low, high = float(finite.min()), float(finite.max())
    kind = "float grey" if image.mode == "F" else "32-bit grey"
    if low >= 0 and high <= 1 and image.mode == "F":
        return np.rint(finite * 255).astype(np.uint8), f"{kind} 0–1 to 8-bit"
    if low >= 0 and high <= 255:
        return np.rint(finite).astype(np.uint8), f"{kind} 0–255 to 8-bit"
    scaled = (finite - low) * (255.0 / (high - low)) if high > low else finite * 0
    return np.rint(scaled).astype(np.uint8), f"{kind} stretched to 8-bit from {low:g} to {high:g}"


def _raise_limit(max_pixels: int) -> None:
    """Pillow refuses what is twice as large as its own limit, whatever ours is."""
    with _gate:
        if Image.MAX_IMAGE_PIXELS is not None:
            Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)


_gate = threading.Lock()
_inside = 0
_filters = ExitStack()


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Pillow's warnings off while any thread is inside, and its own limit of pixels put back after.

    Warnings are about the file, not about the program, and what matters of them is in `Decoded` or in an
    `ImageError`. Filters belong to the process, so the first thread in sets them and the last one out
    puts back what it found. A loop that decodes in many threads enters once, around the threads.
    """
    global _inside
    with _gate:
        if _inside == 0:
            _filters.enter_context(warnings.catch_warnings())
            _filters.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            warnings.filterwarnings("ignore", module=r"PIL\b")
        _inside += 1
    try:
        yield
    finally:
        with _gate:
            _inside -= 1
            if _inside == 0:
                _filters.close()
