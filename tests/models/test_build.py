from __future__ import annotations

import pytest
import torch

from snaptune.errors import ModelError, RunError
from snaptune.models.build import build_model, load_model, normalise, parameter_groups, preprocess_for
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

    from snaptune.prediction import TorchClassifier

    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(packaged_weights(model))
    classifier = TorchClassifier(
        model.eval(), preprocess_for("tf_efficientnet_lite0", 224), tuple(map(str, range(1000)))
    )
    coffee, cat = data.coffee(), data.chelsea()  # type: ignore[no-untyped-call]
    assert classifier.predict(coffee).label == "967"  # espresso
    assert classifier.predict(cat).label in {"281", "282", "285"}  # tabby, tiger cat, Egyptian cat


def test_a_wrong_tensor_in_the_package_is_refused() -> None:
    import timm

    target = timm.create_model("tf_efficientnet_lite0").state_dict()
    state = {"_conv_stem.weight": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"do not fit timm's model: 29\d of 296 tensors differ"):
        paired(state, target)


def test_an_unknown_tag_is_an_unknown_model() -> None:
    with pytest.raises(ModelError, match=r"Unknown model 'resnet18\.nothing'\. Closest: resnet18"):
        build_model("resnet18.nothing", 2, "none")


def test_the_tag_of_the_packaged_weights_may_be_named() -> None:
    model = build_model("tf_efficientnet_lite0.in1k", 3, "pretrained")
    own, given = model.state_dict(), packaged_weights(build_model("tf_efficientnet_lite0", 1000, "none"))
    assert torch.equal(own["conv_stem.weight"], given["conv_stem.weight"])


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


SIZED = {"test_vit": 96, "test_vit_relpos": 96, "test_maxvit": 96, "test_coatnet": 96, "swin_s3_tiny_224": 96}


@pytest.mark.parametrize("name", SIZED)
def test_models_of_one_size_are_built_for_another(name: str) -> None:
    size = SIZED[name]
    model = build_model(name, 3, "none", size=size)
    assert model.training
    assert model.eval()(torch.zeros(2, 3, size, size)).shape == (2, 3)
    again = load_model(name, 3, model.state_dict(), "run", size=size)
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


def test_a_model_at_its_own_size_is_timms() -> None:
    ours, timms = build_model("test_vit", 3, "none", size=160), build_model("test_vit", 3, "none")
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in timms.state_dict().items()
    }


def test_a_size_that_a_model_cannot_take_is_refused_before_anything_else() -> None:
    with pytest.raises(ModelError) as error:
        build_model("efficientformer_l1", 3, "none", size=96)
    assert str(error.value).startswith("'efficientformer_l1' does not take pictures of 96 px: The size of")
    assert str(error.value).endswith("Its own size is 224 px; set it with --image-size.")


def test_weights_of_a_run_for_another_size_are_refused() -> None:
    state = build_model("test_vit", 3, "none").state_dict()
    with pytest.raises(RunError, match=r"first: pos_embed"):
        load_model("test_vit", 3, state, "run", size=96)
