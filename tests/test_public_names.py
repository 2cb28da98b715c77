"""The public names: listed once, loaded lazily, documented."""

from __future__ import annotations

import subprocess
import sys

import pytest

import snaptune as st


def test_every_public_name_has_a_home() -> None:
    assert sorted(st.__all__) == sorted(st._HOME)
    assert dir(st) == sorted(st.__all__)


@pytest.mark.parametrize("name", st.__all__)
def test_public_names_load_and_are_documented(name: str) -> None:
    value = getattr(st, name)
    assert value.__name__ == name
    assert value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        st.trian  # noqa: B018


def test_importing_snaptune_loads_no_torch() -> None:
    code = "import sys, snaptune; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
