"""Parts of the main job that must stay cheap by themselves: the generator and the journal."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measuring import Timer, case, peak_mib
from gigafactory.engine.journal import Journal, frames
from gigafactory.jobs import Demand, JobClass, WorkloadSpec, generate
from gigafactory.units import NS_PER_DAY, NS_PER_S

SHARES = {
    JobClass.FRONTIER_TRAINING: 0.45,
    JobClass.RESEARCH: 0.2,
    JobClass.FINE_TUNING: 0.15,
    JobClass.INFERENCE_BATCH: 0.1,
}


@case("generator-10m")
def generator() -> dict[str, float]:
    """Ten million jobs of a year, month by month, kept by nobody."""
    start = int(dt.datetime(2025, 1, 1, tzinfo=dt.UTC).timestamp()) * NS_PER_S
    spec = WorkloadSpec(
        {"H100": (100_000, 8)},
        tuple(Demand("tenant", c, share) for c, share in SHARES.items()),
        jobs_per_year_target=10_000_000,
    )
    before = peak_mib()
    timer = Timer()
    jobs = sum(len(table) for table in generate(spec, start, start + 365 * NS_PER_DAY, seed=0))
    spent = timer.wall_s()
    return {
        "jobs": jobs,
        "jobs_per_s": jobs / spent,
        "peak_rss_mib": peak_mib(),
        "added_mib": peak_mib() - before,
    }


@case("journal")
def journal() -> dict[str, float]:
    """Frames of a day's shape appended, synced once per day's worth, then read and checked."""
    random = np.random.default_rng(0)
    meter = random.integers(0, 10**9, (1, 19))
    groups = random.integers(0, 10**15, (2, 5, 7))
    count = 20_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.gfj")
        timer = Timer()
        with Journal.create(path) as book:
            for i in range(count):
                moves = 100 + i % 60
                book.append(
                    "facts",
                    i * 900 * NS_PER_S,
                    {},
                    {
                        "meter": meter + i,
                        "groups": groups + i,
                        "move.job": np.arange(i, i + moves, dtype=np.int32),
                        "move.kind": np.ones(moves, np.uint8),
                        "move.t_ns": np.arange(moves) * NS_PER_S + i,
                        "move.energy_uwh": np.arange(moves) * 12_345 + i,
                    },
                )
                if i % 192 == 191:
                    book.sync()
        written = timer.wall_s()
        timer = Timer()
        read = sum(1 for _ in frames(path))
        checked = timer.wall_s()
        assert read == count
        size = path.stat().st_size
    return {
        "appends_per_s": count / written,
        "reads_per_s": count / checked,
        "bytes_per_frame": size / count,
    }
