"""The audit of dependencies calls nothing checked that was not, and fails on what is weak."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.tidy.house import ROOT

WEAK = [{"name": "jinja2", "version": "2.10", "vulns": [{"id": "X-1", "fix_versions": ["2.11"]}]}]
GOOD = [{"name": "numpy", "version": "2.0", "vulns": []}]
UNKNOWN = [{"name": "numpy", "skip_reason": "not found"}]


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("weak", "lock", "code", "said"),
    [
        (None, None, 0, "NOT CHECKED: no advisory service"),
        (UNKNOWN, GOOD, 0, "NOT CHECKED: no advisory service"),
        (WEAK, GOOD, 0, "1 of 1 dependencies checked, 0 weak"),
        (WEAK, UNKNOWN, 0, "NOT CHECKED: numpy"),
        (WEAK, WEAK, 1, "jinja2 2.10: X-1, mended in 2.11"),
    ],
)
def test_what_is_said_is_what_was_found_out(
    audit: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    weak: Any,
    lock: Any,
    code: int,
    said: str,
) -> None:
    def look_up(requirements: Path, service: str) -> Any:
        assert service in audit.SERVICES
        return weak if requirements.name == "weak.txt" else lock

    monkeypatch.setattr(audit, "look_up", look_up)
    assert audit.main() == code
    assert said in capsys.readouterr().out
