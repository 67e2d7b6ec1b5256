"""Fixtures every room's tests may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real traces, named by GIGAFACTORY_DATA; the test is skipped where it is absent."""
    named = os.environ.get("GIGAFACTORY_DATA", "")
    if not named or not Path(named).is_dir():
        pytest.skip("GIGAFACTORY_DATA names no folder of real traces and measurements")
    return Path(named)
