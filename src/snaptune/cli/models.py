"""`snaptune models PATTERN`, `snaptune models show NAME` and `snaptune models pick DATA`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from snaptune.cli.options import Commands
from snaptune.errors import ConfigError

if TYPE_CHECKING:
    from snaptune.model_choice import Choice
    from snaptune.models.summary import Layer

FORMS = {"show": "show NAME", "pick": "pick DATA", "list": "PATTERN"}
OPTIONS = {
    "list": ("offline",),
    "show": ("size", "classes", "all"),
    "pick": ("size", "max_ms", "max_mb", "runtime", "among"),
}
_ACCURACIES = (
    "ImageNet: top-1 as torchvision publishes it for these very weights, at its own test size; "
    "- where no installed package knows."
)
_HEADER = ("layer", "type", "parameters", "trainable", "size", "forward", "backward", "in", "out")


def add_to(commands: Commands) -> None:
    parser = commands.add_parser(
        "models",
        help="list pretrained models, show what one costs, pick one for your pictures",
        usage="snaptune models PATTERN [--offline]\n"
        "       snaptune models show NAME [--size PIXELS] [--classes N] [--all]\n"
        "       snaptune models pick DATA --max-ms MS --max-mb MB [--runtime onnx|torch] [--size PIXELS]\n"
        "                                 [--among NAME ...]",
    )
    parser.add_argument(
        "words",
        metavar="PATTERN | show NAME | pick DATA",
        nargs="+",
        help="names to list, such as 'resnet18*'; or one to show; or pictures to pick for",
    )
    parser.add_argument(
        "--offline", action="store_true", help="mark the models whose weights are on this machine"
    )
    parser.add_argument(
        "--size", type=int, metavar="PIXELS", help="side of the input (show: the model's own; pick: 128)"
    )
    parser.add_argument(
        "--classes", type=int, metavar="N", help="outputs of the head (default: the pretrained head's)"
    )
    parser.add_argument("--all", action="store_true", help="every layer, not only the convolutions")
    parser.add_argument("--max-ms", type=float, metavar="MS", help="most milliseconds a picture")
    parser.add_argument("--max-mb", type=float, metavar="MB", help="most megabytes of weights")
    parser.add_argument(
        "--runtime", choices=("onnx", "torch"), help="where latency is measured (default: onnx)"
    )
    parser.add_argument(
        "--among",
        action="append",
        metavar="NAME",
        help="a candidate, instead of the usual ten; may be given again",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    verb, words = (
        (args.words[0], args.words[1:]) if args.words[0] in ("show", "pick") else ("list", args.words)
    )
    if len(words) != 1:
        raise ConfigError(
            f"'models {' '.join(args.words)}' is neither a pattern nor 'show NAME' nor 'pick DATA'. "
            "Quote patterns: snaptune models 'resnet18*'"
        )
    _refuse_others(args, verb)
    _at_least_one(args, "size", "classes")
    {"list": _list, "show": _show, "pick": _pick}[verb](words[0], args)


def _refuse_others(args: argparse.Namespace, verb: str) -> None:
    for other, options in OPTIONS.items():
        for name in options:
            if name not in OPTIONS[verb] and getattr(args, name) not in (None, False):
                raise ConfigError(f"--{name.replace('_', '-')} belongs to: snaptune models {FORMS[other]}")


def _at_least_one(args: argparse.Namespace, *names: str) -> None:
    for name in names:
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} {value} must be at least 1.")


def _list(pattern: str, args: argparse.Namespace) -> None:
    from snaptune.cli.table import short
    from snaptune.models.catalog import find_models

    entries = find_models(pattern)
    width = max(len(entry.name) for entry in entries)
    mark = "  offline" if args.offline else ""
    print(f"{'model':{width}}  {'input':>11}  {'parameters':>10}  {'ImageNet':>8}{mark}")
    for entry in entries:  # printed one by one: laying out a model takes a moment
        where = f"  {entry.offline or 'no'}" if args.offline else ""
        size = "x".join(map(str, entry.input_size))
        accuracy = "-" if entry.accuracy is None else f"{entry.accuracy:.1%}"
        print(f"{entry.name:{width}}  {size:>11}  {short(entry.parameters()):>10}  {accuracy:>8}{where}")
    print(f"\n{len(entries)} models. {_ACCURACIES}")


def _show(name: str, args: argparse.Namespace) -> None:
    from snaptune.cli.table import aligned
    from snaptune.models.catalog import native_size, pretrained_classes, pretrained_config
    from snaptune.models.summary import summarize_named

    config = pretrained_config(name)
    summary = summarize_named(name, args.size or native_size(name), args.classes or pretrained_classes(name))
    print("\n".join(aligned(list(config.items()))), end="\n\n")
    layers = summary.layers if args.all else summary.convolutions()
    rows = [_HEADER, *map(_cells, layers), _cells(replace(summary.total, name="(model)"))]
    print("\n".join(aligned(rows, right=range(2, 7))))
    print("\nforward, backward: FLOPs, a multiply-accumulate counted once. The last row is the whole model.")


def _pick(data: str, args: argparse.Namespace) -> None:
    if args.max_ms is None or args.max_mb is None:
        raise ConfigError("'models pick' needs a budget: --max-ms 15 --max-mb 10")

    from snaptune.cli.progress import counted
    from snaptune.cli.table import aligned
    from snaptune.data.readers import open_dataset
    from snaptune.model_choice import CANDIDATES, choose

    choices = choose(
        open_dataset(data),
        args.among or CANDIDATES,
        max_ms=args.max_ms,
        max_mb=args.max_mb,
        runtime=args.runtime or "onnx",
        size=args.size or 128,
        progress=lambda names: counted(names, "Measuring"),
    )
    header = ("model", "MB", "ms", "probe", "95 % interval", "verdict")
    print("\n".join(aligned([header, *map(_choice_cells, choices)], right=range(1, 5))))
    print("\nprobe: accuracy of a linear model on frozen features, cross-validated on your pictures (whole")
    print("groups where known). It ranks models; fine-tuning does better.")
    ranked = [choice.name for choice in choices if choice.verdict == "ranked"]
    print(f"next: snaptune train {data} --model {ranked[0]}" if ranked else "No model could be ranked.")


def _choice_cells(choice: Choice) -> tuple[str, ...]:
    took = "-" if choice.milliseconds is None else f"{choice.milliseconds:.1f}"
    verdict = f"{choice.verdict}: {choice.why}" if choice.why else choice.verdict
    if choice.probe is None:
        return choice.name, f"{choice.megabytes:.1f}", took, "-", "-", verdict
    low, high = f"{choice.probe.low:.1%}", f"{choice.probe.high:.1%}"
    return (
        choice.name,
        f"{choice.megabytes:.1f}",
        took,
        f"{choice.probe.value:.1%}",
        f"{low} to {high}",
        verdict,
    )


def _cells(layer: Layer) -> tuple[str, ...]:
    from snaptune.cli.table import short

    size_bytes = f"{short(layer.size_bytes)}B" if layer.size_bytes >= 1000 else f"{layer.size_bytes} B"
    return (
        *(layer.name or "(itself)", layer.kind),
        *(short(layer.parameters), short(layer.trainable), size_bytes),
        *(short(layer.forward_flops), short(layer.backward_flops)),
        *("x".join(map(str, size)) for size in (layer.in_size, layer.out_size)),
    )
