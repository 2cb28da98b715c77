"""WebDataset shards, read in place."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from snaptune.data.dataset import PARTS
from snaptune.data.readers import open_dataset
from snaptune.data.shards import from_shards
from snaptune.errors import DataError
from tests.images.pictures import encoded, scene

Member = tuple[str, bytes]


def shard(path: Path, members: Sequence[Member], mode: str = "w:") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def picture(seed: int) -> bytes:
    return encoded(scene(seed=seed), "PNG")


def sample(key: str, label: str, seed: int = 0) -> list[Member]:
    return [(f"{key}.png", picture(seed)), (f"{key}.cls", label.encode())]


def test_pictures_are_found_with_their_labels_and_read_in_place(tmp_path: Path) -> None:
    path = shard(tmp_path / "flowers.tar", [*sample("0001", "rose", 1), *sample("0002", "tulip\n", 2)])
    dataset = open_dataset(path)
    assert dataset.name == "flowers"
    assert dataset.class_names == ("rose", "tulip")
    assert [str(name) for name in dataset.ids] == ["0001.png", "0002.png"]
    assert dataset.source.read(1) == picture(2)


def test_json_and_text_labels_and_any_order_in_a_sample(tmp_path: Path) -> None:
    members = [
        ("a/1.json", json.dumps({"label": 7}).encode()),
        ("a/1.png", picture(1)),
        ("a/2.png", picture(2)),
        ("a/2.txt", b"8"),
        ("a/" + "long" * 60 + ".png", picture(3)),
        ("a/" + "long" * 60 + ".cls", b"8"),
    ]
    dataset = from_shards(shard(tmp_path / "x.tar", members))
    assert dataset.class_names == ("7", "8")
    assert dataset.source.read(2) == picture(3)


@pytest.mark.parametrize("spec", ["train-{000..001}.tar", "train-*.tar"])
def test_patterns_of_shards(tmp_path: Path, spec: str) -> None:
    for number in range(2):
        shard(tmp_path / f"train-{number:03d}.tar", sample("0001", str(number), number))
    dataset = open_dataset(tmp_path / spec)
    assert [str(name) for name in dataset.ids] == ["train-000/0001.png", "train-001/0001.png"]
    assert [dataset.source.read(index) for index in range(2)] == [picture(0), picture(1)]
    assert dataset.parts is None


def test_a_folder_of_shards_called_after_parts_is_split(tmp_path: Path) -> None:
    for name in ("train-0", "train-1", "val-0", "test-0"):
        shard(tmp_path / f"{name}.tar", sample("1", "rose"))
    dataset = open_dataset(tmp_path)
    assert dataset.parts is not None
    assert [PARTS[part] for part in dataset.parts] == ["test", "train", "train", "validation"]


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([("1.png", b"x")], "1 pictures in '.*' have no label"),
        ([("readme.txt", b"x")], "No pictures in"),
        ([*sample("1", "a"), *sample("2", "a"), *sample("1", "b")], "listed more than once"),
        ([("1.json", b"{"), ("1.png", b"x")], "is not valid JSON"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, members: list[Member], text: str) -> None:
    with pytest.raises(DataError, match=text):
        from_shards(shard(tmp_path / "x.tar", members))


def test_no_shards_and_compressed_shards(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No shards match"):
        from_shards(tmp_path / "missing-*.tar")
    shard(tmp_path / "x.tar", sample("1", "rose"), "w:gz")
    with pytest.raises(DataError, match="as an uncompressed tar file"):
        from_shards(tmp_path / "x.tar")
