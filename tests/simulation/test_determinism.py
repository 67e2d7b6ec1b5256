"""The same seed gives the same bytes, whatever the process; another seed gives another year."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gigafactory.engine.journal import frames
from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import FIRST_DAY, SmallFactory, SmallPool, SmallSite, write_jobs

FACTORY = SmallFactory(
    (
        SmallSite((SmallPool("B200", 8), SmallPool("H100", 6)), 0.6, battery=0.3, ppa=0.6),
        SmallSite((SmallPool("Trainium2", 4),), 0.4),
    )
)


def options(place: Path, **changes: object) -> RunOptions:
    path = place / "factory.yaml"
    if not path.exists():
        FACTORY.write(path)
    start = FIRST_DAY.isoformat()
    return RunOptions(**({"factory": str(path), "start": start, "days": 2} | changes))  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_in_processes_that_hash_differently(
    tmp_path: Path,
) -> None:
    asked = options(tmp_path)
    here = start_run(asked, out=tmp_path / "here")
    words = [sys.executable, "-m", "gigafactory", "run", asked.factory, "--quiet"]
    if not (Path(__file__).parents[2] / "src/gigafactory/__main__.py").exists():
        entry = "import sys; from gigafactory.cli import main; sys.exit(main())"
        words[1:3] = ["-c", entry]
    words += ["--start", str(asked.start), "--days", "2", "--out", str(tmp_path / "there")]
    environment = os.environ | {"PYTHONHASHSEED": "424242", "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    subprocess.run(words, env=environment, check=True, capture_output=True)
    told = json.loads((tmp_path / "there" / "summary.json").read_text("utf-8"))
    assert told["digest"] == here.summary["digest"]
    for name in ("journal.gfj", "series.parquet", "jobs.parquet", "accounts.parquet",
                 "transfers.parquet", "sources.parquet", "factory.yaml"):  # fmt: skip
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


@pytest.mark.slow
def test_nought_is_a_seed_and_seeds_differ(tmp_path: Path) -> None:
    digests = {
        seed: start_run(options(tmp_path, seed=seed, days=1), out=tmp_path / f"s{seed}").summary[
            "digest"
        ]
        for seed in (0, 1)
    }
    assert digests[0] != digests[1]
    default = start_run(options(tmp_path, days=1), out=tmp_path / "default")
    assert default.summary["digest"] == digests[0]


def test_a_shorter_run_on_the_same_jobs_is_the_beginning_of_a_longer_one(tmp_path: Path) -> None:
    """With jobs from a file, a day does not depend on how many follow, once a whole one does.

    The last day is planned towards the end of the run, so it is no beginning of a longer one.
    """
    jobs = str(write_jobs(tmp_path / "jobs.csv", FACTORY.pools, 300, 0.9, 4))
    courses = []
    for days in (2, 4):
        start_run(options(tmp_path, jobs=jobs, days=days), out=tmp_path / f"d{days}")
        courses.append(
            [
                (f.kind, f.tick_ns, {name: array.tobytes() for name, array in f.arrays.items()})
                for f in frames(tmp_path / f"d{days}" / "journal.gfj")
                if f.kind in {"plan", "intent", "facts"}
            ][: 1 + 2 * 96]
        )
    assert courses[0] == courses[1]


@pytest.mark.slow
def test_a_bundled_factory_repeats_itself(tmp_path: Path) -> None:
    digests = {
        start_run(RunOptions("groningen", days=20, seed=8), out=tmp_path / name).summary["digest"]
        for name in ("one", "two")
    }
    assert len(digests) == 1
