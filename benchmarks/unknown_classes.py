"""How often is a picture of a class that the model never saw answered 'unknown'?

Classes are left out of training, one artist is held out to choose the threshold on, as `snaptune evaluate`
does, and another artist, whom nothing has seen, is answered. Of his pictures of known classes: the share that
got an answer, and the share of all that got a wrong one, which is what the threshold promises to limit. Of
the classes left out: the share that was answered 'unknown', for his pictures and for those of all artists;
that share is promised nowhere, and so it is measured here. Each round leaves out other classes and holds out
other artists. Intervals (95 %) take the pictures as independent.

    python -m benchmarks unknown_classes [--rounds 3] [--first 0] [--leave-out 4] [--epochs 9]
        [--max-wrong 0.02]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snaptune.answers import UNKNOWN
from snaptune.config import TrainConfig
from snaptune.data.dataset import PARTS, ImageDataset, Ints
from snaptune.data.readers import open_dataset
from snaptune.data.splits import Split
from snaptune.evaluation.intervals import Bools, wilson
from snaptune.prediction import TorchClassifier
from snaptune.scoring import evaluate, prepared_chunks
from snaptune.training.train import train

NOTHING = "no_gesture"
"""The class of no known gesture: it always stays, as it is what a user would show the model beside others."""


@dataclass(frozen=True)
class Round:
    """What to leave out of training: classes, an artist for the threshold, and one for the end."""

    classes: tuple[str, ...]
    for_threshold: str
    for_the_end: str


@dataclass(frozen=True)
class Answered:
    """For each picture: whether the model gave an answer, and whether that was wrong."""

    answered: Bools
    wrong: Bools


def rounds(dataset: ImageDataset, first: int, count: int, leave_out: int) -> Iterator[Round]:
    artists = [str(name) for name in dataset.group_names]
    for number in range(first, first + count):
        draw = np.random.default_rng(number)
        names = [name for name in dataset.class_names if name != NOTHING]
        classes = tuple(str(name) for name in sorted(draw.choice(names, leave_out, replace=False)))
        threshold, end = (artists[(number + step) % len(artists)] for step in (0, 1))
        yield Round(classes, threshold, end)


def split_for(known: ImageDataset, one: Round) -> Split:
    parts = np.zeros(len(known), dtype=np.uint8)
    parts[of_artist(known, one.for_threshold)] = PARTS.index("validation")
    parts[of_artist(known, one.for_the_end)] = PARTS.index("test")
    return Split(parts, f"artists held out: {one.for_threshold}, {one.for_the_end}")


def of_artist(dataset: ImageDataset, name: str) -> Ints:
    return np.flatnonzero([dataset.group_of(index) == name for index in range(len(dataset))])


def answers(classifier: TorchClassifier, dataset: ImageDataset, samples: Ints) -> Answered:
    names = dataset.class_names
    given: list[str] = []
    for _, pixels in prepared_chunks(dataset, classifier.preprocess, samples):
        given += [answer.label for answer in classifier.answers([""] * len(pixels), pixels, top=1)]
    answered = np.asarray([label != UNKNOWN for label in given])
    true = [names[dataset.labels[index]] for index in samples]
    return Answered(answered, answered & np.asarray([a != b for a, b in zip(given, true, strict=True)]))


def share(values: Bools) -> str:
    found = wilson(int(values.sum()), len(values))
    return f"{found.value:6.1%} ({found.low:.1%} to {found.high:.1%}, n = {found.n})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--leave-out", type=int, default=4, help="classes left out of training")
    parser.add_argument("--epochs", type=int, default=TrainConfig.epochs)
    parser.add_argument("--max-wrong", type=float, default=0.02)
    args = parser.parse_args()
    dataset = open_dataset("sample:hand-emoji")
    found: dict[str, list[Bools]] = {}
    for one in rounds(dataset, args.first, args.rounds, args.leave_out):
        known = dataset.excluding(one.classes)
        config = TrainConfig(epochs=args.epochs, precision="float32")
        with tempfile.TemporaryDirectory() as folder:
            run = train(known, config, folder, split=split_for(known, one), say=lambda text: None)
            evaluate(run, known, max_wrong=args.max_wrong)
            threshold = run.calibration().threshold
            if threshold is None:
                raise SystemExit(f"{args.max_wrong:.1%} cannot be shown with so few pictures.")
            classifier = TorchClassifier.load(run, may_abstain=True)
        new = answers(classifier, known, of_artist(known, one.for_the_end))
        never = np.flatnonzero(np.isin(np.asarray(dataset.class_names)[dataset.labels], one.classes))
        foreign = answers(classifier, dataset, never)
        his = np.isin(never, of_artist(dataset, one.for_the_end))
        print(
            f"without {', '.join(one.classes)}; threshold {threshold:.3f} from {one.for_threshold}; "
            f"answering {one.for_the_end}"
        )
        for name, values in (
            ("known classes, answered", new.answered),
            ("known classes, wrong answer", new.wrong),
            ("never seen, unknown, new artist", ~foreign.answered[his]),
            ("never seen, unknown, all artists", ~foreign.answered),
        ):
            found.setdefault(name, []).append(values)
            print(f"  {name:<34}{share(values)}", flush=True)
    print(f"all rounds, at most {args.max_wrong:.1%} wrong were promised on average")
    for name, together in found.items():
        print(f"  {name:<34}{share(np.concatenate(together))}")


if __name__ == "__main__":
    main()
