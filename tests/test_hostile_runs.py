"""A run from a stranger runs no code (invariant 4), and costs no more than its own files."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from snaptune.data.dataset import ImageDataset
from snaptune.data.reading import Reading
from snaptune.data.splits import read_split
from snaptune.errors import SnaptuneError
from snaptune.evaluation.formats import read_epochs
from snaptune.models.build import build_model
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run, read_text
from snaptune.training.checkpoint import Learner, resume

LOADED = ("config.toml", "classes.json", "preprocess.json", "model.safetensors", "calibration.json")
READ = (*LOADED, "dataset.json", "training_metadata.json", "split.csv", "events.jsonl")
DEEP = "[" * 200_000


class Payload:
    """Unpickling this makes a folder: proof that code has run."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.proof),)


@pytest.fixture
def run(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy that a test may spoil."""
    shutil.copytree(tiny_run.path, tmp_path / "run")
    (tmp_path / "run" / "calibration.json").write_text('{"temperature": 2.0}')
    return Run(tmp_path / "run")


def read_everything(run: Run, dataset: ImageDataset) -> None:
    """All that reads a run's files."""
    TorchClassifier.load(run)
    run.reading_at_hand()
    run.metadata()
    read_split(run.split_file, dataset)
    read_epochs(read_text(run.events_file), "events.jsonl")


def refused(run: Run) -> str:
    with pytest.raises(SnaptuneError) as error:
        TorchClassifier.load(run)
    return str(error.value)


def set_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def set_model(run: Run, name: str) -> None:
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace('model = "test_resnet"', f'model = "{name}"'))
    assert run.config().model == name


def test_the_untouched_copy_is_read(run: Run, small_dataset: ImageDataset) -> None:
    set_json(run.dataset_file, reading=Reading("somewhere").to_json())
    read_everything(run, small_dataset)


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_place_of_any_file_is_refused_and_runs_nothing(
    name: str, protocol: int, run: Run, small_dataset: ImageDataset, tmp_path: Path
) -> None:
    proof = tmp_path / "it ran"
    payload = pickle.dumps(Payload(proof), protocol=protocol)
    set_json(run.dataset_file, reading=Reading("somewhere").to_json())
    (run.path / name).write_bytes(payload)
    if name == "events.jsonl" and protocol == 0:  # lines that are no JSON, as after a cut, are passed over
        read_everything(run, small_dataset)
    else:
        with pytest.raises(SnaptuneError, match=name):
            read_everything(run, small_dataset)
    assert not proof.exists()
    pickle.loads(payload)  # noqa: S301
    assert proof.exists(), "the payload is not one"


def test_a_torch_checkpoint_in_place_of_the_weights_runs_nothing(run: Run, tmp_path: Path) -> None:
    torch.save({"fc.weight": Payload(tmp_path / "it ran")}, run.model_file)
    assert "model.safetensors' cannot be read as safetensors" in refused(run)
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[]", b"{}", b"null", DEEP.encode(), b"\x00" * 64]
)
def test_nonsense_in_any_file_is_the_users_error_or_nothing(
    name: str, content: bytes, run: Run, small_dataset: ImageDataset
) -> None:
    set_json(run.dataset_file, reading=Reading("somewhere").to_json())
    (run.path / name).write_bytes(content)
    try:
        read_everything(run, small_dataset)
    except SnaptuneError:
        return
    assert (name, content) in {
        *(("config.toml", b""), ("calibration.json", b"{}"), ("training_metadata.json", b"{}")),
        *(("events.jsonl", b""), ("events.jsonl", b"[]"), ("events.jsonl", b"{}")),
        *(("events.jsonl", b"null"), ("events.jsonl", DEEP.encode()), ("events.jsonl", b"\x00" * 64)),
    }, "only files that may be empty can be replaced by this"


@pytest.mark.parametrize("name", [name for name in READ if not name.endswith((".safetensors", ".csv"))])
def test_an_absurdly_large_text_is_not_read(name: str, run: Run, small_dataset: ImageDataset) -> None:
    set_json(run.dataset_file, reading=Reading("somewhere").to_json())
    with (run.path / name).open("wb") as file:
        file.truncate(2**40)
    tracemalloc.start()
    with pytest.raises(SnaptuneError, match=f"{name}' is larger than"):
        read_everything(run, small_dataset)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


@pytest.mark.parametrize(
    ("length", "header"),
    [
        *((2**63, b"{}"), (2**40, b"{}"), (99_999_999, b"{}")),
        *((2, b"[]"), (len(DEEP), DEEP.encode())),
        (None, b'{"fc.weight":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}'),
        (None, b'{"fc.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999]}}'),
        (None, b'{"fc.weight":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}'),
        (None, b'{"../../evil":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'),
    ],
)
def test_absurd_headers_of_the_weights_are_refused(length: int | None, header: bytes, run: Run) -> None:
    size = len(header) if length is None else length
    run.model_file.write_bytes(struct.pack("<Q", size) + header + b"\x00" * 4)
    assert "model.safetensors'" in refused(run)


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/passwd", "hf-hub:evil/model", "local-dir:/tmp", "resnet18.evil"]
)
def test_a_model_name_leads_nowhere(name: str, run: Run) -> None:
    set_model(run, name)
    assert refused(run).startswith(f"Unknown model '{name}'")


def test_a_giant_model_is_refused_before_it_takes_memory(run: Run) -> None:
    set_model(run, "vit_giant_patch14_clip_224")  # a billion parameters, 4 GB
    assert "does not fit vit_giant_patch14_clip_224 with 3 classes" in refused(run)


def test_a_million_classes_are_refused_before_they_take_memory(run: Run) -> None:
    run.classes_file.write_text(json.dumps({"classes": list(map(str, range(1_000_000)))}))
    assert "does not fit test_resnet with 1000000 classes: 2 of" in refused(run)


def checkpoint(folder: Path, data: bytes) -> Path:
    """A folder with a checkpoint whose name vouches for its content."""
    (folder / f"00000-0000001-{hashlib.sha256(data).hexdigest()[:16]}.safetensors").write_bytes(data)
    return folder


@pytest.fixture
def learner() -> Learner:
    model = build_model("test_resnet", 3, "none")
    return Learner(model, torch.optim.AdamW(model.parameters()), None)


@pytest.mark.parametrize(
    "numbers",
    [DEEP, "[]", "null", "1", '{"kept": 1}', '{"kept": {"scores": []}}', '{"kept": null, "evil": 1}'],
)
def test_absurd_numbers_in_a_checkpoint_are_refused(numbers: str, tmp_path: Path, learner: Learner) -> None:
    tensors = {f"model/{name}": value for name, value in learner.model.state_dict().items()}
    with pytest.raises(SnaptuneError, match="is not a checkpoint of this run"):
        resume(checkpoint(tmp_path, save(tensors, {"snaptune": numbers})), learner)


def test_a_pickle_in_place_of_a_checkpoint_runs_nothing(tmp_path: Path, learner: Learner) -> None:
    with pytest.raises(SnaptuneError, match="is not a checkpoint of this run"):
        resume(checkpoint(tmp_path, pickle.dumps(Payload(tmp_path / "it ran"))), learner)
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("classes", [[], ["a", 1, "b"], "abc", ["a", "a", "b"], {"a": 1}, [["a"]] * 3])
def test_classes_that_are_no_names_are_refused(classes: object, run: Run) -> None:
    run.classes_file.write_text(json.dumps({"classes": classes}))
    assert "classes.json'" in refused(run)


@pytest.mark.parametrize(
    "change", [{"size": 10**400}, {"size": "x"}, {"size": 10**9}, {"mean": [1e400, 0, 0]}, {"std": [0, 0, 0]}]
)
def test_absurd_recipes_are_refused(change: dict[str, object], run: Run) -> None:
    set_json(run.preprocess_file, **change)
    assert "preprocess.json' is not a preprocessing recipe" in refused(run)


@pytest.mark.parametrize("temperature", [0, -1, 1e-300, 1e300, float("nan"), "1", None])
def test_absurd_temperatures_are_refused(temperature: object, run: Run) -> None:
    run.calibration_file.write_text(json.dumps({"temperature": temperature}))
    assert "calibration.json' is not a calibration" in refused(run)


@pytest.mark.parametrize("spoil", ["nan", "kind", "missing", "more"])
def test_weights_that_are_no_weights_are_refused(spoil: str, run: Run) -> None:
    state = load_file(run.model_file)
    weight = state.pop("fc.weight")
    spoilt = {"nan": weight * float("nan"), "kind": weight.to(torch.int8), "more": weight}
    state |= {} if spoil == "missing" else {"fc.weight": spoilt[spoil]}
    state |= {"extra": torch.zeros(1)} if spoil == "more" else {}
    save_file(state, run.model_file)
    assert "1 of" in refused(run)
