"""The main job as a user runs it: the command line in a process of its own, held to one core."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import Timer, case, peak_mib

COMMAND = "import sys; from gigafactory.cli import main; sys.exit(main())"


def _one_core() -> None:
    if hasattr(os, "sched_setaffinity"):  # macOS cannot; there the figure is that of all cores
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _gigafactory(*words: str) -> float:
    """Run a command on one core; returns seconds on the wall, start of Python included."""
    timer = Timer()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=_one_core,
    )
    if done.returncode:
        raise RuntimeError(
            f"gigafactory {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return timer.wall_s()


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(folder: Path, *words: str) -> dict[str, float]:
    before = _children_cpu_s()
    wall = _gigafactory("run", "rotterdam", *words, "--quiet", "--out", str(folder))
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert summary["conservation"]["holds"], "the accounts of a run add up"
    return {
        "wall_s": wall,
        "cpu_s": _children_cpu_s() - before,
        "peak_rss_mib": peak_mib(resource.RUSAGE_CHILDREN),
        "jobs": summary["jobs"]["total"],
        "lost": summary["jobs"]["lost"],
    }


@case("main-week")
def week() -> dict[str, float]:
    """Seven days of the Rotterdam factory from warm caches."""
    with tempfile.TemporaryDirectory() as base:
        _run(Path(base, "warm"), "--days", "1")
        return _run(Path(base, "week"), "--days", "7")


@case("main-year")
def year() -> dict[str, float]:
    """A year of the Rotterdam factory from warm caches; then report, verify and replay it."""
    with tempfile.TemporaryDirectory() as base:
        _run(Path(base, "warm"), "--days", "1")
        folder = Path(base, "year")
        measured = _run(folder)
        measured["folder_mib"] = sum(f.stat().st_size for f in folder.rglob("*")) / 2**20
        measured["verify_s"] = _gigafactory("verify", str(folder))
        measured["report_s"] = _gigafactory("report", str(folder), "--lang", "nl")
        measured["replay_s"] = _gigafactory("replay", str(folder))
    return measured
