"""A run that is stopped, killed or starved of disk goes on to the digest it would have had."""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from gigafactory.grid import MarketCalendar
from gigafactory.runtime.replay import replay, verify
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
    write_prices,
    write_scenario,
)

#: Each of these starts the command several times; `tests/runtime/test_resume.py` is the quick one.
pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "import sys; from gigafactory.cli import main; sys.exit(main())"]
DAYS = 16
SMALL = SmallFactory(
    (SmallSite((SmallPool("H100", 6), SmallPool("GB200", 4, late=2)), 0.7, battery=0.4),),
)


def command(*words: str, **how: object) -> subprocess.CompletedProcess[str]:
    run = [*COMMAND, *words]
    return subprocess.run(run, capture_output=True, text=True, check=False, **how)  # type: ignore[call-overload]


class Case:
    """Inputs of a run in a folder of their own, and the digest it has when nothing disturbs it."""

    def __init__(self, place: Path, *, scenario: bool, files: bool, days: int = DAYS) -> None:
        self.place, self.days = place, days
        words = ["run", str(SMALL.write(place / "factory.yaml"))]
        words += ["--start", FIRST_DAY.isoformat(), "--days", str(days), "--seed", "5"]
        if scenario:
            begin = dt.datetime.combine(FIRST_DAY, dt.time(10))
            cut = {
                "kind": "connection",
                "from": begin.isoformat(),
                "until": (begin + dt.timedelta(days=days - 1)).isoformat(),
                "factor": "40 %",
            }
            words += ["--scenario", str(write_scenario(place / "cut.yaml", [cut]))]
        if files:
            jobs = write_jobs(place / "jobs.csv", SMALL.pools, 1500, days * 0.9, 3)
            calendar = MarketCalendar.of(FIRST_DAY, days)
            words += ["--jobs", str(jobs)]
            words += ["--prices", str(write_prices(place / "prices.csv", calendar))]
        self.words = words
        whole = self.run("whole")
        assert whole.returncode == EXIT_OK, whole.stderr
        self.digest = digest(place / "whole")

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        return command(*self.words, "--quiet", "--out", str(self.place / name))

    def stop(self, name: str, number: int, after_bytes: int = 12_000) -> tuple[int, str]:
        """Start a run and send a signal once its journal has grown; exit code and output."""
        out = self.place / name
        shutil.rmtree(out, ignore_errors=True)
        words = [*COMMAND, *self.words, "--out", str(out)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        journal = out / "journal.gfj"
        deadline = time.monotonic() + 120
        while not (journal.exists() and journal.stat().st_size > after_bytes):
            assert process.poll() is None, "the run ended before it could be stopped"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(number)
        told, _ = process.communicate(timeout=120)
        return process.returncode, told.decode()

    def resume(self, name: str) -> subprocess.CompletedProcess[str]:
        return command("run", "--resume", str(self.place / name), "--quiet")

    def is_whole(self, name: str) -> None:
        """The resumed run is the undisturbed one, to the byte."""
        folder = self.place / name
        assert digest(folder) == self.digest
        same = ("journal.gfj", "series.parquet", "jobs.parquet", "transfers.parquet")
        for file in same:
            assert (folder / file).read_bytes() == (self.place / "whole" / file).read_bytes()
        assert not (folder / "snapshots").exists()
        assert not verify(folder)[1]
        assert not replay(folder)[1]


def digest(folder: Path) -> str:
    found: str = json.loads((folder / "summary.json").read_text("utf-8"))["digest"]
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("files"), scenario=False, files=True)


def test_ctrl_c_leaves_a_partial_run_that_verifies_and_resumes(files: Case) -> None:
    code, told = files.stop("stopped", signal.SIGINT)
    folder = files.place / "stopped"
    assert code == EXIT_INTERRUPTED
    assert f"gigafactory run --resume {folder}" in told
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert 0 < summary["days_done"] < DAYS
    assert summary["complete"] is False
    assert summary["conservation"]["holds"]
    assert (folder / "report.html").is_file()
    assert not verify(folder)[1]
    assert not replay(folder)[1]
    resumed = files.resume("stopped")
    assert resumed.returncode == EXIT_OK, resumed.stderr
    files.is_whole("stopped")
    again = files.resume("stopped")
    assert again.returncode == EXIT_BAD_INPUT
    assert "nothing to resume" in again.stderr


def test_inputs_that_changed_since_are_refused(files: Case) -> None:
    files.stop("changed", signal.SIGINT)
    folder = files.place / "changed"
    for name in ("jobs.csv", "prices.csv"):
        file = files.place / name
        before = file.read_text("utf-8")
        file.write_text(before + before.splitlines()[-1] + "\n", "utf-8")
        refused = files.resume("changed")
        file.write_text(before, "utf-8")
        assert refused.returncode == EXIT_BAD_INPUT
        assert name in refused.stderr
        assert "has changed" in refused.stderr
    own = folder / "factory.yaml"
    before = own.read_text("utf-8")
    own.write_text(before.replace("latitude: 51.44", "latitude: 52.44"), "utf-8")
    assert own.read_text("utf-8") != before
    refused = files.resume("changed")
    own.write_text(before, "utf-8")
    assert refused.returncode == EXIT_BAD_INPUT
    assert "factory" in refused.stderr
    assert files.resume("changed").returncode == EXIT_OK
    files.is_whole("changed")


@pytest.mark.parametrize("after_bytes", [15, 12_000])
def test_kill_9_at_any_time_leaves_a_run_that_resumes(files: Case, after_bytes: int) -> None:
    code, _ = files.stop("killed", signal.SIGKILL, after_bytes)
    assert code == -signal.SIGKILL
    verified = command("verify", str(files.place / "killed"))
    assert verified.returncode in (EXIT_FAILED, EXIT_BAD_INPUT)
    assert "Traceback" not in verified.stderr
    resumed = files.resume("killed")
    assert resumed.returncode == EXIT_OK, resumed.stderr
    files.is_whole("killed")


def test_a_resumed_run_can_be_stopped_again(files: Case) -> None:
    files.stop("twice", signal.SIGINT)
    folder = files.place / "twice"
    size = (folder / "journal.gfj").stat().st_size
    words = [*COMMAND, "run", "--resume", str(folder)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while (folder / "journal.gfj").stat().st_size <= size + 3_000:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)  # and this time for good, between two snapshots
    process.communicate(timeout=60)
    resumed = files.resume("twice")
    assert resumed.returncode == EXIT_OK, resumed.stderr
    files.is_whole("twice")


def test_a_scenario_goes_on_too(tmp_path: Path) -> None:
    case = Case(tmp_path, scenario=True, files=False)
    case.stop("stopped", signal.SIGINT)
    resumed = case.resume("stopped")
    assert resumed.returncode == EXIT_OK, resumed.stderr
    case.is_whole("stopped")


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


def test_a_full_disk_is_told_and_the_run_goes_on_afterwards(files: Case) -> None:
    words = [*COMMAND, *files.words, "--quiet", "--out", str(files.place / "full")]
    full = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_small_files,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    folder = files.place / "full"
    assert full.returncode == EXIT_FAILED, full.stderr
    assert "the disk is full" in full.stderr
    assert f"gigafactory run --resume {folder}" in full.stderr
    assert "Traceback" not in full.stderr
    resumed = files.resume("full")
    assert resumed.returncode == EXIT_OK, resumed.stderr
    files.is_whole("full")


def test_a_disk_that_fills_while_tables_are_written(files: Case) -> None:
    """Not the journal but a table meets the end of a real, small disk."""
    place = files.place / "tiny"
    place.mkdir()
    need = sum(f.stat().st_size for f in (files.place / "whole").iterdir())
    size = (files.place / "whole" / "journal.gfj").stat().st_size + need // 20
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    absent = shutil.which("mount") is None
    if absent or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root; the test above does without")
    try:
        out = place / "run"
        # the check of free space beforehand is passed by: its estimate is below
        code = "import gigafactory.runtime.run as r; r._BYTES_PER_JOB = r._BYTES_PER_PERIOD = 0\n"
        words = [sys.executable, "-c", code + COMMAND[2], *files.words, "--out", str(out)]
        full = subprocess.run(words, capture_output=True, text=True, check=False)
        assert full.returncode == EXIT_FAILED, full.stderr
        assert "the disk is full" in full.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        resumed = command("run", "--resume", str(out), "--quiet")
        assert resumed.returncode == EXIT_OK, resumed.stderr
        assert digest(out) == files.digest
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_folder_that_never_began_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "factory.yaml").write_text("name: x\n", "utf-8")
    refused = command("run", "--resume", str(tmp_path / "run"))
    assert refused.returncode == EXIT_BAD_INPUT
    assert "start it again" in refused.stderr


def test_a_damaged_snapshot_is_passed_over(files: Case) -> None:
    files.stop("damaged", signal.SIGINT)
    (snapshot,) = (files.place / "damaged" / "snapshots").iterdir()
    data = bytearray(snapshot.read_bytes())
    data[len(data) // 2] ^= 1
    snapshot.write_bytes(data)
    resumed = files.resume("damaged")
    assert resumed.returncode == EXIT_OK, resumed.stderr
    files.is_whole("damaged")


def test_a_journal_damaged_in_its_middle_is_not_resumed(files: Case) -> None:
    files.stop("middle", signal.SIGINT)
    journal = files.place / "middle" / "journal.gfj"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    refused = files.resume("middle")
    assert refused.returncode == EXIT_FAILED
    assert "journal.gfj" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert journal.read_bytes() == bytes(data), "nothing is cut from a damaged journal"
