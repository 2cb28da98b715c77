from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from snaptune.errors import DataError, ImageError
from snaptune.inputs.expand import expand
from snaptune.inputs.video import frames


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DataError) as error:
        next(expand(["clip.MP4"]))
    assert str(error.value) == "Reading video needs the 'video' extra: pip install 'snaptune[video]'"


def test_frames_are_numbered_and_in_rgb(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 48))
    for _ in range(3):
        writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))  # red, as OpenCV has it
    writer.release()
    found = list(expand([str(clip)]))
    assert [item.name for item in found] == [f"{clip}#1", f"{clip}#2", f"{clip}#3"]
    red, green, blue = found[0].open().resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 60


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    with pytest.raises(ImageError, match=r"clip\.mp4' gives no frames"):
        list(frames(tmp_path / "clip.mp4"))
