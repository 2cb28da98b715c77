"""A compiled network: the same weights after a break, and nearly those of the plain one."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from snaptune.cli.options import add_settings, settings
from snaptune.data.dataset import ImageDataset
from snaptune.run_folder import Run
from snaptune.training.events import Event, Saved
from snaptune.training.job import Interrupted
from snaptune.training.train import resume_training, train
from tests.conftest import TINY

COMPILED = replace(TINY, compile="on", batch_size=6, checkpoint_minutes=0.0)
with_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "cl"))), reason="torch.compile needs a C++ compiler"
)


def digest(run: Run) -> str:
    return hashlib.sha256(run.model_file.read_bytes()).hexdigest()


def silent(text: str) -> None:
    pass


@with_compiler
def test_a_compiled_run_resumes_exactly_and_learns_the_same(
    small_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))

    def stop_in_the_second_epoch(event: Event) -> None:
        if isinstance(event, Saved) and (event.epoch, event.step) == (1, 1):
            os.kill(os.getpid(), signal.SIGTERM)

    unbroken = train(small_dataset, COMPILED, tmp_path / "unbroken", say=silent)
    assert list((tmp_path / "inductor").rglob("*.cpp"))  # it was compiled
    with pytest.raises(Interrupted) as stop:
        train(small_dataset, COMPILED, tmp_path / "broken", say=silent, on_event=stop_in_the_second_epoch)
    assert stop.value.run.config().compile == "on"
    assert digest(resume_training(stop.value.run, small_dataset, say=silent)) == digest(unbroken)

    plain = train(small_dataset, replace(COMPILED, compile="off"), tmp_path / "plain", say=silent)
    assert plain.metadata()["valid_loss"] == pytest.approx(unbroken.metadata()["valid_loss"], rel=1e-3)
    assert plain.weights().keys() == unbroken.weights().keys()


@pytest.mark.parametrize(
    ("flags", "chosen"), [([], "auto"), (["--compile"], "on"), (["--no-compile"], "off")]
)
def test_the_flags_replace_the_setting(flags: list[str], chosen: str) -> None:
    parser = argparse.ArgumentParser()
    add_settings(parser)
    assert settings(parser.parse_args(flags)).compile == chosen
