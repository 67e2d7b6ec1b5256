"""Fixtures every room's tests may use, and the rules every test runs under."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

#: Where CI=true, a system package that is missing is an error; elsewhere the test is skipped.
IN_CI = os.environ.get("CI", "") == "true"

# No deadline: two cores are shared and compiled code is slow the first time. In CI the examples are
# the same on every run, so that a red build can be made again; elsewhere they explore.
settings.register_profile(
    "house",
    deadline=None,
    derandomize=IN_CI,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real traces, named by GIGAFACTORY_DATA; without it the test is skipped."""
    named = os.environ.get("GIGAFACTORY_DATA", "")
    if not named or not Path(named).is_dir():
        pytest.skip("GIGAFACTORY_DATA names no folder of real traces and measurements")
    return Path(named)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, and fails where CI=true."""
    return _system_command("chromium", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def proof_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a proof writes its result: docs/proof under `make proof`, else a scratch folder."""
    named = os.environ.get("GIGAFACTORY_PROOF", "")
    return Path(named) if named else tmp_path_factory.mktemp("proof")


def _system_command(package: str, *commands: str) -> str:
    for command in commands:
        found = shutil.which(command)
        if found:
            return found
    why = f"the system package {package} is missing; `make system` lists and installs it"
    if IN_CI:
        pytest.fail(why)
    pytest.skip(why)
