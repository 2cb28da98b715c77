from __future__ import annotations

import numpy as np

from snaptune.export.awkward import awkward_pictures

NAMES = {picture.name.removeprefix("awkward "): picture for picture in awkward_pictures()}


def test_every_kind_of_trouble_is_there() -> None:
    kinds = {"1x1", "17x33", "1000x40", "4000x3000", "alpha", "16-bit", "CMYK", "noise 517x389"}
    assert kinds | {f"EXIF {number}" for number in range(1, 9)} <= NAMES.keys()


def test_all_are_rgb_and_the_same_each_time() -> None:
    for picture in NAMES.values():
        first, second = picture.open(), picture.open()
        assert first.mode == "RGB"
        assert first.tobytes() == second.tobytes()


def test_each_exif_orientation_gives_another_picture() -> None:
    turned = [NAMES[f"EXIF {number}"].open() for number in range(1, 9)]
    assert [image.size for image in turned] == [(160, 90)] * 4 + [(90, 160)] * 4
    assert len({image.tobytes() for image in turned}) == 8


def test_pictures_have_contrast() -> None:
    assert all(np.asarray(picture.open()).std() > 20 for name, picture in NAMES.items() if name != "1x1")
