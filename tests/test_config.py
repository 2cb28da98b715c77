from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snaptune.config import TrainConfig
from snaptune.errors import ConfigError
from snaptune.trivial_space import TUTORIAL, Operation, TrivialSpace


def test_settings_survive_a_file(tmp_path: Path) -> None:
    config = TrainConfig(model="resnet18d", epochs=3, lr=3e-4)
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml(), encoding="utf-8")
    assert TrainConfig.read(file) == config


SPACE = """
augment = "trivial"

[trivial_space]
bins = 5
operations = [
    { name = "Identity" },
    { name = "Rotate", high = 30, signed = true },
]
"""


def test_a_space_of_ones_own_is_read_from_a_file_and_survives_it(tmp_path: Path) -> None:
    file = tmp_path / "team.toml"
    file.write_text(SPACE, encoding="utf-8")
    config = TrainConfig.read(file)
    rotate = Operation("Rotate", 0, 30, signed=True)
    assert config.trivial_space == TrivialSpace((Operation("Identity"), rotate), bins=5)
    file.write_text(config.to_toml(), encoding="utf-8")
    assert TrainConfig.read(file) == config
    assert config.listed()["trivial_space"] == (
        "5 strengths each of: Identity, Rotate 0 to 30 of either sign"
    )
    assert "trivial_space" not in replace(config, augment="gentle").listed()


BAD_SPACE = """
epochs = 0
[trivial_space]
bins = 1
shuffle = true
operations = [
    { name = "Rotat", high = 30 },
    { name = "Rotate", hi = 30, signed = 1 },
    { name = "Posterize", low = 9, high = 2 },
    { low = "a" },
    "Rotate",
]
"""


def test_every_problem_of_a_space_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "team.toml"
    file.write_text(BAD_SPACE, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        TrainConfig.read(file)
    names = "Identity, ShearX, ShearY, TranslateX, TranslateY, Rotate, Brightness, Color, Contrast, "
    assert str(error.value).replace(str(file), "F").splitlines() == [
        "epochs=0 (from F) must be between 1 and 10000.",
        "trivial_space (from F): Unknown key 'shuffle'. Known: operations, bins.",
        "trivial_space (from F): bins=1 must be a whole number between 2 and 1000.",
        "trivial_space (from F): operation 1: Unknown operation 'Rotat'. Closest: Rotate, Contrast.",
        "trivial_space (from F): operation 2: Unknown key 'hi'. Closest: high.",
        "trivial_space (from F): operation 2: signed=1 must be true or false.",
        "trivial_space (from F): operation 3: 'Posterize': strengths from 9 to 2 must be between 0 and 8.",
        "trivial_space (from F): operation 4: it has no name. Known: "
        f"{names}Sharpness, Posterize, Solarize, AutoContrast, Equalize.",
        "trivial_space (from F): operation 4: low='a' must be a number.",
        "trivial_space (from F): operation 5: 'Rotate' must be a table, such as "
        '{ name = "Rotate", high = 30, signed = true }.',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trivial_space = 3", "3 must be a table: bins = 31, and operations = [{ name ="),
        ("[trivial_space]\noperations = 'Rotate'", "operations must be a list of tables, such as { name ="),
        ("[trivial_space]\noperations = []", "operations is empty; to change no picture, set augment ="),
        ("[trivial_space]\nbins = 3", "operations is empty"),
    ],
)
def test_a_space_of_another_form_says_what_it_must_be(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "team.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        TrainConfig.read(file)
    assert str(error.value).startswith(f"trivial_space (from {file}): {problem}")


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_of_many_digits_is_an_error_of_the_user(tmp_path: Path, digits: int) -> None:
    file = tmp_path / "team.toml"
    file.write_text("lr = 1" + "0" * digits, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"must be of type float|cannot be read as TOML"):
        TrainConfig.read(file)


def test_an_integer_is_taken_for_a_float_and_nothing_else_is_converted() -> None:
    assert TrainConfig().replaced({"lr": 1}).lr == 1.0
    with pytest.raises(ConfigError, match=r"epochs='3' \(from --epochs\) must be of type int\."):
        TrainConfig().replaced({"epochs": "3"})
    with pytest.raises(ConfigError, match=r"epochs=True .* must be of type int"):
        TrainConfig().replaced({"epochs": True})


def test_a_value_out_of_range_says_where_it_came_from_and_what_is_usual() -> None:
    with pytest.raises(ConfigError) as error:
        TrainConfig().replaced({"lr": 3.0})
    assert str(error.value) == (
        "lr=3.0 (from --lr) must be between 0 and 1; fine-tuning usually uses 1e-5 to 1e-2."
    )


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        TrainConfig().replaced({"lr": -1.0, "epochs": 0, "modle": "x", "augment": "gentel"}, "team.toml")
    assert str(error.value).splitlines() == [
        "Unknown setting 'modle' (from team.toml). Closest: model, compile.",
        "augment='gentel' (from team.toml) must be one of: gentle, trivial, none, own. Closest: gentle.",
        "epochs=0 (from team.toml) must be between 1 and 10000.",
        "lr=-1.0 (from team.toml) must be between 0 and 1; fine-tuning usually uses 1e-5 to 1e-2.",
    ]


def test_nan_is_out_of_every_range() -> None:
    with pytest.raises(ConfigError, match="lr=nan must be between"):
        TrainConfig(lr=float("nan"))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "team.toml"
    file.write_text("lr = ", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"team\.toml' cannot be read as TOML"):
        TrainConfig.read(file)


def test_the_recipe_of_the_worked_example_is_pinned() -> None:
    recipe = TrainConfig.recipe("tutorial")
    pinned = {
        "model": "resnet18d",
        "image_size": 288,
        "batch_size": 32,
        "epochs": 3,
        "lr": 0.001,
        "adam_eps": 0.00001,
        "weight_decay": 0.01,  # AdamW's own default, on every parameter
        "decay_norms": True,
        "layer_decay": 1.0,
        "schedule": "onecycle",
        "label_smoothing": 0.0,
        "class_weights": "none",
        "ema_decay": 0.0,
        "norm_statistics": "learned",
        "augment": "trivial",
        "trivial_space": TUTORIAL,
        "mix": "none",
        "keep": "best",
        "precision": "auto",
        "validation": 0.1,
        "seed": 1234,
    }
    assert {name: getattr(recipe, name) for name in pinned} == pinned


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"Unknown recipe 'fast'\. Known: default, tutorial\."):
        TrainConfig.recipe("fast")
