"""A factory for live days, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.live.made_day import factory_file


@pytest.fixture(scope="session")
def live_factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return factory_file(tmp_path_factory.mktemp("live"))
