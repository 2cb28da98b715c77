"""What a run writes down about itself while it trains, and how it hears that it shall stop."""

from __future__ import annotations

import json
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from snaptune.data.dataset import ImageDataset
from snaptune.data.splits import Split
from snaptune.run_folder import Run
from snaptune.training.checkpoint import Saver
from snaptune.training.events import Event, OnEvent, ignore
from snaptune.training.processes import Processes

_LIBRARIES = ("torch", "timm", "numpy", "pillow", "safetensors", "snaptune")


@contextmanager
def stopped_by_signals(saver: Saver) -> Iterator[None]:
    """While training, SIGTERM and Ctrl-C ask `saver` to stop; a second Ctrl-C is an ordinary one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: object) -> None:
        saver.stop()
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def description(dataset: ImageDataset, split: Split) -> dict[str, Any]:
    """What `dataset.json` says."""
    return {
        "name": dataset.name,
        "reading": dataset.reading and dataset.reading.to_json(),
        "pictures": len(dataset),
        "fingerprint": dataset.fingerprint(),
        "split": split.how,
        "class_counts": dict(zip(dataset.class_names, dataset.class_counts().tolist(), strict=True)),
    }


def environment() -> dict[str, str]:
    """Versions of what the result depends on."""
    libraries = {name: version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), "platform": platform.platform(), **libraries}


@contextmanager
def recorded(run: Run, processes: Processes) -> Iterator[OnEvent]:
    """An observer that adds each event to `events.jsonl`."""
    if not processes.leads:
        yield ignore
        return
    with run.events_file.open("a", encoding="utf-8") as file:
        yield lambda event: print(_as_json(event), file=file, flush=True)


def _as_json(event: Event) -> str:
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def tee(*observers: OnEvent) -> OnEvent:
    """One observer that tells several."""

    def tell(event: Event) -> None:
        for observer in observers:
            observer(event)

    return tell
