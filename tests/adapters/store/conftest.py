"""A store on each engine: SQLite in a folder, PostgreSQL on a real server started for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from gigafactory.adapters.store import Store
from gigafactory.testing.postgres import LocalPostgres, available
from tests.conftest import missing

_NUMBERS = count()


@pytest.fixture(scope="session")
def server() -> Iterator[LocalPostgres]:
    """A PostgreSQL of this process; without one tests are skipped, and fail where CI=true."""
    missing(available())
    with LocalPostgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty store, on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    running: LocalPostgres = request.getfixturevalue("server")
    name = f"t{next(_NUMBERS)}"
    yield running.make_database(name)
    running.drop_database(name)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store, on each engine in turn."""
    opened = Store.open(url)
    yield opened
    opened.close()
