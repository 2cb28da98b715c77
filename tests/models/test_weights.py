from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from snaptune.errors import ModelError
from snaptune.models.build import build_model
from snaptune.models.weights import read_weights

State = dict[str, Tensor]


class Payload:
    """Unpickling this makes a folder: proof that code has run."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.proof),)


def as_safetensors(state: State, path: Path) -> Path:
    save_file(state, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def as_pytorch(state: State, path: Path) -> Path:
    torch.save(state, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


def as_old_pytorch(state: State, path: Path) -> Path:
    torch.save(state, path.with_suffix(".pt"), _use_new_zipfile_serialization=False)
    return path.with_suffix(".pt")


def as_data_parallel_checkpoint(state: State, path: Path) -> Path:
    named = {f"module.{name}": value for name, value in state.items()}
    torch.save({"epoch": 3, "state_dict": named}, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


@pytest.mark.parametrize("write", [as_safetensors, as_pytorch, as_old_pytorch, as_data_parallel_checkpoint])
def test_every_form_is_taken_without_its_head_and_that_is_said(
    write: Callable[[State, Path], Path], tmp_path: Path
) -> None:
    given = build_model("test_resnet", 7, "none").state_dict()
    file = write(given, tmp_path / "donor")
    told: list[str] = []
    own = build_model("test_resnet", 3, str(file), told.append).state_dict()
    assert own["fc.weight"].shape[0] == 3
    assert all(torch.equal(own[name], given[name]) for name in own if not name.startswith("fc."))
    assert told == [
        f"Weights '{file}' were taken without the head: its 'fc' has 7 classes, not 3. "
        "'fc' starts from random weights."
    ]


def test_a_head_of_the_same_size_is_taken_in_silence(tmp_path: Path) -> None:
    given = build_model("test_resnet", 3, "none").state_dict()
    told: list[str] = []
    own = build_model("test_resnet", 3, str(as_pytorch(given, tmp_path / "donor")), told.append).state_dict()
    assert all(torch.equal(own[name], given[name]) for name in own)
    assert told == []


def test_a_file_without_a_head_says_so(tmp_path: Path) -> None:
    given = build_model("test_resnet", 3, "none").state_dict()
    bare = {name: value for name, value in given.items() if not name.startswith("fc.")}
    told: list[str] = []
    build_model("test_resnet", 3, str(as_safetensors(bare, tmp_path / "bare")), told.append)
    assert "without the head: the file has no 'fc.weight'" in told[0]


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = as_safetensors(build_model("test_vit", 2, "none").state_dict(), tmp_path / "vit")
    with pytest.raises(ModelError, match=r"vit\.safetensors' do not fit: \d+ of \d+ tensors differ"):
        build_model("test_resnet", 2, str(file))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_payload_is_refused_and_runs_nothing(zipped: bool, tmp_path: Path) -> None:
    file, proof = tmp_path / "model.pth", tmp_path / "it ran"
    torch.save({"fc.weight": Payload(proof)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"model\.pth' are damaged, or hold more than tensors"):
        read_weights(file)
    assert not proof.exists()
    torch.load(file, weights_only=False)
    assert proof.exists(), "the payload is not one"


def test_a_bare_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    file, proof = tmp_path / "model.pt", tmp_path / "it ran"
    file.write_bytes(pickle.dumps(Payload(proof)))
    with pytest.raises(ModelError, match="nothing was loaded or run"):
        read_weights(file)
    assert not proof.exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x02", b"\xff" * 64, b"{}"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_damaged_files_are_named(data: bytes, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"model{suffix}"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=f"Weights '.*model{suffix}'"):
        read_weights(file)


def test_what_is_not_a_state_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="hold no tensors by name"):
        read_weights(tmp_path / "list.pth")
    with pytest.raises(ModelError, match=r"nothing\.pth' cannot be read: No such file"):
        read_weights(tmp_path / "nothing.pth")
    with pytest.raises(ModelError, match=r"must be 'pretrained', 'none' or a \.safetensors, \.pth or \.pt"):
        read_weights(tmp_path / "model.onnx")


def test_a_tensor_that_only_looks_large_is_refused(tmp_path: Path) -> None:
    given = build_model("test_resnet", 3, "none").state_dict()
    given["conv1.0.weight"] = torch.zeros(1).expand(2**40)
    with pytest.raises(ModelError, match="do not fit: 1 of"):
        build_model("test_resnet", 3, str(as_pytorch(given, tmp_path / "large")))
