"""Frames of video files and cameras, through the optional OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from snaptune.errors import DataError, ImageError

VIDEO_SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"))


def frames(source: Path | int) -> Iterator[Image.Image]:
    """RGB frames of a video file, or without end of the camera of this number; raises `ImageError`."""
    cv2 = _opencv()
    capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    try:
        seen = 0
        while True:
            there, frame = capture.read()
            if not there:
                break
            seen += 1
            yield Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    finally:
        capture.release()
    if not seen:
        what = f"Camera {source}" if isinstance(source, int) else f"'{source}'"
        raise ImageError(f"{what} gives no frames.")


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise DataError("Reading video needs the 'video' extra: pip install 'snaptune[video]'") from error
    return cv2
