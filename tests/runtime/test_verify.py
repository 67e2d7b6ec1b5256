"""Verify and replay: one flipped byte in any file of a run is found, and the file is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_OK, BadInput
from gigafactory.runtime.outputs import DERIVED
from gigafactory.runtime.replay import replay, verify
from gigafactory.testing.proving import run_problems
from tests.runtime.conftest import SmallRun

FILES = {
    "accounts.parquet",
    "monitored.parquet",
    "factory.yaml",
    "jobs.parquet",
    "journal.gfj",
    "manifest.json",
    "report.html",
    "run.json",
    "scenario.yaml",
    "series.parquet",
    "sources.parquet",
    "summary.json",
    "transfers.parquet",
}


@pytest.fixture
def copy(small_run: SmallRun, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run.folder, tmp_path / "copy"))


def flip(path: Path, at: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.write_bytes(data)


def test_a_run_is_proved(small_run: SmallRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run_problems(small_run.folder)
    assert main(["verify", str(small_run.folder)]) == EXIT_OK
    told = capsys.readouterr().out
    assert small_run.outcome.summary["digest"] in told
    assert "288 periods" in told


@pytest.mark.slow
def test_one_flipped_byte_in_any_file_is_found_and_the_file_named(copy: Path) -> None:
    assert {p.name for p in copy.iterdir()} == FILES
    for path in sorted(copy.iterdir()):
        size = path.stat().st_size
        for bit, at in enumerate((17, 2 * size // 3, size - 1)):
            flip(path, at, 1 << bit)
            _, problems, _ = verify(copy)
            assert problems, f"{path.name}: byte {at} flipped and nobody saw"
            assert {Path(p.where.split(":")[0]).name for p in problems} == {path.name}
            flip(path, at, 1 << bit)
    assert not verify(copy)[1]


@pytest.mark.slow
def test_what_is_missing_added_or_cut_is_named(copy: Path) -> None:
    for path in sorted(copy.iterdir()):
        data = path.read_bytes()
        path.write_bytes(data[:-1])
        assert any(path.name in p.where for p in verify(copy)[1])
        path.unlink()
        if path.name == "journal.gfj":
            with pytest.raises(BadInput, match=r"journal\.gfj.*missing"):
                verify(copy)
        else:
            assert any(path.name in p.where for p in verify(copy)[1])
        path.write_bytes(data)
    (copy / "extra.txt").write_text("hello", "utf-8")
    (problem,) = verify(copy)[1]
    assert "extra.txt" in problem.where


def test_the_command_says_which_file_and_fails(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(copy / "jobs.parquet", 100)
    assert main(["verify", str(copy)]) == EXIT_FAILED
    assert "jobs.parquet" in capsys.readouterr().err
    assert main(["replay", str(copy)]) == EXIT_FAILED
    assert "jobs.parquet" in capsys.readouterr().err
    flip(copy / "jobs.parquet", 100)
    flip(copy / "journal.gfj", 5000)
    for command in ("verify", "replay"):
        assert main([command, str(copy)]) == EXIT_FAILED
        told = capsys.readouterr().err
        assert "journal.gfj" in told
        assert "frame" in told


def test_a_ledger_rewritten_with_its_manifest_is_still_found_by_replay(copy: Path) -> None:
    """Whoever forges a table and seals it again must forge the journal too."""
    from gigafactory.engine.manifest import write_manifest

    table = pq.read_table(copy / "jobs.parquet")
    at = table.column_names.index("revenue_micro_eur")
    column = table.column(at).to_pylist()
    column[0] += 1
    pq.write_table(table.set_column(at, "revenue_micro_eur", [column]), copy / "jobs.parquet")
    write_manifest(copy, {"digest": json.loads((copy / "summary.json").read_text())["digest"]})
    assert not verify(copy)[1]
    (problem,) = replay(copy)[1]
    assert "jobs.parquet" in problem.where


def test_replay_rebuilds_the_same_bytes(
    small_run: SmallRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(small_run.folder)]) == EXIT_OK
    told = capsys.readouterr().out
    assert all(name in told for name in DERIVED)


def test_folders_that_are_no_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    half = tmp_path / "half"
    half.mkdir()
    (half / "factory.yaml").write_text("name: x\n", "utf-8")
    for command in ("verify", "replay", "report", "compare"):
        for folder in ("nowhere", "empty", "half"):
            where = str(tmp_path / folder)
            words = [command, where, where] if command == "compare" else [command, where]
            assert main(words) == EXIT_BAD_INPUT, words
            told = capsys.readouterr().err
            assert "Traceback" not in told
            assert folder in told
