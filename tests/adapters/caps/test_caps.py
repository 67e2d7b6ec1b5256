"""Power caps are set, read back, and let go of when their time is over."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gigafactory.adapters.caps import (
    CapActuator,
    CapAgent,
    CapSettings,
    NvmlDriver,
    RedfishDriver,
    RedfishSettings,
)
from gigafactory.plant.ports import Setpoint
from gigafactory.testing.contracts.plant import check_absent_actuator, check_actuator
from gigafactory.testing.redfish import Controller, simulated_controller
from gigafactory.units import NS_PER_S

BOARD = "/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_{}/EnvironmentMetrics"
PATHS = {f"gpu{k}": BOARD.format(k) for k in (1, 2)}


@pytest.fixture
def controller() -> Iterator[Controller]:
    with simulated_controller(tuple(PATHS.values())) as found:
        yield found


def _driver(controller: Controller, password: str = "a password") -> RedfishDriver:
    told = {"url": controller.url, "user": "operator", "resources": PATHS, "timeout": "1 s"}
    return RedfishDriver(RedfishSettings.model_validate(told), password, pause=lambda _: None)


# --- Redfish --------------------------------------------------------------------------------------


def test_a_limit_is_set_and_read_back(controller: Controller) -> None:
    driver = _driver(controller)
    assert driver.read_cap("gpu1") == 700.0
    assert driver.set_cap("gpu1", 500.0) == ("accepted", "")
    assert (driver.read_cap("gpu1"), driver.read_cap("gpu2")) == (500.0, 700.0)
    writes = controller.writes
    assert driver.set_cap("gpu1", 500.0) == ("accepted", "holds already")
    assert controller.writes == writes
    driver.close()


def test_a_session_that_ended_is_opened_again(controller: Controller) -> None:
    driver = _driver(controller)
    driver.set_cap("gpu1", 500.0)
    controller.forget_sessions()
    assert driver.set_cap("gpu1", 400.0) == ("accepted", "")
    driver.close()


def test_a_task_is_waited_for(controller: Controller) -> None:
    controller.slow = True
    driver = _driver(controller)
    assert driver.set_cap("gpu1", 450.0) == ("accepted", "")
    controller.fails = True
    outcome, why = driver.set_cap("gpu1", 400.0)
    assert (outcome, why) == ("refused", "the task ended as Exception")
    controller.tasks = 10_000
    assert driver.set_cap("gpu1", 400.0) == ("unknown", "the task did not end in time")
    driver.close()


def test_a_change_by_somebody_else_is_seen_before_ours_is_made(controller: Controller) -> None:
    driver = _driver(controller)
    controller.meddles = 1
    assert driver.set_cap("gpu1", 500.0) == ("accepted", "")
    controller.meddles = 10
    assert driver.set_cap("gpu1", 400.0)[0] == "unknown"
    driver.close()


@pytest.mark.parametrize(
    ("point", "limit", "password", "said"),
    [
        ("gpu1", 199.0, "a password", "outside 200.0 to 700.0"),
        ("gpu1", 701.0, "a password", "outside 200.0 to 700.0"),
        ("gpu9", 500.0, "a password", "no resource"),
        ("gpu1", 500.0, "another", "no session for operator: 401"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    controller: Controller, point: str, limit: float, password: str, said: str
) -> None:
    driver = _driver(controller, password)
    outcome, why = driver.set_cap(point, limit)
    assert (outcome, said in why) == ("refused", True), why
    assert controller.writes == 0
    driver.close()


def test_a_controller_that_is_away_is_unknown(controller: Controller) -> None:
    driver = _driver(controller)
    driver.settings = driver.settings.model_copy(update={"url": "http://127.0.0.1:9"})
    driver._client.base_url = "http://127.0.0.1:9"
    assert driver.set_cap("gpu1", 500.0)[0] == "unknown"
    assert driver.read_cap("gpu1") is None
    driver.close()


# --- the agent ------------------------------------------------------------------------------------


class _Time:
    def __init__(self) -> None:
        self.ns = 1_000 * NS_PER_S

    def now(self) -> int:
        return self.ns


def _wish(key: str, value: float, until_ns: int, point: str = "gpu1") -> Setpoint:
    return Setpoint(key, point, value, "W", until_ns)


def test_a_cap_ends_by_itself_and_one_that_is_renewed_goes_on(controller: Controller) -> None:
    clock, path = _Time(), PATHS["gpu1"]
    agent = CapAgent(_driver(controller), {"gpu1": 650.0, "gpu2": 650.0}, clock.now)
    agent.start()
    assert controller.limit_w == dict.fromkeys(PATHS.values(), 650.0), "safe from the beginning"
    assert agent.apply(_wish("k", 400.0, clock.ns + 10 * NS_PER_S)).outcome == "accepted"
    clock.ns += 8 * NS_PER_S
    assert agent.apply(_wish("k", 400.0, clock.ns + 10 * NS_PER_S)).outcome == "accepted"
    clock.ns += 8 * NS_PER_S
    agent.turn()
    assert controller.limit_w[path] == 400.0
    clock.ns += 3 * NS_PER_S
    assert agent.turn() == ()
    assert controller.limit_w[path] == 650.0


def test_a_device_that_could_not_be_reached_is_tried_again(controller: Controller) -> None:
    clock, driver = _Time(), _driver(controller)
    agent = CapAgent(driver, {"gpu1": 650.0}, clock.now)
    agent.start()
    controller.slow, controller.tasks = True, 10_000
    assert agent.apply(_wish("k", 400.0, clock.ns + 100 * NS_PER_S)).outcome == "unknown"
    controller.slow = False
    agent.turn()
    assert controller.limit_w[PATHS["gpu1"]] == 400.0
    controller.slow = True
    clock.ns += 200 * NS_PER_S
    assert agent.turn() == ("gpu1",), "it should be back and is not"
    controller.slow = False
    assert agent.turn() == ()
    assert controller.limit_w[PATHS["gpu1"]] == 650.0


def test_without_its_library_nvml_refuses_and_says_so() -> None:
    driver = NvmlDriver()
    assert driver.points() == ()
    outcome, why = driver.set_cap("gpu/0", 500.0)
    assert (outcome, bool(why)) == ("refused", True)
    assert driver.read_cap("gpu/0") is None


class _Nvml:
    """As NVIDIA's library answers where a node has two accelerators, one of them fallen off."""

    class NVMLError(Exception): ...

    def __init__(self) -> None:
        self.limit = {0: 700_000, 1: 700_000}

    def nvmlInit(self) -> None: ...  # noqa: N802

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, k: int) -> int:  # noqa: N802
        return k

    def nvmlDeviceGetPowerManagementLimit(self, k: int) -> int:  # noqa: N802
        return self.limit[k]

    def nvmlDeviceGetPowerManagementLimitConstraints(self, k: int) -> list[int]:  # noqa: N802
        if k == 1:
            raise self.NVMLError("GPU is lost")
        return [200_000, 700_000]

    def nvmlDeviceSetPowerManagementLimit(self, k: int, limit: int) -> None:  # noqa: N802
        self.limit[k] = limit


def test_nvml_is_asked_in_milliwatts_and_its_trouble_is_a_word() -> None:
    driver = NvmlDriver(_Nvml())
    assert driver.points() == ("gpu/0", "gpu/1")
    assert driver.set_cap("gpu/0", 500.0) == ("accepted", "")
    assert driver.read_cap("gpu/0") == 500.0
    assert driver.set_cap("gpu/0", 100.0)[0] == "refused"
    assert driver.set_cap("gpu/1", 500.0) == ("refused", "gpu/1: GPU is lost")


# --- the agent as a process -----------------------------------------------------------------------


@contextlib.contextmanager
def _agent(folder: Path, controller: Controller) -> Iterator[tuple[subprocess.Popen[str], str]]:
    (folder / "token").write_text("a token\n")
    (folder / "password").write_text("a password\n")
    settings: dict[str, Any] = {
        "token": {"file": str(folder / "token")},
        "password": {"file": str(folder / "password")},
        "safe": {"gpu1": "650 W", "gpu2": "650 W"},
        "redfish": {"url": controller.url, "user": "operator", "resources": PATHS},
    }
    (folder / "agent.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "gigafactory.adapters.caps", str(folder / "agent.yaml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        assert port
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_the_agent_holds_to_the_contract_and_lets_go_when_nobody_speaks(
    controller: Controller, tmp_path: Path
) -> None:
    with _agent(tmp_path, controller) as (process, url):
        actuator = CapActuator(CapSettings.model_validate({"url": url}), "a token")
        assert actuator.available() == {"gpu1": 650.0, "gpu2": 650.0}
        check_actuator(
            actuator,
            lambda: controller.limit_w[PATHS["gpu1"]],
            _wish,
            (500.0, 400.0),
            lambda: controller.writes,
            time.time_ns,
        )
        stranger = CapActuator(CapSettings.model_validate({"url": url}), "another token")
        end = time.time_ns() + 60 * NS_PER_S
        assert stranger.apply(_wish("x", 300.0, end), time.time_ns()).outcome == "refused"
        assert stranger.available() == {}
        assert controller.limit_w[PATHS["gpu1"]] == 400.0
        soon = time.time_ns() + NS_PER_S
        assert actuator.apply(_wish("s", 300.0, soon), time.time_ns()).outcome == "accepted"
        until = time.monotonic() + 5.0
        while controller.limit_w[PATHS["gpu1"]] != 650.0:
            assert time.monotonic() < until, "the cap outlived its end"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        check_absent_actuator(actuator, _wish, time.time_ns)
        actuator.close()
        stranger.close()


@pytest.mark.slow
def test_an_agent_in_the_open_needs_a_certificate(tmp_path: Path, controller: Controller) -> None:
    (tmp_path / "token").write_text("t")
    told = {
        "host": "0.0.0.0",
        "token": {"file": str(tmp_path / "token")},
        "safe": {"gpu1": "650 W"},
    }
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(told))
    command = [sys.executable, "-m", "gigafactory.adapters.caps", str(tmp_path / "agent.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "needs a certificate" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr
