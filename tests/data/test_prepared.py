"""Prepared once, bit for bit, and never half."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snaptune.data.dataset import ImageDataset
from snaptune.data.folders import from_folder
from snaptune.data.prepared import cache_key, prepare
from snaptune.data.prepared_store import clear_caches, list_caches
from snaptune.errors import DataError
from snaptune.images.load import load_image
from snaptune.images.preprocess import Preprocess
from tests.data.trees import put, put_all

RECIPE = Preprocess(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
NAMES = [f"{label}/{number}.png" for label in "ab" for number in range(20)]


@pytest.fixture
def dataset(tmp_path: Path) -> ImageDataset:
    return from_folder(put_all(tmp_path / "data", NAMES))


def expected(dataset: ImageDataset) -> np.ndarray:
    names = [str(name) for name in dataset.ids]
    return np.stack([RECIPE.pixels(load_image(dataset.source.read(i), name)) for i, name in enumerate(names)])


def forbidden(*_: object, **__: object) -> Any:
    raise AssertionError("nothing is decoded again")


@pytest.mark.parametrize("in_memory", [0, 2**30])
def test_every_row_is_the_recipe_bit_for_bit(dataset: ImageDataset, tmp_path: Path, in_memory: int) -> None:
    prepared = prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=in_memory)
    np.testing.assert_array_equal(prepared.pixels[:], expected(dataset))
    assert isinstance(prepared.pixels, np.memmap) == (in_memory == 0)
    assert prepared.readable().tolist() == list(range(40))
    assert (tmp_path / "cache").exists() == (in_memory == 0)


def test_a_second_time_nothing_is_decoded(
    dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=0)
    monkeypatch.setattr(ImageDataset, "load", forbidden)
    again = prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=0)
    np.testing.assert_array_equal(again.pixels[:], first.pixels[:])
    with pytest.raises(ValueError, match="read-only"):
        again.pixels[0] = 0  # type: ignore[index]


def test_a_changed_byte_makes_a_new_cache_even_under_the_old_size_and_time(
    dataset: ImageDataset, tmp_path: Path
) -> None:
    prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=0)
    path = tmp_path / "data" / "a" / "0.png"
    times = path.stat()
    path.write_bytes((tmp_path / "data" / "b" / "3.png").read_bytes())
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    again = prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=0)
    names = [str(name) for name in dataset.ids]
    assert names[0] == "a/0.png"
    np.testing.assert_array_equal(again.pixels[0], again.pixels[names.index("b/3.png")])


def test_the_key_follows_recipe_and_decoders_but_not_the_statistics(
    dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = cache_key(dataset, RECIPE)
    assert key == cache_key(dataset, Preprocess(32, (0.1, 0.1, 0.1), (1, 1, 1)))
    assert key != cache_key(dataset, Preprocess(33, RECIPE.mean, RECIPE.std))
    assert key != cache_key(dataset.limited_to(9), RECIPE)
    monkeypatch.setattr("PIL.features.version", lambda name: "0.0.1")
    assert key != cache_key(dataset, RECIPE)


def test_all_unreadable_pictures_are_counted_and_listed(dataset: ImageDataset, tmp_path: Path) -> None:
    whole = (tmp_path / "data" / "a" / "3.png").read_bytes()
    (tmp_path / "data" / "a" / "3.png").write_bytes(whole[:90])
    (tmp_path / "data" / "b" / "0.png").write_bytes(b"")
    (tmp_path / "data" / "b" / "1.png").write_bytes(b"text")
    listed = tmp_path / "run" / "unreadable.csv"
    with pytest.raises(DataError) as caught:
        prepare(dataset, RECIPE, unreadable_file=listed)
    assert str(caught.value) == (
        f"3 of 40 images cannot be read (first: a/3.png, truncated). Full list: {listed}. "
        "Fix them or pass --skip-unreadable."
    )
    lines = listed.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id,reason,detail"
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["a/3.png", "truncated"],
        ["b/0.png", "empty"],
        ["b/1.png", "not a picture"],
    ]


@pytest.mark.parametrize("in_memory", [0, 2**30])
def test_unreadable_pictures_are_skipped_on_request_and_never_replaced(
    dataset: ImageDataset, tmp_path: Path, in_memory: int
) -> None:
    (tmp_path / "data" / "b" / "0.png").write_bytes(b"")
    for _ in range(2):
        prepared = prepare(
            dataset, RECIPE, skip_unreadable=True, cache=tmp_path / "cache", in_memory=in_memory
        )
        assert [(item.index, item.id, item.reason) for item in prepared.failures] == [
            (20, "b/0.png", "empty")
        ]
        assert 20 not in prepared.readable()
        assert len(prepared.readable()) == 39
    with pytest.raises(DataError, match=r"1 of 40 images cannot be read \(first: b/0.png, empty\). Fix them"):
        prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=in_memory)


def test_a_set_without_one_readable_picture_is_an_error_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"x")
    with pytest.raises(DataError, match="None of the 1 images of"):
        prepare(from_folder(tmp_path), RECIPE, skip_unreadable=True)


def test_without_room_on_the_disk_pictures_are_decoded_again(
    dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 1000))
    said: list[str] = []
    prepared = prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=0, say=said.append)
    assert len(said) == 1
    assert "0.0 GiB are needed, 0.0 GiB are free); decoding them again in every epoch" in said[0]
    np.testing.assert_array_equal(prepared.pixels[np.array([5, 3, 39])], expected(dataset)[[5, 3, 39]])
    np.testing.assert_array_equal(prepared.pixels[7], expected(dataset)[7])
    assert len(prepared.pixels) == 40
    assert list_caches(tmp_path / "cache") == ()


def test_a_cache_folder_that_cannot_be_made_is_no_obstacle(dataset: ImageDataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    said: list[str] = []
    prepared = prepare(dataset, RECIPE, cache=tmp_path / "file" / "cache", in_memory=0, say=said.append)
    np.testing.assert_array_equal(prepared.pixels[:], expected(dataset))
    assert "cannot be kept in" in said[0]


def test_a_cache_that_was_cut_is_built_again(dataset: ImageDataset, tmp_path: Path) -> None:
    prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=0)
    (kept,) = list_caches(tmp_path / "cache")
    with (kept.path / "pixels.u8").open("r+b") as file:
        file.truncate(1000)
    again = prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=0)
    np.testing.assert_array_equal(again.pixels[:], expected(dataset))


BUILDER = """
import sys, time
from pathlib import Path
from snaptune.data.folders import from_folder
from snaptune.data.prepared import prepare
from snaptune.images.preprocess import Preprocess

def slowly(items, total, title):
    for item in items:
        print("built", flush=True)
        time.sleep(float(sys.argv[3]))
        yield item

recipe = Preprocess(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
made = prepare(from_folder(sys.argv[1]), recipe, slowly, cache=Path(sys.argv[2]), in_memory=0)
print("sum", int(made.pixels[:].astype("int64").sum()), flush=True)
"""


def build(root: Path, pause: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILDER, str(root / "data"), str(root / "cache"), str(pause)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills of another kind")
def test_a_build_that_is_killed_leaves_nothing_that_counts(dataset: ImageDataset, tmp_path: Path) -> None:
    with build(tmp_path, 0.2) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    (left,) = list_caches(tmp_path / "cache")
    assert (left.dataset, left.pictures) == ("unfinished", 0)
    prepared = prepare(dataset, RECIPE, cache=tmp_path / "cache", in_memory=0)
    np.testing.assert_array_equal(prepared.pixels[:], expected(dataset))
    assert [kept.pictures for kept in list_caches(tmp_path / "cache")] == [40]


def test_of_two_processes_one_builds_and_both_are_right(dataset: ImageDataset, tmp_path: Path) -> None:
    processes = [build(tmp_path, 0.01) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    total = int(expected(dataset).astype("int64").sum())
    assert all(f"sum {total}\n" in text for text in outputs)
    assert sorted(text.count("built") for text in outputs) == [0, 40]


def test_the_cache_is_listed_and_cleared_but_not_what_is_being_built(
    dataset: ImageDataset, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    prepare(dataset, RECIPE, cache=cache, in_memory=0)
    put(tmp_path / "data" / "a" / "more.png", 99)
    (cache / "notes").mkdir()
    (cache / "notes" / "mine.txt").write_text("x")
    with build(tmp_path, 0.2) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (finished,) = [kept for kept in list_caches(cache) if kept.pictures]
        assert (finished.dataset, finished.pictures, finished.size) == ("data", 40, 32)
        assert clear_caches(cache) == finished.bytes > 40 * 32 * 32 * 3
        assert [kept.dataset for kept in list_caches(cache)] == ["unfinished"]
        process.kill()
    deadline = time.time() + 5
    while list_caches(cache) and time.time() < deadline:
        clear_caches(cache)
    assert sorted(path.name for path in cache.iterdir()) == ["notes"]
    assert list_caches(tmp_path / "missing") == ()


def test_near_duplicates_are_found_in_what_was_prepared(tmp_path: Path) -> None:
    for name, seed in (("a/1.png", 1), ("a/2.png", 2), ("b/3.png", 1)):
        put(tmp_path / name, seed)
    prepared = prepare(from_folder(tmp_path), RECIPE)
    assert prepared.near_duplicates().tolist() == [[0, 2]]
