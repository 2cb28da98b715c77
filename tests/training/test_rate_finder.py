from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snaptune.cli.main import main
from snaptune.data.dataset import ImageDataset
from snaptune.errors import ConfigError
from snaptune.evaluation.plots import rate_chart
from snaptune.training.augment import plain
from snaptune.training.batches import PreparedBatches
from snaptune.training.checkpoint import Learner
from snaptune.training.loop import Plan
from snaptune.training.numerics import Numerics
from snaptune.training.rate_finder import HIGHEST, LOWEST, RateSweep, sweep_rates
from snaptune.training.train import find_lr
from tests.conftest import TINY

CPU = torch.device("cpu")
PLAN = Plan(epochs=1, lr=0.01, warmup=0.0, seed=1, freeze_norms=True)


def noisy_pictures() -> PreparedBatches:
    """128 pictures of two by two pixels; one label in five is wrong, so that no weights fit them all."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (128, 2, 2, 3)).astype(np.uint8)
    right = pixels.astype(float).mean((1, 2, 3)) > 127
    labels = np.where(rng.random(128) < 0.2, ~right, right).astype(np.int64)
    return PreparedBatches(pixels, labels, np.arange(128), 32, CPU)


def linear() -> Learner:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    return Learner(model, torch.optim.SGD(model.parameters(), lr=0.1), None)


def sweep(learner: Learner, scale: float = 1.0, plan: Plan = PLAN) -> RateSweep:
    def scaled(pixels: Tensor) -> Tensor:
        return (pixels / 127.5 - 1) * scale

    return sweep_rates(
        learner, noisy_pictures(), plan, augment=plain, normalise=scaled, numerics=Numerics(CPU)
    )


@pytest.mark.parametrize("scale", [3.0, 10.0, 30.0])
def test_the_suggestion_is_in_the_right_decade_of_a_convex_problem(scale: float) -> None:
    """Gradient descent on a loss of curvature L is best near 1/L and diverges above 2/L."""
    pixels = noisy_pictures().pixels[np.arange(128)].reshape(128, 12)
    inputs = torch.from_numpy((pixels / 127.5 - 1) * scale)
    with_bias = torch.cat([inputs, torch.ones(128, 1)], dim=1)
    curvature = 0.5 * float(torch.linalg.eigvalsh(with_bias.T @ with_bias / 128).max())
    suggested = sweep(linear(), scale).suggested
    assert suggested is not None
    assert abs(math.log10(suggested * curvature)) <= 1


def test_an_explosion_ends_it() -> None:
    found = sweep(linear(), scale=300.0)
    assert found.rates[-1] < 0.5 * HIGHEST
    assert found.rates[0] == LOWEST
    assert len(found.rates) == len(found.losses)


def test_a_loss_that_is_no_number_ends_it_and_is_not_among_the_losses() -> None:
    class Broken(nn.Module):
        calls = 0

        def forward(self, logits: Tensor) -> Tensor:
            self.calls += 1
            return logits * (math.nan if self.calls > 20 else 1.0)

    learner = linear()
    model = nn.Sequential(learner.model, Broken())
    found = sweep(Learner(model, learner.optimizer, None))
    assert len(found.losses) == 20
    assert all(map(math.isfinite, found.losses))


def test_the_learner_stays_as_it_was_and_the_seed_decides() -> None:
    learner = linear()
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    first, again = sweep(learner), sweep(learner)
    other = sweep(learner, plan=replace(PLAN, seed=2))
    assert first == again != other
    assert all(torch.equal(value, before[name]) for name, value in learner.model.state_dict().items())
    assert not learner.optimizer.state
    assert learner.optimizer.param_groups[0]["lr"] == 0.1
    assert all(parameter.grad is None for parameter in learner.model.parameters())


@pytest.mark.parametrize("changes", [{"label_smoothing": 0.5}, {"accumulate": 2}, {"clip": 0.01}], ids=str)
def test_the_recipe_is_that_of_the_run(changes: dict[str, float]) -> None:
    assert sweep(linear(), 10.0, replace(PLAN, **changes)) != sweep(linear(), 10.0)  # type: ignore[arg-type]


def test_pieces_and_accumulated_batches_change_no_loss() -> None:
    assert sweep(linear(), 3.0, replace(PLAN, micro_batch=5)).losses == pytest.approx(
        sweep(linear(), 3.0).losses, rel=1e-4
    )


def test_the_steepest_fall_is_found_and_a_loss_that_only_rises_has_none() -> None:
    rates = tuple(float(rate) for rate in np.geomspace(1e-6, 1, 100))
    falling = tuple(float(1 / (1 + (rate / 1e-3) ** 2)) + (rate > 0.1) * 5 for rate in rates)
    suggested = RateSweep(rates, falling).suggested
    assert suggested is not None
    assert 4e-4 < suggested < 2e-3
    assert RateSweep(rates, tuple(sorted(falling))).suggested is None
    assert RateSweep((), ()).suggested is None


def test_the_picture_stands_alone() -> None:
    rates = (1e-4, 1e-3, 1e-2)
    root = ElementTree.fromstring(rate_chart(rates, (3.0, 2.6, 9.0), (3.0, 2.5, 3.5), 1e-3))  # noqa: S314
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"learning rate", "1e-4", "1e-2", "0.001"} <= texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 2  # the third is off the scale
    assert rate_chart((), (), (), None)


def test_the_command_suggests_a_rate_and_makes_no_run(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "tiny.toml", tmp_path / "runs"
    file.write_text(replace(TINY, batch_size=4).to_toml(), encoding="utf-8")
    command = ["train", str(picture_folder), "--find-lr", "--config", str(file), "--out", str(out)]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert first.splitlines()[-1] == f"picture    {out / 'learning_rate.svg'}"
    assert [path.name for path in out.iterdir()] == ["learning_rate.svg"]
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert main([*command, "--resume", "run"]) != 0


def test_it_is_for_one_process(
    small_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snaptune.training import train
    from snaptune.training.processes import Processes

    monkeypatch.setattr(train, "join_processes", lambda: (Processes(0, 2), CPU))
    with pytest.raises(ConfigError, match=r"Learning rates are tried in one process\. Start it without"):
        find_lr(small_dataset, TINY, tmp_path)
