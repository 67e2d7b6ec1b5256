"""A day of the default factory, run once, that the reference pages are held against."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.runtime.run import RunOptions, start_run


@pytest.fixture(scope="session")
def a_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of one day of `rotterdam`."""
    out = tmp_path_factory.mktemp("docs") / "run"
    return start_run(RunOptions("rotterdam", days=1), out=out).folder
