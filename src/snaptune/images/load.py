"""Bytes to an upright RGB picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from snaptune.errors import ImageError

MAX_PIXELS = 89_478_485
"""Largest picture that is decoded, in pixels; the same limit at which Pillow starts to warn."""

_DEEP_GREY = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def load_image(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame of an encoded picture: EXIF orientation applied, transparency laid on white, RGB.

    16-bit grey keeps its upper 8 bits; 32-bit and float grey are stretched so that their own
    range fills 0–255. Embedded colour profiles are not applied, as in the browser page.

    Raises `ImageError`, which names the picture and the reason.
    """
    if not data:
        raise ImageError(f"'{name}' is empty (0 bytes).")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > max_pixels:
                raise ImageError(
                    f"'{name}' has {image.width}x{image.height} pixels; the limit is {max_pixels:,}. "
                    "Raise it with --max-pixels if you trust the file."
                )
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise ImageError(f"'{name}' cannot be decoded: {_reason(error, data)}") from error


def _reason(error: Exception, data: bytes) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return f"not a known picture format (it starts with {data[:8]!r})."
    text = str(error).strip() or type(error).__name__
    return f"{text} ({len(data):,} bytes read)."


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_GREY:
        return _deep_grey_to_rgb(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        grey = (values.astype(np.uint16) >> 8).astype(np.uint8)
    else:
        grey = _stretched(values.astype(np.float64))
    return Image.fromarray(grey).convert("RGB")


def _stretched(values: np.ndarray) -> np.ndarray:
    finite = np.where(np.isfinite(values), values, 0.0)
    low, high = float(finite.min()), float(finite.max())
    if 0 <= low and high <= 255 and high > 1:
        return np.rint(finite).astype(np.uint8)
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint((finite - low) * scale).astype(np.uint8)
