"""Every command once, as a newcomer would give it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from gigafactory import __version__
from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_OK
from gigafactory.testing.factories import FIRST_DAY, SmallFactory, write_jobs


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def say(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == EXIT_OK, words
    return capsys.readouterr().out


@pytest.mark.slow
def test_init_check_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "mine.yaml" in say(capsys, "init", "mine")
    assert "no problems. 1,024 accelerators" in say(capsys, "check", "mine.yaml")
    told = say(capsys, "run", "mine.yaml", "--days", "1")
    assert "SYNTHETIC" in told
    for path in ("runs/mine-1/report.html", "runs/mine-1/summary.json"):
        assert path in told
        assert (here / path).is_file()
    assert (here / "runs" / "latest").resolve() == here / "runs" / "mine-1"
    assert "balance in all 96 periods" in say(capsys, "verify")
    assert "byte for byte the same" in say(capsys, "replay", "latest")


@pytest.mark.slow
def test_a_life_of_two_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    factory = SmallFactory()
    factory.write(here / "good.yaml")
    write_jobs(here / "jobs.csv", factory.pools, 80, 0.9, 2)
    words = ["run", "good.yaml", "--jobs", "jobs.csv", "--start", FIRST_DAY.isoformat()]
    words += ["--days", "1", "--quiet"]
    assert say(capsys, *words).strip() == str(Path("runs/small-1"))
    assert say(capsys, *words, "--seed", "1", "--lang", "nl").strip() == str(Path("runs/small-2"))
    assert 'lang="en"' in (here / "runs/small-1/report.html").read_text("utf-8")
    assert 'lang="nl"' in (here / "runs/small-2/report.html").read_text("utf-8")
    told = say(capsys, "compare", "small-1", "small-2")
    assert "small-1" in told
    assert "small-2" in told
    assert Path(say(capsys, "report", "small-1", "--lang", "nl").strip()).is_file()
    assert 'lang="nl"' in (here / "runs/small-1/report.html").read_text("utf-8")
    assert "balance" in say(capsys, "verify", "small-1"), "a report written again is sealed again"
    summary = json.loads((here / "runs/small-1/summary.json").read_text("utf-8"))
    assert summary["jobs"]["total"] == pq.read_metadata("runs/small-1/jobs.parquet").num_rows == 80
    assert summary["wall_s"] > 0
    assert summary["peak_rss_mib"] > 50


def test_schemas_and_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert "sites" in json.loads(say(capsys, "schema"))["properties"]
    assert "events" in json.loads(say(capsys, "schema", "--scenario"))["properties"]
    traces = say(capsys, "data", "list").splitlines()
    assert any(line.startswith("philly") for line in traces)
    assert say(capsys, "version").strip() == __version__


@pytest.mark.slow
def test_bundled_factories_and_scenarios_are_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert "100,000 accelerators" in say(capsys, "check", "rotterdam", "--strict")
    assert "2,048 accelerators" in say(capsys, "check", "groningen", "--strict")
    for scenario in (
        "blackout-72h",
        "cable-cut",
        "export-ban",
        "heat-wave",
        "late-grid-connection",
    ):
        assert "no problems" in say(capsys, "check", "rotterdam", "--scenario", scenario)


def test_the_starter_is_the_schema_s_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    say(capsys, "init", "mine")
    data = json.loads(json.dumps(yaml.safe_load((here / "mine.yaml").read_text()), default=str))
    jsonschema.validate(data, json.loads(say(capsys, "schema")))


def test_asking_for_help_brings_in_no_room() -> None:
    """Else whoever asks for help waits for arrays, tables and models that help has no use for."""
    code = (
        "import sys; from gigafactory.cli import main; assert main(['--help']) == 0;"
        "rooms = ('gigafactory.', 'numpy', 'pyarrow');"
        "print(*sorted(name for name in sys.modules if name.startswith(rooms)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    brought = told.stdout.splitlines()[-1].split()
    light = {"cli", "engine", "engine.clock", "engine.errors", "runtime", "units"}
    light |= {"runtime.datacommands", "runtime.storecommands"}  # their names and options alone
    assert {name.removeprefix("gigafactory.") for name in brought} <= light
