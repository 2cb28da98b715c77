"""A run on disk. The only module that knows the names of the files inside it. Imports no torch by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snaptune.config import TrainConfig
from snaptune.data.reading import Reading, is_url
from snaptune.errors import RunError
from snaptune.evaluation.calibration import Calibration
from snaptune.images.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import Tensor

MAX_JSON_BYTES = 64 * 2**20
EXPORTED = {
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "pt2": "model.pt2",
    "litert": "model.tflite",
    "coreml": "model.mlpackage",
    "tensorrt": "model-tensorrt.onnx",
}
"""The formats of exported files, and the file's name in each."""


@dataclass(frozen=True)
class Run:
    """One training run: `<project>/<YYYY-MM-DD_HH-MM-SS>/`."""

    path: Path

    @classmethod
    def create(cls, project: Path) -> Run:
        """A new folder named after the present time."""
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        for attempt in range(100):
            path = project / (stamp if attempt == 0 else f"{stamp}_{attempt}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise RunError(f"The run folder '{path}' cannot be made: {error.strerror}.") from error
            return cls(path)
        raise RunError(f"'{project}' has 100 runs of this second already.")

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """A finished run, or the newest finished one in a project folder."""
        path = Path(path)
        if (path / "model.safetensors").is_file():
            return cls(path)
        finished = sorted(child.parent for child in path.glob("*/model.safetensors"))
        if not finished:
            raise RunError(f"No finished run in '{path}'. Make one: snaptune train DATA --out {path}")
        return cls(finished[-1])

    def __fspath__(self) -> str:
        """So that a run can be given wherever its folder can."""
        return str(self.path)

    # the files, each named once
    @property
    def config_file(self) -> Path:
        return self.path / "config.toml"

    @property
    def environment_file(self) -> Path:
        return self.path / "environment.json"

    @property
    def dataset_file(self) -> Path:
        return self.path / "dataset.json"

    @property
    def split_file(self) -> Path:
        return self.path / "split.csv"

    @property
    def unreadable_file(self) -> Path:
        return self.path / "unreadable.csv"

    @property
    def classes_file(self) -> Path:
        return self.path / "classes.json"

    @property
    def preprocess_file(self) -> Path:
        return self.path / "preprocess.json"

    @property
    def model_file(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def metadata_file(self) -> Path:
        return self.path / "training_metadata.json"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def tensorboard_folder(self) -> Path:
        return self.path / "tensorboard"

    @property
    def checkpoint_folder(self) -> Path:
        return self.path / "checkpoint"

    @property
    def calibration_file(self) -> Path:
        return self.path / "calibration.json"

    @property
    def predictions_file(self) -> Path:
        return self.path / "predictions.csv"

    @property
    def report_file(self) -> Path:
        return self.path / "report.html"

    @property
    def report_json(self) -> Path:
        return self.path / "report.json"

    @property
    def card_file(self) -> Path:
        return self.path / "README.md"

    @property
    def onnx_file(self) -> Path:
        return self.exported_file("onnx")

    @property
    def certificate_file(self) -> Path:
        return self.certificate_of("onnx")

    def exported_file(self, format: str) -> Path:
        return self.path / "export" / EXPORTED[format]

    def certificate_of(self, format: str) -> Path:
        """Beside the exported file; that of ONNX has the plain name."""
        return self.path / "export" / f"{'' if format == 'onnx' else f'{format}-'}certificate.json"

    def certificate_files(self) -> list[Path]:
        """Those that exist, of `model.onnx` first."""
        return sorted(self.certificate_file.parent.glob("*certificate.json"))

    @property
    def credits_folder(self) -> Path:
        return self.path / "credits"

    @property
    def demo_folder(self) -> Path:
        return self.path / "demo"

    # what is in them
    def config(self) -> TrainConfig:
        return TrainConfig.read(self.config_file)

    def preprocess(self) -> Preprocess:
        return Preprocess.from_json(read_text(self.preprocess_file), str(self.preprocess_file))

    def class_names(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs (spec T7)."""
        names = read_json(self.classes_file).get("classes")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise RunError(f"'{self.classes_file}' must hold {{\"classes\": [names]}}.")
        if len(set(names)) < len(names):
            raise RunError(f"'{self.classes_file}' names a class twice.")
        return tuple(names)

    def reading(self) -> Reading | None:
        """How the data set was read; None where it was given as an object."""
        value = read_json(self.dataset_file).get("reading")
        try:
            return None if value is None else Reading.from_json(value)
        except ValueError as error:
            raise RunError(f"'{self.dataset_file}' does not say how the data were read: {error}.") from error

    def reading_at_hand(self) -> Reading:
        """How the data set was read; `RunError` where the user must name it."""
        reading = self.reading()
        if reading is None:
            raise RunError(f"'{self.path}' does not say where its data lie. Name them: ... {self.path} DATA")
        if reading.place.startswith("hub:") or is_url(reading.place):
            raise RunError(
                f"'{self.path}' was trained on {reading.place}. The network is asked only for what you name: "
                f"... {self.path} {reading.place}"
            )
        return reading

    def metadata(self) -> dict[str, Any]:
        return read_json(self.metadata_file)

    def calibration(self) -> Calibration:
        """What evaluating found; a run that was not evaluated has temperature 1 and no threshold."""
        if not self.calibration_file.is_file():
            return Calibration()
        value = read_json(self.calibration_file)
        try:
            return Calibration(**value)
        except (TypeError, ValueError) as error:
            raise RunError(f"'{self.calibration_file}' is not a calibration: {error}.") from error

    def write_calibration(self, calibration: Calibration) -> None:
        write_json(self.calibration_file, asdict(calibration))

    def write_classes(self, dataset_name: str, class_names: tuple[str, ...]) -> None:
        """Both `classes.json` and `<dataset>-classes.json`, so that prediction never needs the data set."""
        safe = "".join(char if char.isalnum() or char in "-_." else "-" for char in dataset_name).strip(".")
        for file in (self.classes_file, self.path / f"{safe or 'dataset'}-classes.json"):
            write_json(file, {"classes": list(class_names)})

    def write_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace the weights; a calibration of other weights is no longer true and goes."""
        from safetensors.torch import save

        self.calibration_file.unlink(missing_ok=True)
        write_bytes(self.model_file, save({name: value.contiguous() for name, value in tensors.items()}))

    def weights(self) -> dict[str, Tensor]:
        """The kept weights, on the CPU."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(self.model_file)
        except (OSError, SafetensorError, ValueError) as error:
            raise RunError(f"'{self.model_file}' cannot be read as safetensors: {error}.") from error


def exported_model(path: Path) -> Path | None:
    """The file that a path names, where that is an exported model or the folder of one."""
    name = Path(EXPORTED["onnx"])
    if path.suffix == name.suffix:
        return path
    inside = path / name
    return inside if inside.is_file() and not (path / "model.safetensors").exists() else None


def write_bytes(path: Path, data: bytes) -> None:
    """All or nothing: written beside the target, synced, then renamed over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:  # such as a full disk, where what was written is only in the way
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a run; raises `RunError` that names the file for anything else."""
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise RunError(f"'{path}' is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise RunError(f"'{path}' must hold a JSON object, not {type(value).__name__}.")
    return value


def read_text(path: Path) -> str:
    """A text file of a run; raises `RunError` where it is missing, absurdly large or not UTF-8."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise RunError(
                f"'{path}' is larger than {MAX_JSON_BYTES // 2**20} MiB; a run's text files are small."
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"'{path}' cannot be read: {error}. Is this a snaptune run?") from error
