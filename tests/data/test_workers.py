"""Pictures decoded in processes: the same pixels, from a script of any form, whatever happens to one."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image

from snaptune.data.dataset import ImageDataset
from snaptune.data.embedded import from_embedded
from snaptune.data.folders import from_folder
from snaptune.data.measures import measure
from snaptune.data.parallel import silent
from snaptune.data.prepared import prepare
from snaptune.data.rows import make_pixels, settings_of
from snaptune.data.workers import Pictures, Workers
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


def broken(dataset: ImageDataset, tmp_path: Path) -> ImageDataset:
    """The same with three files that cannot be read, one of which is not there any more."""
    put_all(tmp_path / "data", ["b/gone.png"])
    (tmp_path / "data" / "a" / "3.png").write_bytes(b"")
    (tmp_path / "data" / "b" / "7.png").write_bytes(b"text")
    found = from_folder(tmp_path / "data")
    (tmp_path / "data" / "b" / "gone.png").unlink()
    return found


def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From here on even few pictures are worth processes; the tasks that these are given."""
    tasks: list[str] = []
    answer = Workers.answer

    def told(workers: Workers, count: int, pictures: Pictures) -> bytes:
        command = workers.processes[0].args
        assert isinstance(command, list)
        tasks.append(str(command[4]))
        return answer(workers, count, pictures)

    monkeypatch.setattr("snaptune.data.parallel.PROCESSES_FROM", 1)
    monkeypatch.setattr("snaptune.data.parallel.cpu_count", lambda: 2)
    monkeypatch.setattr(Workers, "answer", told)
    return tasks


@pytest.mark.parametrize("in_memory", [0, 10**9])
def test_processes_prepare_what_threads_do(
    dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    data = broken(dataset, tmp_path)
    threads = prepare(data, RECIPE, skip_unreadable=True)
    tasks = asked(monkeypatch)
    processes = prepare(
        data, RECIPE, skip_unreadable=True, cache=tmp_path / "cache", in_memory=in_memory, say=pytest.fail
    )
    assert set(tasks) == {"make_rows"}
    assert processes.failures == threads.failures
    assert [item.id for item in processes.failures] == ["a/3.png", "b/7.png", "b/gone.png"]
    np.testing.assert_array_equal(processes.pixels[:], threads.pixels[:])
    np.testing.assert_array_equal(processes.thumbs, threads.thumbs)
    np.testing.assert_array_equal(processes.sides, threads.sides)


def test_processes_measure_what_threads_do(
    dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGBA", (40, 30), (255, 0, 0, 128)).save(tmp_path / "data" / "a" / "clear.png")
    data = broken(dataset, tmp_path)
    threads = measure(data, silent)
    tasks = asked(monkeypatch)
    processes = measure(data, silent)
    assert set(tasks) == {"learn_rows"}
    for one, other in zip(vars(processes).values(), vars(threads).values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(processes.failures) == 3
    assert processes.conversions == {"transparency laid on white": 1}


def test_a_decoder_of_the_users_own_is_used_where_workers_lack_it(
    dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `pillow_heif.register_heif_opener()` does, in this process only."""

    def opened(file: IO[bytes], name: str) -> Image.Image:
        file.seek(4)
        return Image.open(io.BytesIO(file.read()))

    (tmp_path / "data" / "a" / "own.heic").write_bytes(b"own!" + dataset.source.read(0))
    data = from_folder(tmp_path / "data")
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    Image.register_open("HEIF", opened, lambda start: start[:4] == b"own!")  # type: ignore[arg-type]
    asked(monkeypatch)
    assert prepare(data, RECIPE).near_duplicates().tolist() == [[0, 10]]
    assert not measure(data, silent).failures
    streamed = prepare(data, RECIPE, keep=False, workers=1)
    np.testing.assert_array_equal(streamed.pixels[10], streamed.pixels[0])


def test_a_worker_that_died_is_told(dataset: ImageDataset) -> None:
    with Workers(1, make_pixels, settings_of(RECIPE, MAX_PIXELS)) as workers:
        picture = ("a.png", dataset.source.read(0))
        assert len(workers.answer(1, [picture])) == 32 * 32 * 3
        workers.processes[0].kill()
        for _ in range(2):
            with pytest.raises(
                DataError, match=r"died \(exit code -?\d+\) at 'a.png': for lack of memory, or of a "
            ):
                workers.answer(1, [picture])


def test_of_several_pictures_the_first_and_the_last_are_named(
    dataset: ImageDataset, capfd: pytest.CaptureFixture[str]
) -> None:
    """This task takes one picture, so that two are a bug: the worker shows where, and dies of it."""
    pictures = [(name, dataset.source.read(0)) for name in ("a.png", "b.png")]
    with (
        Workers(1, make_pixels, settings_of(RECIPE, MAX_PIXELS)) as workers,
        pytest.raises(DataError, match=r"died \(exit code 1\) between 'a.png' and 'b.png': for lack of"),
    ):
        workers.answer(2, pictures)
    assert "ValueError: too many values to unpack" in capfd.readouterr().err


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
from snaptune.data.rows import make_pixels, settings_of
from snaptune.data.workers import Workers
from snaptune.images.preprocess import Preprocess

workers = Workers(2, make_pixels, settings_of(Preprocess(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)), 10**6))
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
