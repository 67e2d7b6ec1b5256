"""Fixtures every room's tests may use, and the rules every test runs under."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.effort import QUICK, too_long

#: Where CI=true, a system package that is missing is an error; elsewhere the test is skipped.
IN_CI = os.environ.get("CI", "") == "true"

# A property draws a quarter of its examples in the quick loop, where it says nothing itself.
# No deadline: two cores are shared and compiled code is slow the first time. In CI the examples are
# the same on every run, so that a red build can be made again; elsewhere they explore.
settings.register_profile(
    "house",
    deadline=None,
    max_examples=25 if QUICK else 100,
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


def missing(why: str) -> None:
    """What a test needs and is not there, in words: an error where CI=true, else a skip."""
    if not why:
        return
    if IN_CI:
        pytest.fail(why)
    pytest.skip(why)


def _system_command(package: str, *commands: str) -> str:
    for command in commands:
        found = shutil.which(command)
        if found:
            return found
    why = f"the system package {package} is missing; `make system` lists and installs it"
    if IN_CI:
        pytest.fail(why)
    pytest.skip(why)


# --- the quick loop stays quick --------------------------------------------------------------


def _cpu_s() -> float:
    """Processor time of this process and of those it has waited for, s."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Note what it takes to make what a test needs; it travels with the test's report."""
    before = _cpu_s()
    yield
    item.user_properties.append(("made_cpu_s", _cpu_s() - before))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Note what a test takes; it travels with the test's report."""
    before = _cpu_s()
    yield
    item.user_properties.append(("test_cpu_s", _cpu_s() - before))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name tests without the mark slow that took long: a warning, since machines differ."""
    named = too_long(terminalreporter.getreports("passed"))
    if named:
        terminalreporter.section("long tests without the mark slow (processor time)")
        for words in named:
            terminalreporter.write_line(words)
