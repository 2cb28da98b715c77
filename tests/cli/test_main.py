from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from snaptune.cli.main import COMMANDS, main
from snaptune.cli.options import FLAGS
from snaptune.errors import SnaptuneError


def test_help_is_quick_and_loads_no_torch() -> None:
    code = (
        "import sys\nfrom snaptune.cli.main import main\ntry:\n    main(['--help'])\n"
        "except SystemExit as end:\n    heavy = {'torch', 'numpy', 'PIL'} & set(sys.modules)\n"
        "    sys.exit(end.code or bool(heavy))"
    )
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - started)
        assert finished.returncode == 0, finished.stderr
        assert "quickstart" in finished.stdout
    assert min(seconds) < 0.5


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_command_has_help(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    name = command.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"snaptune {name}" in capsys.readouterr().out


def test_a_users_mistake_is_one_line_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(tmp_path / "photos")]) == 1
    shown = capsys.readouterr()
    assert shown.err == (
        f"snaptune: '{tmp_path}/photos' is not a folder. "
        f"Expected {tmp_path}/photos/<class>/<image>, or sample:hand-emoji.\n"
    )


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **more: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("snaptune.data.readers.open_dataset", broken)
    with pytest.raises(KeyError):
        main(["train", "photos"])


def test_flags_show_the_defaults_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for flag in FLAGS:
        assert "--" + flag.replace("_", "-") in shown
    assert "pictures in a training step (default: 16)" in shown


def test_a_setting_out_of_range_names_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "sample:hand-emoji", "--lr", "3"]) == 1
    assert "lr=3.0 (from --lr) must be between 0 and 1" in capsys.readouterr().err


def test_errors_form_one_tree() -> None:
    import snaptune.errors as errors

    kinds = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert all(issubclass(kind, SnaptuneError) for kind in kinds)
    assert all(f"{kind.__name__} " in (errors.__doc__ or "") or kind is SnaptuneError for kind in kinds)
