"""`snaptune models PATTERN` and `snaptune models show NAME`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from snaptune.cli.options import Commands
from snaptune.errors import ConfigError

if TYPE_CHECKING:
    from snaptune.models.summary import Layer

OPTION_OF = {"offline": "PATTERN", "size": "show NAME", "classes": "show NAME", "all": "show NAME"}
_NO_ACCURACY = "ImageNet accuracies are left out: timm's package carries none."
_HEADER = ("layer", "type", "parameters", "trainable", "size", "forward", "backward", "in", "out")


def add_to(commands: Commands) -> None:
    parser = commands.add_parser(
        "models",
        help="list pretrained models, or show what one costs",
        usage="snaptune models PATTERN [--offline]\n"
        "       snaptune models show NAME [--size PIXELS] [--classes N] [--all]",
    )
    parser.add_argument(
        "words",
        metavar="PATTERN | show NAME",
        nargs="+",
        help="names to list, such as 'resnet18*'; or one to show",
    )
    parser.add_argument(
        "--offline", action="store_true", help="mark the models whose weights are on this machine"
    )
    parser.add_argument(
        "--size", type=int, metavar="PIXELS", help="side of the input (default: the model's own)"
    )
    parser.add_argument(
        "--classes", type=int, metavar="N", help="outputs of the head (default: the pretrained head's)"
    )
    parser.add_argument("--all", action="store_true", help="every layer, not only the convolutions")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    match args.words:
        case ["show", name]:
            _refuse_others(args, "show NAME")
            _at_least_one(args, "size", "classes")
            _show(name, args.size, args.classes, args.all)
        case [pattern] if pattern != "show":
            _refuse_others(args, "PATTERN")
            _list(pattern, args.offline)
        case words:
            raise ConfigError(
                f"'models {' '.join(words)}' is neither a pattern nor 'show NAME'. "
                "Quote patterns: snaptune models 'resnet18*'"
            )


def _refuse_others(args: argparse.Namespace, form: str) -> None:
    given = [
        name for name, home in OPTION_OF.items() if home != form and getattr(args, name) not in (None, False)
    ]
    if given:
        raise ConfigError(f"--{given[0]} belongs to: snaptune models {OPTION_OF[given[0]]}")


def _at_least_one(args: argparse.Namespace, *names: str) -> None:
    for name in names:
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} {value} must be at least 1.")


def _list(pattern: str, offline: bool) -> None:
    from snaptune.cli.table import short
    from snaptune.models.catalog import find_models

    entries = find_models(pattern)
    width = max(len(entry.name) for entry in entries)
    mark = "  offline" if offline else ""
    print(f"{'model':{width}}  {'input':>11}  {'parameters':>10}{mark}")
    for entry in entries:  # printed one by one: laying out a model takes a moment
        where = f"  {entry.offline or 'no'}" if offline else ""
        size = "x".join(map(str, entry.input_size))
        print(f"{entry.name:{width}}  {size:>11}  {short(entry.parameters()):>10}{where}")
    print(f"\n{len(entries)} models. {_NO_ACCURACY}")


def _show(name: str, size: int | None, classes: int | None, all_layers: bool) -> None:
    from snaptune.cli.table import aligned
    from snaptune.models.catalog import native_size, pretrained_classes, pretrained_config
    from snaptune.models.summary import summarize_named

    config = pretrained_config(name)
    summary = summarize_named(name, size or native_size(name), classes or pretrained_classes(name))
    print("\n".join(aligned(list(config.items()))), end="\n\n")
    layers = summary.layers if all_layers else summary.convolutions()
    rows = [_HEADER, *map(_cells, layers), _cells(replace(summary.total, name="(model)"))]
    print("\n".join(aligned(rows, right=range(2, 7))))
    print("\nforward, backward: FLOPs, a multiply-accumulate counted once. The last row is the whole model.")


def _cells(layer: Layer) -> tuple[str, ...]:
    from snaptune.cli.table import short

    size_bytes = f"{short(layer.size_bytes)}B" if layer.size_bytes >= 1000 else f"{layer.size_bytes} B"
    return (
        *(layer.name or "(itself)", layer.kind),
        *(short(layer.parameters), short(layer.trainable), size_bytes),
        *(short(layer.forward_flops), short(layer.backward_flops)),
        *("x".join(map(str, size)) for size in (layer.in_size, layer.out_size)),
    )
