"""A service for each test, on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gigafactory.testing import postgres
from tests.conftest import IN_CI
from tests.web.service import Service, sqlite_url


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Makes a service with settings of one's own; closed after the test."""
    made: list[Service] = []

    def make(**given: Any) -> Service:
        made.append(Service(sqlite_url(tmp_path / f"s{len(made)}"), **given))
        return made[-1]

    for i in range(4):
        (tmp_path / f"s{i}").mkdir()
    yield make
    for one in made:
        one.close()


@pytest.fixture
def service(serve: Callable[..., Service]) -> Service:
    """A service with the usual settings."""
    return serve()


@pytest.fixture
def database() -> Iterator[str]:
    """The address of a PostgreSQL of its own; without one the test is skipped, but not in CI."""
    why = postgres.available()
    if why and IN_CI:
        pytest.fail(why)
    if why:
        pytest.skip(why)
    with postgres.LocalPostgres() as server:
        yield server.url()
