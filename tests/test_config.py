from __future__ import annotations

from pathlib import Path

import pytest

from snaptune.config import TrainConfig
from snaptune.errors import ConfigError


def test_settings_survive_a_file(tmp_path: Path) -> None:
    config = TrainConfig(model="resnet18d", epochs=3, lr=3e-4)
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml(), encoding="utf-8")
    assert TrainConfig.read(file) == config


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
        "augment='gentel' (from team.toml) must be one of: gentle, trivial, none. Closest: gentle.",
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
