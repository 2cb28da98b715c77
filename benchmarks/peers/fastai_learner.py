"""fastai: `fit_one_cycle` at 2e-3 and `aug_transforms()` without flips, which would turn left into right.

Tuned: channels last, and worker processes as given.
"""

from __future__ import annotations

from typing import Any

from fastai.callback.channelslast import ChannelsLast
from fastai.vision.all import (
    Callback,
    CategoryBlock,
    DataBlock,
    GrandparentSplitter,
    ImageBlock,
    Learner,
    Normalize,
    PadMode,
    Resize,
    ResizeMethod,
    accuracy,
    aug_transforms,
    get_image_files,
    parent_label,
    set_seed,
)

from benchmarks.peers.contract import Clock, build, normalisation, task


class Timed(Callback):  # type: ignore[misc]
    """Tells the clock when epochs begin and end."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def before_train(self) -> None:
        self.clock.begin()

    def after_train(self) -> None:
        self.clock.end(len(self.learn.dls.train_ds))

    def after_epoch(self) -> None:
        self.clock.scored(float(self.learn.recorder.values[-1][-1]))


class AfterRecorder(Timed):
    """The recorder has the epoch's accuracy only after it has run."""

    order = 60


def main() -> None:
    given = task()
    set_seed(given.seed)
    clock = Clock(given.device)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=parent_label,
        splitter=GrandparentSplitter("train", "val"),
        item_tfms=Resize(given.size, method=ResizeMethod.Pad, pad_mode=PadMode.Border),
        batch_tfms=[*aug_transforms(do_flip=False), Normalize.from_stats(*normalisation(given))],
    )
    workers: dict[str, Any] = {"num_workers": given.workers} if given.tuned else {}
    loaders = block.dataloaders(given.pictures, bs=32, device=given.device, **workers)
    timed = AfterRecorder(clock)
    more = [ChannelsLast()] if given.tuned else []
    learner = Learner(loaders, build(given), metrics=accuracy, cbs=[timed, *more])
    if given.device != "cpu":
        learner = learner.to_fp16()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(given.epochs, 2e-3)
    clock.report()


if __name__ == "__main__":
    main()
