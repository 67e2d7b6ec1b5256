"""A run stopped between two days goes on to the digest of an undisturbed one; here in one process.

`tests/simulation/test_interrupt.py` does the same to real processes, with kill -9 and full disks.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.runtime import run as running
from gigafactory.runtime.replay import replay, verify
from gigafactory.runtime.run import Quiet, resume_run, start_run
from tests.runtime.conftest import SmallRun


class Stopper(Quiet):
    """Presses Ctrl-C when a number of days is done."""

    def __init__(self, *days: int) -> None:
        self.at = days

    def days(self, done: int, total: int) -> None:  # noqa: ARG002  (its port's)
        if done in self.at:
            os.kill(os.getpid(), signal.SIGINT)


class Crash(Quiet):
    """Falls over when a number of days is done."""

    def __init__(self, day: int) -> None:
        self.at = day

    def days(self, done: int, total: int) -> None:  # noqa: ARG002  (its port's)
        if done == self.at:
            raise RuntimeError("fell over")


@pytest.mark.parametrize("day", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_stopped_and_resumed_is_undisturbed(small_run: SmallRun, tmp_path: Path, day: int) -> None:
    stopped = start_run(small_run.options, Stopper(day), out=tmp_path / "run")
    assert not stopped.complete
    assert stopped.summary["days_done"] == day
    folder, problems, proved = verify(tmp_path / "run")
    assert not problems
    assert proved["complete"] is False
    assert not replay(folder)[1]
    resumed = resume_run(tmp_path / "run")
    assert resumed.complete
    assert resumed.summary["digest"] == small_run.outcome.summary["digest"]
    for name in ("journal.gfj", "jobs.parquet", "accounts.parquet"):
        assert (folder / name).read_bytes() == (small_run.folder / name).read_bytes()
    assert not verify(folder)[1]


@pytest.mark.slow
def test_a_crash_between_two_snapshots_costs_only_time(
    small_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SNAPSHOT_S", 0.0)  # a snapshot a day
    with pytest.raises(RuntimeError, match="fell over"):
        start_run(small_run.options, Crash(2), out=tmp_path / "run")
    days = sorted(p.name for p in (tmp_path / "run" / "snapshots").iterdir())
    assert days == ["day-00001.gfs"]
    resumed = resume_run(tmp_path / "run")
    assert resumed.summary["digest"] == small_run.outcome.summary["digest"]


@pytest.mark.slow
def test_a_crash_before_any_snapshot_starts_over(small_run: SmallRun, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="fell over"):
        start_run(small_run.options, Crash(1), out=tmp_path / "run")
    (tmp_path / "run" / "summary.json").write_text('{"complete": tr', "utf-8")  # a disk ran full
    resumed = resume_run(tmp_path / "run")
    assert resumed.summary["digest"] == small_run.outcome.summary["digest"]


def test_a_finished_run_is_left_alone(small_run: SmallRun) -> None:
    with pytest.raises(BadInput, match="nothing to resume"):
        resume_run(small_run.folder)


def test_an_edited_scenario_is_refused(small_run: SmallRun, tmp_path: Path) -> None:
    start_run(small_run.options, Stopper(1), out=tmp_path / "run")
    scenario = tmp_path / "run" / "scenario.yaml"
    text = scenario.read_text("utf-8")
    assert "30" in text
    scenario.write_text(text.replace("30", "35"), "utf-8")
    with pytest.raises(BadInput, match="scenario"):
        resume_run(tmp_path / "run")
