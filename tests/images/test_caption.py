from __future__ import annotations

import numpy as np
from PIL import Image

from snaptune.images.caption import captioned


def test_the_picture_stays_and_words_are_below_it() -> None:
    picture = Image.new("RGB", (200, 100), "navy")
    page = np.asarray(captioned(picture, "rock 99.70%"))
    assert (page[:100] == np.asarray(picture)).all()
    band = page[100:]
    assert (band == 255).any()
    assert (band == 0).any()
    assert (band[-1] == 255).all()


def test_a_narrow_picture_takes_small_letters() -> None:
    wide, narrow = (captioned(Image.new("RGB", (width, 10)), "two_up_inverted 99.70%") for width in (400, 60))
    assert narrow.height < wide.height
