import numpy as np
import pytest

from snaptune.config import TrainConfig
from snaptune.evaluation.calibration import Calibration
from snaptune.evaluation.card import escaped, render_card
from snaptune.evaluation.results import Predictions, summarise


def card(name: str = "cat", weights: str = "pretrained") -> str:
    labels = np.repeat([0, 1], 10)
    answers = np.where(np.arange(20) < 4, 1, labels)
    predictions = Predictions(
        ids=(name,) * 20,
        parts=("test",) * 20,
        labels=labels,
        logits=4 * np.eye(3)[answers],
        class_names=(name, "dog", "emu"),
    )
    report = summarise(predictions, Calibration(), run=name, dataset="pets", part="test", about=(name,))
    settings = TrainConfig(model="resnet18", weights=weights).listed()
    return render_card(report, settings, {"name": "pets", "pictures": 99, "split": name})


def test_card_has_the_figures_and_the_limits() -> None:
    text = card()
    assert text.startswith("---\nlibrary_name: timm\n")
    assert "| Accuracy | 80.0 % | 58.4 % to 91.9 % | 20 |" in text
    assert "- cat: 6 of 10 pictures found" in text
    assert "- No pictures to judge: emu" in text
    assert "- dog" not in text


@pytest.mark.parametrize(
    ("weights", "start"),
    [
        ("pretrained", "pretrained weights"),
        ("none", "random weights"),
        ("/home/me/secret/old.safetensors", "weights of old.safetensors"),
    ],
)
def test_card_says_where_training_started_without_the_users_folders(weights: str, start: str) -> None:
    text = card(weights=weights)
    assert f"model resnet18, starting from {start}.\n" in text
    assert "secret" not in text


def test_card_shows_names_as_they_are() -> None:
    assert escaped("a|b\n<i>_c_") == r"a\|b &lt;i&gt;\_c\_"
    text = card("<img src=x>\n\n# Free | [money](http://x)")
    assert "<img" not in text
    assert "\n# Free" not in text
    assert "[money](" not in text
