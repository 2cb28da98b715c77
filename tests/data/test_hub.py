"""Data sets of the hub: the real client against a small hub on the loopback address."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from snaptune.data.dataset import PARTS
from snaptune.data.hub import from_hub, from_local_copy, remove_download
from snaptune.data.readers import open_dataset
from snaptune.data.reading import Columns, Reading
from snaptune.errors import DataError, ImageError
from tests.data.small_hub import SmallHub, serve
from tests.images.pictures import encoded, scene

NAME = "someone/gestures-zip"
CARD = b"""---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': stop
          '1': call
          '2': fist
---
# Gestures
"""


def picture(seed: int) -> bytes:
    return encoded(scene(seed=seed), "PNG")


def archive(names: list[str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for seed, name in enumerate(names):
            target.writestr(name, picture(seed))
    return file.getvalue()


def zipped() -> dict[str, bytes]:
    names = [f"gestures/{label}/{n}.png" for label in ("call", "fist", "stop") for n in range(20)]
    return {".gitattributes": b"*.zip filter=lfs", "README.md": CARD, "gestures.zip": archive(names)}


def parquet(labels: list[int], names: list[str]) -> bytes:
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    rows = pa.table(
        {
            "image": [{"bytes": picture(seed), "path": None} for seed in range(len(labels))],
            "label": labels,
            "user": [f"user{seed // 2}" for seed in range(len(labels))],
        }
    )
    rows = rows.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file = io.BytesIO()
    pa.parquet.write_table(rows, file, row_group_size=2)
    return file.getvalue()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_the_one_line_that_loads_the_worked_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAPTUNE_CACHE", str(tmp_path / "cache"))
    with serve(SmallHub(NAME, zipped())) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        dataset = open_dataset(f"hub:{NAME}")
    assert dataset.name == "gestures-zip"
    assert dataset.reading == Reading(f"hub:{NAME}")
    assert dataset.class_names == ("stop", "call", "fist")
    assert dataset.class_counts().tolist() == [20, 20, 20]
    first = str(dataset.ids[0])
    assert first == "gestures/gestures/call/0.png"
    assert dataset.source.read(0) == picture(0)
    assert dataset.class_names[dataset.labels[0]] == "call"


def test_the_hub_is_not_asked_again_and_the_archive_goes_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bystander = tmp_path / "someone--else" / "download" / "keep.zip"
    bystander.parent.mkdir(parents=True)
    bystander.write_bytes(b"x")
    with serve(SmallHub(NAME, zipped())) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        first = from_hub(NAME, cache=tmp_path, workers=1)
        asked = len(hub.asked)
        home = tmp_path / "someone--gestures-zip"
        assert list((home / "download").rglob("*.zip"))
        again = from_hub(NAME, cache=tmp_path, keep_download=False)
        assert len(hub.asked) == asked
    assert not (home / "download").exists()
    assert bystander.exists()
    assert again.notes == ()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert from_hub(NAME, cache=tmp_path).fingerprint() == first.fingerprint() == again.fingerprint()


def test_a_file_that_cannot_be_deleted_is_named_and_the_rest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("data/x", "download/1.zip", "download/2.zip", "download/3.zip"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    unlink = Path.unlink

    def stubborn(path: Path, missing_ok: bool = False) -> None:
        if path.name == "2.zip":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", stubborn)
    assert remove_download(tmp_path) == (f"'{tmp_path / 'download' / '2.zip'}' cannot be deleted",)
    assert [path.name for path in (tmp_path / "download").iterdir()] == ["2.zip"]


def test_a_download_is_not_deleted_while_pictures_are_read_from_it(tmp_path: Path) -> None:
    (tmp_path / "download").mkdir()
    (tmp_path / "download" / "train.parquet").write_bytes(b"x")
    assert remove_download(tmp_path) == ("the download is kept: the pictures are read from it",)
    assert (tmp_path / "download" / "train.parquet").exists()


def test_a_download_that_is_cut_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    with serve(SmallHub(NAME, zipped(), cut_after=5000)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert len(from_hub(NAME, cache=tmp_path, workers=1)) == 60
    assert hub.cut_after == -1
    assert "bytes=5000-" in hub.ranges()


def test_a_download_that_failed_goes_on_in_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(SmallHub(NAME, zipped(), cut_after=5000, refuse_after_cut=True)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(
            DataError, match=r"could not be downloaded: .*503.* Files that came complete are kept"
        ):
            from_hub(NAME, cache=tmp_path, workers=1)
        assert not (tmp_path / "someone--gestures-zip" / "complete.txt").exists()
        hub.refuse_after_cut = False
        hub.asked.clear()
        assert len(from_hub(NAME, cache=tmp_path, workers=1)) == 60
    fetched = {
        path.rpartition("/")[2] for method, path, _ in hub.asked if method == "GET" and "/resolve/" in path
    }
    assert fetched == {"gestures.zip"}


def test_an_archive_that_is_damaged_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"gestures.zip": zipped()["gestures.zip"][:-100]}
    with serve(SmallHub(NAME, files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(DataError, match=r"'gestures.zip' cannot be unpacked"):
            from_hub(NAME, cache=tmp_path)
    assert not (tmp_path / "someone--gestures-zip" / "data").exists()
    assert not (tmp_path / "someone--gestures-zip" / "complete.txt").exists()


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"g.zip": archive(["../../../a/escaped.png", "a/1.png", "/a/root.png"])}
    with serve(SmallHub(NAME, files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        from_hub(NAME, cache=tmp_path / "cache")
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    assert found == {f"cache/someone--gestures-zip/data/g/a/{name}.png" for name in ("escaped", "1", "root")}


def test_parts_and_features_of_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["zebra", "ant"]
    files = {
        "data/train-00000-of-00002.parquet": parquet([0, 1, 0], names),
        "data/train-00001-of-00002.parquet": parquet([1], names),
        "data/validation-00000-of-00001.parquet": parquet([1, 1], names),
        "README.md": b"",
    }
    with serve(SmallHub(NAME, files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        dataset = from_hub(NAME, cache=tmp_path, columns=Columns(group="user"))
        only = from_hub(NAME, cache=tmp_path, split="validation")
    assert dataset.class_names == ("zebra", "ant")
    assert dataset.labels.tolist() == [0, 1, 0, 1, 1, 1]
    assert dataset.parts is not None
    assert [PARTS[part] for part in dataset.parts] == ["train"] * 4 + ["validation"] * 2
    assert [str(name) for name in dataset.ids][3:5] == ["train/0000003", "validation/0000000"]
    assert [dataset.source.read(index) for index in range(6)] == [
        picture(seed) for seed in (0, 1, 2, 0, 0, 1)
    ]
    assert dataset.group_of(2) == "user1"
    assert len(only) == 2
    assert only.parts is None
    assert only.source.read(1) == picture(1)
    with pytest.raises(DataError, match=r"has no part 'test'. Its parts: train, validation."):
        from_hub(NAME, cache=tmp_path, split="test")


def test_a_missing_data_set_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(SmallHub("someone/else", {})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(
            DataError, match=rf"^No data set '{NAME}' on the hub, or it is private. Check the name"
        ):
            from_hub(NAME, cache=tmp_path)


def test_without_a_network_the_message_says_what_else_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        DataError, match=rf"^'{NAME}' could not be downloaded: .*refused.*Without a network, name a local"
    ):
        from_hub(NAME, cache=tmp_path)


@pytest.mark.parametrize("name", ["../x", "a/b/c", "a b/c", ""])
def test_a_name_is_checked_before_the_hub_is_asked(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"is not a hub name. Expected hub:OWNER/NAME."):
        from_hub(name, cache=tmp_path)


def test_a_local_parquet_copy(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test-00000-of-00001.parquet").write_bytes(parquet([0], ["a", "b"]))
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_bytes(parquet([1, 0], ["a", "b"]))
    dataset = open_dataset(tmp_path)
    assert dataset.parts is not None
    assert dataset.parts.tolist() == [2, 0, 0]
    assert len(open_dataset(tmp_path / "data" / "train-00000-of-00001.parquet")) == 2
    with pytest.raises(
        DataError, match=r"No picture and label column .*; name yours. Columns found: image: struct"
    ):
        from_local_copy(tmp_path, Columns(label="kind"))


def test_a_copy_saved_by_the_hubs_own_library(tmp_path: Path) -> None:
    """`save_to_disk`: Arrow streams, which are mapped and not read."""
    rows = pa.parquet.read_table(io.BytesIO(parquet([1, 0, 1], ["a", "b"])))
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        with pa.ipc.new_stream(tmp_path / part / "data-00000-of-00001.arrow", rows.schema) as stream:
            stream.write_table(rows, max_chunksize=2)
    dataset = open_dataset(tmp_path)
    assert dataset.class_names == ("a", "b")
    assert dataset.labels.tolist() == [1, 0, 1, 1, 0, 1]
    assert dataset.parts is not None
    assert dataset.parts.tolist() == [2, 2, 2, 0, 0, 0]
    assert dataset.source.read(5) == picture(2)


def test_pictures_beside_the_file_and_missing_ones(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(9))
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = [
        {"bytes": None, "path": "a.png"},
        {"bytes": None, "path": "gone.png"},
        {"bytes": None, "path": None},
    ]
    rows = pa.table({"image": pa.array(values, kind), "label": ["x", "y", "x"]})
    pa.parquet.write_table(rows, tmp_path / "all.parquet")
    source = open_dataset(tmp_path / "all.parquet").source
    assert source.read(0) == picture(9)
    with pytest.raises(ImageError, match=r"'train/0000001' \(gone.png\) cannot be read: No such file"):
        source.read(1)
    with pytest.raises(ImageError, match=r"'train/0000002' holds no picture"):
        source.read(2)


def test_labels_outside_the_features_are_refused(tmp_path: Path) -> None:
    (tmp_path / "all.parquet").write_bytes(parquet([0, 5], ["a", "b"]))
    with pytest.raises(DataError, match=r"'label' in .* must be 0 to 1; found 0 to 5."):
        open_dataset(tmp_path / "all.parquet")


def test_any_order_of_reading_gives_the_same_pictures(tmp_path: Path) -> None:
    (tmp_path / "all.parquet").write_bytes(parquet([0] * 30, ["a", "b"]))
    source = open_dataset(tmp_path / "all.parquet").source
    for index in np.random.default_rng(0).permutation(30):
        assert source.read(int(index)) == picture(int(index))
