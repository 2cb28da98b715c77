from __future__ import annotations

from pathlib import Path

import pytest
import timm

from snaptune.errors import ModelError
from snaptune.models.catalog import find_models, pretrained_config, weights_offline

M1 = [
    *("resnet18.a1_in1k", "resnet18.a2_in1k", "resnet18.a3_in1k", "resnet18.fb_ssl_yfcc100m_ft_in1k"),
    *("resnet18.fb_swsl_ig1b_ft_in1k", "resnet18.gluon_in1k", "resnet18.tv_in1k", "resnet18d.ra2_in1k"),
]


def test_the_pattern_of_the_specification_lists_its_names() -> None:
    names = [entry.name for entry in find_models("resnet18*")]
    assert [name for name in names if name in M1] == M1
    assert all(name.startswith("resnet18") for name in names)


def test_an_entry_has_input_size_and_parameters() -> None:
    [entry] = find_models("resnet18d.ra2_in1k")
    assert entry.input_size == (3, 224, 224)
    assert entry.parameters() == sum(p.numel() for p in timm.create_model("resnet18d").parameters())


def test_no_match_names_the_nearest() -> None:
    with pytest.raises(ModelError) as error:
        find_models("resnot*")
    assert str(error.value).startswith("No pretrained model fits 'resnot*'. Closest: resnet")
    assert str(error.value).endswith("Use * for any characters: snaptune models 'resnet18*'")


def test_the_configuration_of_resnet18d() -> None:
    config = pretrained_config("resnet18d")
    expected = {
        **{"input_size": "3, 224, 224", "test_input_size": "3, 288, 288", "interpolation": "bicubic"},
        **{"crop_pct": "0.875", "test_crop_pct": "0.95", "mean": "0.485, 0.456, 0.406"},
        **{"std": "0.229, 0.224, 0.225", "num_classes": "1000", "pool_size": "7, 7"},
        **{"first_conv": "conv1.0", "classifier": "fc", "fixed_input_size": "no"},
    }
    assert {key: config.get(key) for key in expected} == expected


@pytest.mark.parametrize("name", ["resnet18dd", "resnet18d.nothing", "hf-hub:somebody/model", "../../model"])
def test_a_model_without_configuration_is_an_error(name: str) -> None:
    with pytest.raises(ModelError, match="no pretrained configuration for"):
        pretrained_config(name)


def test_packaged_weights_are_known() -> None:
    [entry] = find_models("tf_efficientnet_lite0*")
    assert entry.offline == "package"


def test_weights_in_the_hub_cache_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"architecture": "a", "tag": "b", "hf_hub_id": "timm/cached"}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert weights_offline(config) == ""
    snapshot = tmp_path / "models--timm--cached" / "snapshots" / "1234"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    (tmp_path / "models--timm--cached" / "refs").mkdir()
    (tmp_path / "models--timm--cached" / "refs" / "main").write_text("1234")
    assert weights_offline(config) == "cache"


def test_weights_in_torchs_cache_count_where_no_hub_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "w.pth").touch()
    config = {"architecture": "a", "tag": "b", "url": "https://example.org/w.pth"}
    assert weights_offline(config) == "cache"
    assert weights_offline({**config, "url": "https://example.org/other.pth"}) == ""
