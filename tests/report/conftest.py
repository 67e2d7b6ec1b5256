"""Made-up run folders, written once for all tests of the room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gigafactory.report import write_report
from gigafactory.testing.run_folder import write_run_folder


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 70 days with a report in English; nobody may change it."""
    folder = write_run_folder(tmp_path_factory.mktemp("runs") / "made-up-1", days=70, jobs=3_000)
    write_report(folder)
    return folder


@pytest.fixture
def copy(made_up: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(made_up, tmp_path / "made-up-1"))


@pytest.fixture(scope="session", autouse=True)
def few_draws() -> Iterator[None]:
    """Few draws of the years to come: what is tested here is how they are told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gigafactory.report.statements.providers.DRAWS", 100)
        yield


@pytest.fixture(scope="session")
def of_rotterdam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up run of 31 days that carries the bundled factory and its dossier."""
    folder = tmp_path_factory.mktemp("runs") / "rotterdam-1"
    return write_run_folder(folder, days=31, jobs=1_000, factory="rotterdam")
