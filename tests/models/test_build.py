from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from snaptune.errors import ModelError
from snaptune.models.build import build_model, normalise, parameter_groups, preprocess_for
from snaptune.models.lite0 import packaged_weights, paired


def test_an_unknown_model_gets_the_nearest_names() -> None:
    with pytest.raises(ModelError) as error:
        build_model("resnet50dd", 2, "none")
    text = str(error.value)
    assert text.startswith("Unknown model 'resnet50dd'. Closest: ")
    assert "resnet50d" in text.split("Closest: ")[1]
    assert text.endswith("List them with: snaptune models 'resnet*'")


def test_statistics_come_from_the_model() -> None:
    assert preprocess_for("resnet18d", 288).mean == (0.485, 0.456, 0.406)
    assert preprocess_for("tf_efficientnet_lite0", 128).std == (0.5, 0.5, 0.5)


def test_normalising_is_what_the_recipe_says() -> None:
    recipe = preprocess_for("resnet18d", 32)
    white = normalise(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8), recipe)
    expected = [(1 - mean) / std for mean, std in zip(recipe.mean, recipe.std, strict=True)]
    assert white[0, :, 0, 0].tolist() == pytest.approx(expected, rel=1e-6)


def test_the_packaged_weights_are_imagenet_weights() -> None:
    import timm
    from skimage import data

    from snaptune.prediction import Classifier

    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(packaged_weights(model))
    classifier = Classifier(
        model.eval(), preprocess_for("tf_efficientnet_lite0", 224), tuple(map(str, range(1000)))
    )
    assert classifier.predict(data.coffee()).label == "967"  # espresso
    assert classifier.predict(data.chelsea()).label in {"281", "282", "285"}  # tabby, tiger cat, Egyptian cat


def test_a_wrong_tensor_in_the_package_is_refused() -> None:
    import timm

    target = timm.create_model("tf_efficientnet_lite0").state_dict()
    state = {"_conv_stem.weight": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"do not fit timm's model: 29\d of 296 tensors differ"):
        paired(state, target)


def test_weights_from_a_file_are_taken_without_the_head(tmp_path: Path) -> None:
    donor = build_model("test_resnet", 7, "none")
    save_file(donor.state_dict(), tmp_path / "donor.safetensors")
    model = build_model("test_resnet", 3, str(tmp_path / "donor.safetensors"))
    own, given = model.state_dict(), donor.state_dict()
    assert own["fc.weight"].shape[0] == 3
    assert all(torch.equal(own[name], given[name]) for name in own if not name.startswith("fc."))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(build_model("test_vit", 2, "none").state_dict(), tmp_path / "vit.safetensors")
    with pytest.raises(ModelError, match=r"vit\.safetensors' do not fit"):
        build_model("test_resnet", 2, str(tmp_path / "vit.safetensors"))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"must be 'pretrained', 'none' or a \.safetensors file"):
        build_model("test_resnet", 2, str(tmp_path / "model.pt"))


def test_deeper_layers_learn_slower_and_norms_do_not_decay() -> None:
    model = build_model("test_resnet", 3, "none")
    groups = parameter_groups(model, weight_decay=0.05, layer_decay=0.5)
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    parameters = dict(model.named_parameters())
    assert len(scale) == len(parameters)
    assert scale[id(parameters["fc.weight"])] == 1.0
    assert scale[id(parameters["conv1.0.weight"])] < 0.5
    assert decay[id(parameters["fc.weight"])] == 0.05
    assert decay[id(parameters["fc.bias"])] == 0.0
