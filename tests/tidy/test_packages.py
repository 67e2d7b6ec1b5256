"""Every room says at its door what it knows, what it does not, and who may enter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.tidy.house import ROOT, modules

SENTENCE_LINES = 4


def test_every_module_says_what_it_is() -> None:
    silent = [module.name for module in modules() if not ast.get_docstring(module.tree)]
    assert silent == []


def test_every_room_has_a_door_plate() -> None:
    bare = []
    for module in modules():
        if not module.name.endswith("/__init__.py") or module.name.count("/") > 1:
            continue
        plate = [
            line for line in (ast.get_docstring(module.tree) or "").splitlines() if line.strip()
        ]
        if len(plate) < SENTENCE_LINES or "construction" in plate[0]:
            bare.append(module.name)
    assert not bare, f"says too little of what it knows, and who may import it: {bare}"


def test_the_floors_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
