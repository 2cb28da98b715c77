"""Pictures decoded in processes: the same pixels, from a script of any form, whatever happens to one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snaptune.data.dataset import ImageDataset
from snaptune.data.embedded import from_embedded
from snaptune.data.folders import from_folder
from snaptune.data.prepared import prepare
from snaptune.data.workers import Workers
from snaptune.errors import DataError, ImageError
from snaptune.images.load import MAX_PIXELS
from snaptune.images.preprocess import Preprocess
from tests.data.trees import put_all

RECIPE = Preprocess(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
NAMES = [f"{label}/{number}.png" for label in "ab" for number in range(10)]


@pytest.fixture
def dataset(tmp_path: Path) -> ImageDataset:
    return from_folder(put_all(tmp_path / "data", NAMES))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_streamed_rows_are_the_prepared_ones_bit_for_bit(dataset: ImageDataset, workers: int) -> None:
    prepared, streamed = prepare(dataset, RECIPE), prepare(dataset, RECIPE, keep=False, workers=workers)
    for key in (np.array([7, 3, 3, 19]), slice(None), 5, np.array([], np.int64)):
        np.testing.assert_array_equal(streamed.pixels[key], prepared.pixels[key])
    assert len(streamed.pixels) == len(prepared.pixels)
    assert streamed.near_duplicates().tolist() == prepared.near_duplicates().tolist()


def test_a_duplicate_is_found_where_pictures_are_streamed(dataset: ImageDataset, tmp_path: Path) -> None:
    (tmp_path / "data" / "b" / "copy.png").write_bytes((tmp_path / "data" / "a" / "0.png").read_bytes())
    again = from_folder(tmp_path / "data")
    assert prepare(again, RECIPE, keep=False).near_duplicates().tolist() == [[0, 20]]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_goes_bad_after_the_check_is_an_error_that_names_it(
    dataset: ImageDataset, tmp_path: Path, workers: int
) -> None:
    streamed = prepare(dataset, RECIPE, keep=False, workers=workers)
    (tmp_path / "data" / "a" / "3.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"^'a/3.png' is empty \(0 bytes\)\.$"):
        streamed.pixels[np.arange(5)]


def test_an_error_crosses_whole() -> None:
    with Workers(1, RECIPE, max_pixels=MAX_PIXELS) as workers, pytest.raises(ImageError) as error:
        workers.pixels(b"text", "näme\n.jpg")
    assert str(error.value) == (
        r"'näme\n.jpg' cannot be decoded: not a known picture format (it starts with b'text')."
    )
    assert error.value.reason == "not a picture"


def test_a_worker_that_died_is_told(dataset: ImageDataset) -> None:
    with Workers(1, RECIPE, max_pixels=MAX_PIXELS) as workers:
        data = dataset.source.read(0)
        workers.pixels(data, "a.png")
        workers.processes[0].kill()
        for _ in range(2):
            with pytest.raises(DataError, match=r"decodes pictures died \(exit code -?\d+\) at 'a.png'"):
                workers.pixels(data, "a.png")


def test_pictures_inside_parquet_can_be_streamed(tmp_path: Path, dataset: ImageDataset) -> None:
    """Their reader holds a lock, which could not be sent to another process."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pictures = [{"bytes": dataset.source.read(index), "path": None} for index in range(20)]
    pq.write_table(pa.table({"image": pictures, "label": [0, 1] * 10}), tmp_path / "train.parquet")
    embedded = from_embedded([tmp_path / "train.parquet"], "embedded")
    streamed = prepare(embedded, RECIPE, keep=False, workers=2)
    np.testing.assert_array_equal(streamed.pixels[:], prepare(dataset, RECIPE).pixels[:])


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


SCRIPT = """
import sys
import numpy as np
import snaptune as st
from snaptune.data.prepared import prepare
from snaptune.images.preprocess import Preprocess

print("main module runs")
recipe = Preprocess(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
rows = prepare(st.from_folder(sys.argv[1]), recipe, keep=False, workers=2).pixels
print(int(rows[:].astype(np.int64).sum()))
"""


@pytest.mark.parametrize("form", ["script", "standard input"])
def test_a_script_needs_no_main_guard(dataset: ImageDataset, tmp_path: Path, form: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    file = str(tmp_path / "script.py") if form == "script" else "-"
    finished = subprocess.run(
        [sys.executable, "-W", "error", file, str(tmp_path / "data")],
        input=SCRIPT,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert finished.stderr == ""
    total = int(prepare(dataset, RECIPE).pixels[:].astype(np.int64).sum())
    assert finished.stdout == f"main module runs\n{total}\n"


KILLED = """
import os, signal, sys
from snaptune.data.workers import Workers
from snaptune.images.preprocess import Preprocess

workers = Workers(2, Preprocess(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)), 10**6)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills of another kind")
def test_workers_end_where_their_parent_is_killed() -> None:
    """Standard error, which they share with it, ends with its last holder."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stderr=subprocess.PIPE, env=environment()
    ) as process:
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (-signal.SIGKILL, b"")
