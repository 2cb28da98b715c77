"""A picture with words written under it."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

_MARGIN = 6


def captioned(image: Image.Image, text: str) -> Image.Image:
    """A copy of an RGB picture with a white band below it that holds `text`, in letters as large as fit."""
    font = _fitting(text, image.width)
    left, top, _, bottom = font.getbbox(text)
    band = int(bottom - top) + 2 * _MARGIN
    page = Image.new("RGB", (image.width, image.height + band), "white")
    page.paste(image, (0, 0))
    ImageDraw.Draw(page).text((_MARGIN - left, image.height + _MARGIN - top), text, fill="black", font=font)
    return page


def _fitting(text: str, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for size in (24, 20, 16, 12):
        font = ImageFont.load_default(size)
        if font.getlength(text) + 2 * _MARGIN <= width:
            return font
    return ImageFont.load_default(10)
