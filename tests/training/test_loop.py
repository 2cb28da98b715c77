from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from snaptune.errors import TrainingError
from snaptune.images.preprocess import Preprocess
from snaptune.models.build import normalise
from snaptune.training.augment import plain
from snaptune.training.batches import PreparedBatches
from snaptune.training.events import EpochDone, Event, Finished, Started, StepDone, ignore
from snaptune.training.loop import Kept, fit, score, set_training
from snaptune.training.optim import build_ema, build_optimizer, one_cycle

CPU = torch.device("cpu")
NORMALISE = partial(normalise, preprocess=Preprocess(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))


def eight_pictures() -> PreparedBatches:
    """Dark pictures of class 0, light ones of class 1."""
    rng = np.random.default_rng(0)
    labels = np.arange(8) % 2
    pixels = rng.integers(0, 100, (8, 8, 8, 3)) + labels[:, None, None, None] * 150
    return PreparedBatches(pixels.astype(np.uint8), labels, np.arange(8), 4, CPU)


def three_layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))


def fitted(
    model: nn.Module, *, epochs: int = 3, keep_best: bool = False, lr: float = 0.01, on_event: object = ignore
) -> Kept:
    batches = eight_pictures()
    return fit(
        model,
        build_optimizer([{"params": list(model.parameters())}], lr=lr, eps=1e-8),
        batches,
        batches,
        epochs=epochs,
        lr=lr,
        warmup=0.1,
        label_smoothing=0.0,
        seed=1,
        augment=plain,
        normalise=NORMALISE,
        ema=None,
        freeze_norms=False,
        keep_best=keep_best,
        on_event=on_event,  # type: ignore[arg-type]
    )


def test_it_learns_what_can_be_learnt() -> None:
    model = three_layers()
    kept = fitted(model, epochs=20)
    assert kept.scores.accuracy == 1.0
    model.load_state_dict(kept.state)
    assert score(model, eight_pictures(), NORMALISE) == kept.scores


def test_two_runs_of_one_seed_give_equal_weights() -> None:
    first, second = fitted(three_layers()), fitted(three_layers())
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)


def test_the_events_tell_the_whole_story() -> None:
    events: list[Event] = []
    fitted(three_layers(), epochs=2, on_event=events.append)
    assert [type(event) for event in events] == [Started, StepDone, EpochDone, StepDone, EpochDone, Finished]
    assert events[0] == Started(epochs=2, steps_per_epoch=2, train_samples=8, validation_samples=8)


def test_the_best_epoch_is_kept_where_asked() -> None:
    events: list[Event] = []
    kept = fitted(three_layers(), epochs=8, lr=0.9, keep_best=True, on_event=events.append)
    losses = [event.validation_loss for event in events if isinstance(event, EpochDone)]
    assert kept.epoch == int(np.argmin(losses))
    assert kept.scores.loss == min(losses)


def test_a_loss_that_is_no_number_stops_with_the_place() -> None:
    model = three_layers()
    with torch.no_grad():
        model[3].weight.fill_(math.inf)  # type: ignore[index, union-attr, operator]
    with pytest.raises(TrainingError) as error:
        fitted(model)
    assert str(error.value).startswith("The training loss became nan in epoch 1, batch 1. Lower --lr")


def test_frozen_norms_keep_their_statistics_but_learn_their_scale() -> None:
    model = three_layers()
    set_training(model, freeze_norms=True)
    assert not model[1].training  # type: ignore[index]
    assert model[0].training  # type: ignore[index]
    assert model[1].weight.requires_grad  # type: ignore[index, union-attr]


def test_one_cycle_rises_then_falls() -> None:
    rates = [one_cycle(step, 100, 0.1) for step in range(100)]
    assert max(rates) == pytest.approx(1.0)
    assert int(np.argmax(rates)) == 9
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.01)
    assert all(np.diff(rates[10:]) < 0)


def test_the_moving_average_follows_and_smooths() -> None:
    model = nn.Linear(1, 1, bias=False)
    ema = build_ema(model, 0.5)
    for value in (1.0, 0.0, 0.0):
        nn.init.constant_(model.weight, value)
        ema.update_parameters(model)
    averaged = ema.module.weight.item()  # type: ignore[operator, union-attr]
    # the first update copies 1; then min(0.5, 2/11) and min(0.5, 3/12) of it are kept
    assert averaged == pytest.approx(1.0 * (2 / 11) * (3 / 12))
