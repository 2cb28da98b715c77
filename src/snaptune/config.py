"""Every setting of training: its default, its range and its help, each written once."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from snaptune.errors import ConfigError, closest
from snaptune.trivial_space import TUTORIAL, TrivialSpace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_TOML_BYTES = 2**18


def _setting(
    default: Any, help: str, *, between: tuple[float, float] | None = None, usual: str = "", one_of: str = ""
) -> Any:
    choices = tuple(one_of.split())
    return field(
        default=default, metadata={"help": help, "between": between, "usual": usual, "one_of": choices}
    )


@dataclass(frozen=True)
class TrainConfig:
    """How a model is fine-tuned. Every value is checked when the object is made."""

    model: str = _setting("tf_efficientnet_lite0", "timm model name")
    weights: str = _setting("pretrained", "'pretrained', 'none', or a .safetensors or .pth file")
    image_size: int = _setting(128, "side of the square the model sees, in pixels", between=(8, 2048))
    epochs: int = _setting(9, "passes over the training part", between=(1, 10_000))
    batch_size: int = _setting(16, "pictures in a training step", between=(1, 65_536))
    lr: float = _setting(
        1e-3, "peak learning rate of the head", between=(0, 1), usual="fine-tuning usually uses 1e-5 to 1e-2"
    )
    layer_decay: float = _setting(
        0.8,
        "learning-rate factor from one layer to the one below it; 1 for the same everywhere",
        between=(0.1, 1),
    )
    freeze_below: float = _setting(
        0.1,
        "with pretrained weights, layers whose share of the learning rate is smaller stay as they came",
        between=(0, 1),
    )
    weight_decay: float = _setting(0.05, "AdamW weight decay, not on norms and biases", between=(0, 10))
    adam_eps: float = _setting(1e-8, "AdamW epsilon", between=(0, 1))
    norm_statistics: str = _setting(
        "pretrained",
        "running statistics of batch norms: kept as pretrained, or learned",
        one_of="pretrained learned",
    )
    decay_norms: bool = _setting(False, "weight decay on norms and biases, too")
    schedule: str = _setting(
        "cosine",
        "learning rate over the steps: cosine after a warm-up, or onecycle as torch's OneCycleLR",
        one_of="cosine onecycle",
    )
    warmup: float = _setting(0.1, "share of the steps in which the learning rate rises", between=(0, 0.9))
    label_smoothing: float = _setting(0.1, "probability shared among the other classes", between=(0, 0.9))
    ema_decay: float = _setting(
        0.99, "decay of the moving average of the weights that is kept; 0 for none", between=(0, 0.99999)
    )
    class_weights: str = _setting(
        "none", "weight of a class in the loss: none, or balanced (rarer counts more)", one_of="none balanced"
    )
    sampling: str = _setting(
        "natural",
        "natural: every picture once an epoch; balanced: each class as often",
        one_of="natural balanced",
    )
    mix: str = _setting("none", "pictures and labels mixed in pairs", one_of="none mixup cutmix")
    freeze: str = _setting(
        "none", "what stays as it came: none, or backbone (only the head learns)", one_of="none backbone"
    )
    accumulate: int = _setting(1, "steps whose gradients make one update", between=(1, 65_536))
    micro_batch: int = _setting(
        0,
        "pictures that are computed at once, where memory has no room for a batch; 0 for a whole batch",
        between=(0, 65_536),
    )
    clip: float = _setting(0.0, "largest norm of the gradient; 0 for any", between=(0, 1e9))
    augment: str = _setting(
        "gentle",
        "augmentation of training pictures; own: a function given to train() in Python",
        one_of="gentle trivial none own",
    )
    keep: str = _setting(
        "last", "which epoch's weights are kept: last, or best by validation loss", one_of="last best"
    )
    patience: int = _setting(
        0, "epochs without a lower validation loss before training stops; 0 for never", between=(0, 10_000)
    )
    minutes: float = _setting(0.0, "wall-clock budget of training; 0 for none", between=(0, 1e6))
    precision: str = _setting(
        "auto", "arithmetic of the network; auto measures", one_of="auto float32 bfloat16 float16"
    )
    memory_format: str = _setting(
        "auto", "layout of pictures in memory; auto measures", one_of="auto channels_last channels_first"
    )
    stream: bool = _setting(False, "decode pictures again in every epoch instead of keeping them prepared")
    workers: int = _setting(
        0, "processes that decode what is streamed; 0 for threads of this one", between=(0, 1024)
    )
    compile: str = _setting(
        "auto",
        "compile the network: on, off, or auto, which does where a GPU will be busy for ten minutes or more",
        one_of="auto on off",
    )
    track: str = _setting(
        "", "where figures go besides the run, with commas between: tensorboard, mlflow, wandb, trackio"
    )
    checkpoint_minutes: float = _setting(5.0, "minutes between checkpoints", between=(0, 1e6))
    validation: float = _setting(0.2, "share of the pictures held out", between=(0.01, 0.9))
    test: float = _setting(0.0, "share of the pictures kept for a last test", between=(0, 0.9))
    seed: int = _setting(1234, "the one seed of a run", between=(0, 2**63 - 1))
    threads: int = _setting(0, "processor threads; 0 for all cores", between=(0, 1024))

    trivial_space: TrivialSpace = _setting(  # noqa: RUF009  the value is frozen
        TUTORIAL, "what augment = 'trivial' draws from: operations with their strengths, and bins"
    )

    @classmethod
    def recipe(cls, name: str) -> TrainConfig:
        """A named set of settings; see `RECIPES`."""
        if name not in RECIPES:
            raise ConfigError(f"Unknown recipe '{name}'. Known: {', '.join(RECIPES)}.")
        return cls(**RECIPES[name])

    def __post_init__(self) -> None:
        problems = [text for item in fields(self) if (text := _problem(item, getattr(self, item.name)))]
        if problems:
            raise ConfigError("\n".join(problems))

    def replaced(self, values: Mapping[str, object], origin: str = "") -> TrainConfig:
        """A copy with `values` in place; errors name `origin` (a file; for flags, left empty)."""
        known = {item.name: item for item in fields(self)}
        problems = [_unknown(name, known, origin) for name in values if name not in known]
        taken: dict[str, Any] = {}
        for name in values.keys() & known.keys():
            place = origin or _flag(name)
            try:
                taken[name] = _converted(known[name], values[name])
            except ConfigError as error:
                problems += [f"{name}{_from(place)}: {line}" for line in str(error).splitlines()]
            else:
                problems += filter(None, [_problem(known[name], taken[name], place)])
        if problems:
            raise ConfigError("\n".join(sorted(problems)))
        return dataclasses.replace(self, **taken)

    @classmethod
    def read(cls, path: Path, base: TrainConfig | None = None) -> TrainConfig:
        """The settings in a TOML file; what it does not name is as in `base`, by default the defaults."""
        try:
            if path.stat().st_size > MAX_TOML_BYTES:
                raise ConfigError(
                    f"'{path}' is larger than {MAX_TOML_BYTES // 2**10} KiB; settings are small."
                )
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:  # a number may have too many digits
            raise ConfigError(f"'{path}' cannot be read as TOML: {error}.") from error
        return (base or cls()).replaced(values, str(path))

    def listed(self) -> dict[str, str | int | float]:
        """Every setting in use as one number or text, for people and for what keeps figures.

        Of a file of weights its name alone: the user's folders are nobody else's business.
        """
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["weights"] = Path(self.weights).name
        space = values.pop("trivial_space")
        return {**values, "trivial_space": str(space)} if self.augment == "trivial" else values

    def to_toml(self) -> str:
        import tomli_w

        return tomli_w.dumps(dataclasses.asdict(self))


RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "tutorial": {
        "model": "resnet18d",
        "image_size": 288,
        "batch_size": 32,
        "epochs": 3,
        "lr": 1e-3,
        "adam_eps": 1e-5,
        "weight_decay": 0.01,
        "decay_norms": True,
        "layer_decay": 1.0,
        "schedule": "onecycle",
        "label_smoothing": 0.0,
        "ema_decay": 0.0,
        "norm_statistics": "learned",
        "augment": "trivial",
        "keep": "best",
        "validation": 0.1,
        "seed": 1234,
    },
}
"""`default`: chosen by measurement. `tutorial`: the worked example's, setting by setting."""


def starting_point(weights: str) -> str:
    """What the setting `weights` means, in words; of a file its name alone."""
    known = {"pretrained": "pretrained weights", "none": "random weights"}
    return known.get(weights, f"weights of {Path(weights).name}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _unknown(name: str, known: Mapping[str, object], origin: str) -> str:
    near = closest(name, known)
    hint = f"Closest: {near}." if near else f"Known: {', '.join(known)}."
    return f"Unknown setting '{name}'{_from(origin)}. {hint}"


def _from(origin: str) -> str:
    return f" (from {origin})" if origin else ""


def _converted(item: dataclasses.Field[Any], value: object) -> object:
    """An integer where a float is wanted is taken as one, a table as the value that it describes."""
    if item.type == "float" and type(value) is int and abs(value) < 2**53:
        return float(value)
    if item.type == TrivialSpace.__name__ and not isinstance(value, TrivialSpace):
        return TrivialSpace.from_plain(value)
    return value


def _problem(item: dataclasses.Field[Any], value: Any, origin: str = "") -> str:
    shown = f"{item.name}={value!r}{_from(origin)}"
    if type(value).__name__ != item.type:
        return f"{shown} must be of type {item.type}."
    if choices := item.metadata["one_of"]:
        near = closest(str(value), choices)
        hint = f" Closest: {near}." if near else ""
        return "" if value in choices else f"{shown} must be one of: {', '.join(choices)}.{hint}"
    between = item.metadata["between"]
    if between and not between[0] <= value <= between[1]:
        usual = item.metadata["usual"]
        return f"{shown} must be between {between[0]} and {between[1]}{'; ' + usual if usual else ''}."
    return ""
