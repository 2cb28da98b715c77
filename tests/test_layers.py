"""Imports point down: a module may import its own layer and the ones below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import snaptune

ROOT = Path(snaptune.__file__).parent
LAYERS = {
    0: ("errors", "config", "trivial_space"),
    1: ("answers", "data", "images", "evaluation", "inputs", "export.certificate", "export.metadata"),
    2: ("models", "run_folder"),
    3: ("training", "classifier", "prediction", "prediction_stream", "export.runtime"),
    4: ("scoring", "model_choice", "group_gap", "label_audit", "export", "demo"),
    5: ("__init__",),
    6: ("cli", "__main__"),
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
NO_TORCH = {"torch", "timm", "safetensors", "accelerate"}
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            names.add(node.module or "")
    return names


def layer_of(module: Path) -> int:
    return layer_of_name(".".join(module.with_suffix("").parts))


def layer_of_name(name: str) -> int:
    """A module's own entry, else that of the package it lies in; `name` is without "snaptune."."""
    return LAYER_OF[name] if name in LAYER_OF else layer_of_name(name.rpartition(".")[0])


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_down(module: Path) -> None:
    own = layer_of(module)
    for name in imported_modules(ROOT / module):
        if name.startswith("snaptune."):
            assert layer_of_name(name.removeprefix("snaptune.")) <= own, (
                f"{module} (layer {own}) imports {name}"
            )


@pytest.mark.parametrize("module", [m for m in MODULES if layer_of(m) <= 1 and len(m.parts) > 0], ids=str)
def test_the_lower_layers_know_no_torch(module: Path) -> None:
    assert not {name.split(".")[0] for name in imported_modules(ROOT / module)} & NO_TORCH


def test_timm_is_imported_in_models_only() -> None:
    users = {
        m.parts[0] for m in MODULES if any(n.split(".")[0] == "timm" for n in imported_modules(ROOT / m))
    }
    assert users == {"models"}
