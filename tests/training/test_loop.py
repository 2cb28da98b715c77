from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from snaptune.errors import TrainingError
from snaptune.images.preprocess import Preprocess
from snaptune.models.build import normalise
from snaptune.training.augment import plain
from snaptune.training.batches import PreparedBatches
from snaptune.training.checkpoint import Kept, Learner, Progress, Saver
from snaptune.training.events import EpochDone, Event, Finished, OnEvent, Started, StepDone, ignore
from snaptune.training.loop import Plan, fit, score, set_training
from snaptune.training.mixup import Mixup
from snaptune.training.numerics import Numerics
from snaptune.training.optim import MovingAverage, build_optimizer, cosine, set_rates, torch_one_cycle

CPU = torch.device("cpu")
FLOAT32 = Numerics(CPU)
NORMALISE = partial(normalise, preprocess=Preprocess(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))


def eight_pictures() -> PreparedBatches:
    """Dark pictures of class 0, light ones of class 1."""
    rng = np.random.default_rng(0)
    labels = np.arange(8) % 2
    pixels = rng.integers(0, 100, (8, 8, 8, 3)) + labels[:, None, None, None] * 150
    return PreparedBatches(pixels.astype(np.uint8), labels, np.arange(8), 4, CPU)


def three_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))


def learner(model: nn.Module, *, lr: float = 0.01, ema: float = 0.0) -> Learner:
    optimizer = build_optimizer([{"params": list(model.parameters())}], lr=lr, eps=1e-8)
    return Learner(model, optimizer, MovingAverage(model, ema) if ema else None)


def fitted(model: nn.Module, tmp_path: Path, on_event: OnEvent = ignore, **changes: object) -> Kept:
    plan = replace(Plan(epochs=3, lr=0.01, warmup=0.1, seed=1), **changes)  # type: ignore[arg-type]
    kept = fit(
        learner(model),
        eight_pictures(),
        eight_pictures(),
        plan,
        augment=plain,
        normalise=NORMALISE,
        numerics=FLOAT32,
        saver=Saver(tmp_path, every=1e9),
        on_event=on_event,
    )
    assert kept is not None
    return kept


def ending(events: list[Event]) -> str:
    [finished] = [event for event in events if isinstance(event, Finished)]
    return finished.ending


def test_it_learns_what_can_be_learnt(tmp_path: Path) -> None:
    model = three_layers()
    kept = fitted(model, tmp_path, epochs=20)
    assert kept.scores.accuracy == 1.0
    model.load_state_dict(kept.state)
    assert score(model, eight_pictures(), NORMALISE, FLOAT32) == kept.scores


def test_two_runs_of_one_seed_give_equal_weights(tmp_path: Path) -> None:
    first, second = fitted(three_layers(), tmp_path), fitted(three_layers(), tmp_path)
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)


def test_the_events_tell_the_whole_story(tmp_path: Path) -> None:
    events: list[Event] = []
    fitted(three_layers(), tmp_path, epochs=2, on_event=events.append)
    assert [type(event) for event in events] == [Started, StepDone, EpochDone, StepDone, EpochDone, Finished]
    assert events[0] == Started(epochs=2, steps_per_epoch=2, train_samples=8, validation_samples=8)
    assert ending(events) == "epochs"


def test_the_best_epoch_is_kept_where_asked(tmp_path: Path) -> None:
    events: list[Event] = []
    kept = fitted(three_layers(), tmp_path, epochs=8, lr=0.9, keep_best=True, on_event=events.append)
    losses = [event.validation_loss for event in events if isinstance(event, EpochDone)]
    assert kept.epoch == int(np.argmin(losses))
    assert kept.scores.loss == min(losses)


def test_a_loss_that_is_no_number_stops_with_the_place(tmp_path: Path) -> None:
    model = three_layers()
    with torch.no_grad():
        model.get_parameter("3.weight").fill_(math.inf)
    with pytest.raises(TrainingError) as error:
        fitted(model, tmp_path)
    assert str(error.value).startswith("The training loss became nan in epoch 1, batch 1. Lower --lr")


@pytest.mark.parametrize(("epoch", "step"), [(1, 0), (1, 6), (2, 11)])
def test_the_place_is_where_it_began_not_where_it_was_seen(tmp_path: Path, epoch: int, step: int) -> None:
    """Loss is looked at every ten steps; the weights are spoilt from the bad batch on."""
    batches = replace(eight_pictures(), samples=np.arange(8).repeat(6))  # 12 steps an epoch
    order = [batch.samples.tolist() for batch in batches.shuffled(1, epoch)]

    def spoil(pixels: Tensor, now: int, samples: npt.NDArray[np.int64]) -> Tensor:
        seen[now] = seen.get(now, -1) + 1
        bad = (now, seen[now]) == (epoch, step)
        assert not bad or samples.tolist() == order[step]
        return pixels.float() * (math.nan if bad else 1.0)

    seen: dict[int, int] = {}
    progress = Progress()
    with pytest.raises(TrainingError) as error:
        fit(
            learner(three_layers()),
            batches,
            eight_pictures(),
            Plan(epochs=3, lr=0.01, warmup=0.1, seed=1, keep_best=True),
            augment=spoil,
            normalise=NORMALISE,
            numerics=FLOAT32,
            saver=Saver(tmp_path, every=1e9),
            progress=progress,
        )
    assert str(error.value).startswith(
        f"The training loss became nan in epoch {epoch + 1}, batch {step + 1}. Lower"
    )
    assert progress.kept is not None
    assert progress.kept.scores.loss == progress.lowest_loss
    assert all(value.isfinite().all() for value in progress.kept.state.values())


def test_accumulated_gradients_are_those_of_the_large_batch(tmp_path: Path) -> None:
    one, two = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    two.load_state_dict(one.state_dict())
    large = replace(eight_pictures(), batch_size=8)
    small = replace(eight_pictures(), batch_size=4)
    for model, batches, accumulate in ((one, large, 1), (two, small, 2)):
        fit(
            Learner(model, torch.optim.SGD(model.parameters()), None),
            batches,
            batches,
            Plan(epochs=1, lr=0.1, warmup=0.0, seed=1, accumulate=accumulate),
            augment=plain,
            normalise=NORMALISE,
            numerics=FLOAT32,
            saver=Saver(tmp_path, every=1e9),
        )
    # one update each, at the end of the schedule
    assert torch.allclose(one.state_dict()["1.weight"], two.state_dict()["1.weight"], atol=1e-6)


@pytest.mark.parametrize("micro_batch", [1, 2, 3])
@pytest.mark.parametrize("mix", [None, Mixup(1, 2)], ids=["labels", "mixed"])
@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 5.0])], ids=["alike", "weighted"])
def test_a_batch_in_pieces_is_the_batch(
    tmp_path: Path, micro_batch: int, mix: Mixup | None, weights: torch.Tensor | None
) -> None:
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    pieces = copy.deepcopy(whole)
    events: list[Event] = []
    plan = Plan(epochs=2, lr=0.1, warmup=0.0, seed=1, class_weights=weights, label_smoothing=0.1)
    plan = replace(plan, freeze_norms=True)
    batches = replace(eight_pictures(), labels=np.array([0, 0, 0, 1, 0, 1, 0, 0]), batch_size=5)
    for model, size in ((whole, 0), (pieces, micro_batch)):
        fit(
            Learner(model, torch.optim.SGD(model.parameters()), None),
            batches,
            batches,
            replace(plan, micro_batch=size),
            augment=plain,
            normalise=NORMALISE,
            numerics=FLOAT32,
            saver=Saver(tmp_path, every=1e9),
            mix=mix,
            on_event=events.append,
        )
    assert torch.allclose(whole.state_dict()["1.weight"], pieces.state_dict()["1.weight"], atol=1e-5)
    losses = [event.train_loss for event in events if isinstance(event, EpochDone)]
    assert losses[2:] == pytest.approx(losses[:2], rel=1e-5)


def test_norms_that_learn_get_two_pictures_a_piece() -> None:
    pixels, labels = torch.zeros(5, 3, 2, 2), torch.zeros(5, dtype=torch.int64)
    learning = Plan(epochs=1, lr=0.1, warmup=0.0, seed=1, micro_batch=1)
    assert [len(part) for part, _, _ in learning.pieces(pixels, labels)] == [3, 2]
    frozen = replace(learning, freeze_norms=True)
    assert [len(part) for part, _, _ in frozen.pieces(pixels, labels)] == [1] * 5


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_when_patience_ends(tmp_path: Path, patience: int) -> None:
    events: list[Event] = []
    fitted(three_layers(), tmp_path, events.append, epochs=50, lr=0.9, patience=patience)
    losses = [event.validation_loss for event in events if isinstance(event, EpochDone)]
    assert len(losses) < 50
    assert len(losses) - 1 - int(np.argmin(losses)) == patience
    assert ending(events) == "patience"


def test_patience_begins_anew_with_every_gain() -> None:
    progress, waited = Progress(), []
    for loss in (3.0, 4.0, 2.0, 2.0, 2.5, 1.0):
        progress.end_epoch(loss)
        waited.append(progress.epochs_without_gain)
    assert waited == [0, 1, 0, 1, 2, 0]


def test_label_smoothing_shares_out_a_part_of_the_target() -> None:
    plan = Plan(epochs=1, lr=0.1, warmup=0.0, seed=1, label_smoothing=0.3)
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    wanted = torch.tensor([0.8, 0.1, 0.1])  # 0.3 is shared by all three classes, the right one among them
    expected = -(wanted * logits.log_softmax(1)).sum()
    assert plan.loss(logits, torch.tensor([0])) == pytest.approx(float(expected))


def test_every_group_takes_its_share_of_the_rate() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr_scale": scale} for scale in (1.0, 0.8, 0.64)]
    optimizer = build_optimizer(groups, lr=1.0, eps=1e-8)
    set_rates(optimizer, 0.5, None)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.4, 0.32])
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)
    set_rates(optimizer, 0.5, 0.85)
    assert [group["betas"] for group in optimizer.param_groups] == [(0.85, 0.999)] * 3


def test_training_stops_when_time_is_up(tmp_path: Path) -> None:
    events: list[Event] = []
    fitted(three_layers(), tmp_path, events.append, epochs=10_000, seconds=0.2)
    assert isinstance(events[-1], Finished)
    assert 0.2 <= events[-1].seconds < 5
    assert events[-1].epochs < 10_000
    assert ending(events) == "time"


def test_the_gradient_is_clipped_to_the_norm_that_is_asked_for(tmp_path: Path) -> None:
    model = three_layers()
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    plan = Plan(epochs=1, lr=1.0, warmup=0.0, seed=1, clip=0.05)
    fit(
        Learner(model, torch.optim.SGD(model.parameters()), None),
        replace(eight_pictures(), batch_size=8),  # one update
        eight_pictures(),
        plan,
        augment=plain,
        normalise=NORMALISE,
        numerics=FLOAT32,
        saver=Saver(tmp_path, every=1e9),
    )
    moved = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    assert float(moved.norm()) == pytest.approx(plan.rates_at(0, 1)[0] * 0.05, rel=1e-2)


def test_frozen_norms_keep_their_statistics_but_learn_their_scale() -> None:
    model = three_layers()
    set_training(model, freeze_norms=True)
    assert not model[1].training
    assert model[0].training
    assert model[1].weight.requires_grad
    set_training(model, freeze_norms=False)
    assert model[1].training


def test_the_moving_average_takes_a_step_an_update(tmp_path: Path) -> None:
    model = three_layers()
    trained = learner(model, ema=0.9)
    kept = fit(
        trained,
        replace(eight_pictures(), batch_size=2),  # four steps an epoch
        eight_pictures(),
        Plan(epochs=3, lr=0.01, warmup=0.1, seed=1, accumulate=2),
        augment=plain,
        normalise=NORMALISE,
        numerics=FLOAT32,
        saver=Saver(tmp_path, every=1e9),
    )
    assert trained.ema is not None
    assert int(trained.ema.n_averaged) == 6
    assert kept is not None
    model.load_state_dict(kept.state)
    assert score(model, eight_pictures(), NORMALISE, FLOAT32) == kept.scores  # the average is what is scored


def test_the_cosine_rises_then_falls() -> None:
    rates = [cosine(step, 100, 0.1) for step in range(100)]
    assert max(rates) == pytest.approx(1.0)
    assert int(np.argmax(rates)) == 9
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.01)
    assert all(np.diff(rates[10:]) < 0)


def test_the_moving_average_follows_and_smooths() -> None:
    model = nn.Linear(1, 1, bias=False)
    ema = MovingAverage(model, 0.5)
    for value in (1.0, 0.0, 0.0):
        nn.init.constant_(model.weight, value)
        ema.update()
    averaged = ema.module.state_dict()["weight"].item()
    # the first update copies 1; then min(0.5, 2/11) and min(0.5, 3/12) of it are kept
    assert averaged == pytest.approx(1.0 * (2 / 11) * (3 / 12))


def test_one_cycle_is_that_of_torch() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=97)
    for step in range(97):
        share, beta = torch_one_cycle(step, 97)
        assert share == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        assert beta == pytest.approx(optimizer.param_groups[0]["betas"][0], rel=1e-9)
        optimizer.step()
        if step < 96:
            schedule.step()
