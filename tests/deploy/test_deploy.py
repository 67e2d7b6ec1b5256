"""What is shipped to deploy the service holds to its own linters and to the software beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = DEPLOY / "systemd"
IN_CI = os.environ.get("CI", "") == "true"


def _tool(name: str) -> str:
    """A linter that the environment's lock brings."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} has no build for this system")
    return found


def _run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_the_container_file_has_no_remark() -> None:
    done = _run(_tool("hadolint"), "--failure-threshold", "style", str(DEPLOY / "Containerfile"))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_the_linter_of_container_files_finds_something(tmp_path: Path) -> None:
    worse = tmp_path / "Containerfile"
    worse.write_text("FROM python\nRUN apt-get install curl\n", "utf-8")
    assert _run(_tool("hadolint"), str(worse)).returncode != 0


@pytest.mark.slow
def test_the_compose_file_holds_to_its_specification(tmp_path: Path) -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    done = _run(_tool("check-jsonschema"), *schema, str(DEPLOY / "compose.yaml"))
    assert done.returncode == 0, done.stdout
    worse = tmp_path / "compose.yaml"
    text = (DEPLOY / "compose.yaml").read_text("utf-8").replace("read_only: true", "readonly: true")
    worse.write_text(text, "utf-8")
    assert _run(_tool("check-jsonschema"), *schema, str(worse)).returncode != 0


def test_compose_gives_no_process_more_than_it_needs() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    ours = {name: s for name, s in services.items() if name != "database"}
    assert set(ours) == {"api", "books", "controller", "standby"}
    for service in ours.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "privileged" not in service
    assert [name for name, s in services.items() if "ports" in s] == ["api"]


def _systemd(tmp_path: Path) -> list[Path]:
    """The units, with a program that is there in place of the one to be installed."""
    if shutil.which("systemd-analyze") is None:
        why = "the system package systemd is missing; `make system` lists and installs it"
        pytest.fail(why) if IN_CI else pytest.skip(why)
    for unit in UNITS.iterdir():
        text = unit.read_text("utf-8").replace("/opt/gigafactory/bin/gigafactory", "/bin/true")
        name = unit.name.replace("@.", "@controller.")
        (tmp_path / name).write_text(text, "utf-8")
    return sorted(tmp_path.iterdir())


def test_every_unit_is_understood(tmp_path: Path) -> None:
    units = [f"./{unit.name}" for unit in _systemd(tmp_path)]
    done = _run("systemd-analyze", "verify", "--man=no", *units, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_every_unit_is_kept_in_its_place(tmp_path: Path) -> None:
    _systemd(tmp_path)
    for name in ("gigafactory@controller.service", "gigafactory-backup.service"):
        done = _run("systemd-analyze", "security", "--offline=yes", f"./{name}", cwd=tmp_path)
        exposure = re.search(r"exposure level for .*: ([0-9.]+)", done.stdout)
        assert exposure is not None, done.stdout + done.stderr
        assert float(exposure[1]) < 2.0, exposure[0]


def test_the_container_installs_the_pins_that_are_tested() -> None:
    pin = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
    tested = dict(pin.findall((ROOT / "requirements.lock").read_text("utf-8")))
    shipped = dict(pin.findall((ROOT / "requirements-serve.lock").read_text("utf-8")))
    assert {"fastapi", "sqlalchemy", "uvicorn", "shapeshifter-uftp", "numba"} <= set(shipped)
    assert shipped.items() <= tested.items()
    assert not {"pytest", "c104", "ruff"} & set(shipped), (
        "a test tool, or a GPL library, is shipped"
    )
