"""A service for each test, on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
