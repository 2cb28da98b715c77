"""Pictures shared out over two processes with gloo: the same rows, in the same order, as in one."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from snaptune.cli.main import main
from snaptune.run_folder import Run
from snaptune.training.processes import TURN, Processes

IN_TWO = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]

SHARING = """
from snaptune.cli.predict import Listing
from snaptune.errors import DataError
from snaptune.inputs.expand import expand
from snaptune.training.processes import TURN, join_processes

processes, device = join_processes()
assert processes.count == 2
for number in (0, 1, TURN, TURN + 1, 2 * TURN, 2 * TURN + 1, 5 * TURN):
    done = processes.in_order(10 * item for item in processes.in_turns(range(number)))
    assert list(done) == ([10 * item for item in range(number)] if processes.leads else [])
for names, differ in ((["a", "b"], False), (["a", "b" if processes.leads else "c"], True)):
    listing = Listing(expand(names))
    list(listing)
    try:
        listing.compare(processes, device)
    except DataError as error:
        assert differ
        assert str(error).startswith("The processes see different pictures (this one found 2)")
    else:
        assert not differ
"""


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("items", [0, 1, TURN, 3 * TURN + 5])
def test_every_item_has_its_turn_in_one_process(count: int, items: int) -> None:
    shares = [list(Processes(rank, count).in_turns(range(items))) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= TURN


def test_answers_come_together_in_order_and_lists_must_agree(tmp_path: Path) -> None:
    script = tmp_path / "sharing.py"
    script.write_text(SHARING, encoding="utf-8")
    finished = subprocess.run([*IN_TWO, script], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More pictures than two turns, and two broken ones, one for each process."""
    root = tmp_path_factory.mktemp("many") / "in"
    root.mkdir()
    for number in range(2 * TURN + 10):
        Image.new("RGB", (9, 5 + number % 7), (number % 256, 90, 40)).save(root / f"{number:04d}.png")
    for number in (3, TURN + 3):
        (root / f"{number:04d}.png").write_bytes(b"no picture")
    return root


def test_two_processes_write_what_one_writes(tiny_run: Run, folder: Path, tmp_path: Path) -> None:
    words = ["predict", str(tiny_run.path), str(folder), "--format", "csv"]
    assert main([*words, "--out", str(tmp_path / "one.csv")]) == 3
    shared = [*words, "--out", str(tmp_path / "two.csv"), "--save-pictures", str(tmp_path / "saved")]
    finished = subprocess.run(
        [*IN_TWO, "-m", "snaptune", *shared], capture_output=True, text=True, check=False
    )
    assert finished.returncode != 0
    assert finished.stderr.count(f"snaptune: 2 of {2 * TURN + 10} pictures have no answer") == 1
    one, two = (
        list(csv.reader((tmp_path / name).read_text(encoding="utf-8").splitlines()))
        for name in ("one.csv", "two.csv")
    )
    assert [row[:3] for row in two] == [row[:3] for row in one]
    assert [row[3] for row in two] == [row[3] for row in one]
    saved = sorted(int(path.name.partition("_")[0]) for path in (tmp_path / "saved").iterdir())
    assert saved == [number + 1 for number in range(2 * TURN + 10) if number not in (3, TURN + 3)]
    assert sorted(os.listdir(tmp_path)) == ["one.csv", "saved", "two.csv"]  # noqa: PTH208  names are what counts


def test_what_only_one_process_can_read_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    finished = subprocess.run(
        [*IN_TWO, "-m", "snaptune", "predict", str(tiny_run.path), "-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode != 0
    assert (
        "snaptune: '-' can be read by one process only. Start it without a launcher: snaptune predict ..."
        in finished.stderr
    )
