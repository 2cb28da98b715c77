from __future__ import annotations

from pathlib import Path

import pytest

from snaptune.cli.main import main
from snaptune.cli.table import aligned, printable, short


def test_listing_by_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "tf_efficientnet_lite[01]*", "--offline"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "input", "parameters", "ImageNet", "offline"]
    assert lines[1].split() == ["tf_efficientnet_lite0.in1k", "3x224x224", "4.7", "M", "-", "package"]
    assert lines[2].split()[-1] == "no"
    assert lines[-1].startswith(
        "2 models. ImageNet: top-1 as torchvision publishes it for these very weights"
    )


def test_the_accuracy_of_weights_that_an_installed_package_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "resnet18.*v_in1k"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "69.8%"  # as torchvision's page has it


def test_showing_one_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "resnet18d", "--size", "256", "--classes", "19"]) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "test_input_size 3, 288, 288" in shown
    assert "conv1.0 Conv2d 864 864 3.5 kB 14.2 M 14.2 M 1x3x256x256 1x32x128x128" in shown
    assert "(model) ResNet 11.2 M 11.2 M 44.9 MB 2.7 G 5.3 G 1x3x256x256 1x19" in shown
    assert not any(" BatchNorm" in line for line in shown)


def test_every_layer_at_the_models_own_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "test_vit", "--all"]) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("(itself) VisionTransformer 6.5 k") for line in shown)
    assert any(line.startswith("blocks.0.attn Attention 0 0 0 B 1.3 M 2.6 M") for line in shown)
    assert any(line.startswith("(model) VisionTransformer") and line.endswith("1x1000") for line in shown)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["resnet18*", "--size", "64"], "--size belongs to: snaptune models show NAME"),
        (["show", "resnet18d", "--offline"], "--offline belongs to: snaptune models PATTERN"),
        (["show"], "'models show' is neither a pattern nor 'show NAME' nor 'pick DATA'."),
        (["show", "resnet18d", "--max-ms", "3"], "--max-ms belongs to: snaptune models pick DATA"),
        (["pick", "photos"], "'models pick' needs a budget: --max-ms 15 --max-mb 10"),
        (["a.py", "b.py"], "Quote patterns: snaptune models 'resnet18*'"),
        (["show", "resnet18d", "--size", "0"], "--size 0 must be at least 1"),
    ],
)
def test_mistakes_are_explained(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *words]) == 1
    assert text in capsys.readouterr().err


def test_columns_line_up() -> None:
    assert aligned([("a", "10", "x"), ("bbb", "5", "y")], right=[1]) == ["a    10  x", "bbb   5  y"]


@pytest.mark.parametrize(
    ("number", "text"), [(864, "864"), (9_216, "9.2 k"), (14_155_776, "14.2 M"), (2_681_742_848, "2.7 G")]
)
def test_short_numbers(number: int, text: str) -> None:
    assert short(number) == text


def test_printable_text_cannot_steer_a_terminal() -> None:
    assert printable("grün\x1b[2J\n\udcff") == "grün\\x1b[2J\\n\\udcff"


def test_picking_says_why_each_model_is_where_it_is(
    picture_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "pick",
        str(picture_folder),
        "--max-ms",
        "100000",
        "--max-mb",
        "20",
        "--runtime",
        "torch",
        "--size",
        "32",
    ]
    among = ["--among", "resnet50d", "--among", "test_resnet", "--among", "tf_efficientnet_lite0"]
    assert main(["models", *words, *among]) == 0
    header, first, second, third, *rest = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["model", "MB", "ms", "probe"]
    assert first.split()[0] == "tf_efficientnet_lite0"
    assert first.endswith("ranked")
    assert second.startswith("test_resnet")
    assert second.endswith("-  untried: its weights are not on this machine")
    assert third.startswith("resnet50d")
    assert third.endswith("dropped: 94.3 MB is over 20 MB")
    assert rest[-1] == f"next: snaptune train {picture_folder} --model tf_efficientnet_lite0"
