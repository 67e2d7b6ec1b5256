"""The service on real parts, killed at random: nothing lost, nothing doubled, limits kept."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import pytest

from gigafactory.runtime.live.daybook import day_path, days_in, live_frames
from gigafactory.testing import postgres, slurm
from gigafactory.testing.crashing import CrashRig, Kill, Limit, broken
from gigafactory.testing.powermeter import Sight
from gigafactory.units import NS_PER_S
from tests.conftest import missing
from tests.live import crashproof
from tests.runtime.live.bench import check_journal

SEED = 6
KILLS, LONG_KILLS = 20, 200


@pytest.fixture
def folder() -> Path:
    """A folder that the test removes when it is through: where it fails, what it left is kept."""
    missing(slurm.available() or postgres.available())
    return Path(tempfile.mkdtemp(prefix="gfcrash-"))


def check_days(rig: CrashRig) -> None:
    folder = rig.folder / "state" / "live"
    check_journal(
        [(d, at, f) for d in days_in(folder) for at, f in live_frames(day_path(folder, d))]
    )


@pytest.mark.slow
def test_killed_at_random_on_real_parts(folder: Path) -> None:
    with CrashRig(folder, SEED) as rig:
        rig.crash(KILLS, pause_s=0.6)
        rig.finish()
        problems = rig.problems()
        assert not problems, "\n".join([rig.words(), *problems])
        check_days(rig)
    shutil.rmtree(folder)


@pytest.mark.proof
def test_killed_two_hundred_times(folder: Path, proof_dir: Path) -> None:
    jobs = 3 * LONG_KILLS
    begun = time.monotonic()
    with CrashRig(folder, SEED, jobs=jobs, every_s=2.0, bound_s=30.0, era_s=60.0) as rig:
        rig.crash(LONG_KILLS, pause_s=3.0)
        rig.finish(1200.0)
        problems = rig.problems()
        told = crashproof.result(rig, problems, time.monotonic() - begun)
        crashproof.write(proof_dir, told)
        assert not problems, "\n".join([rig.words(), *problems])
        check_days(rig)
    shutil.rmtree(folder)


def sight(at_s: float, it_w: float) -> Sight:
    return Sight(int(at_s * NS_PER_S), 0, 0, 0, it_w)


def limit(power_w: float, sent_s: float) -> Limit:
    at = int(sent_s * NS_PER_S)
    return Limit(str(sent_s), power_w, at, at)


def test_the_bound_counts_only_the_time_in_which_all_was_up() -> None:
    limits = [limit(100.0, 0.0), limit(50.0, 10.0)]
    down = [Kill("controller", 12 * NS_PER_S, 20 * NS_PER_S)]
    late = [sight(14.9, 100.0), sight(15.1, 100.0)]
    assert broken(late, limits, [], 5.0) == [(late[1], 50.0)]
    assert broken(late, limits, down, 5.0) == []
    after = [sight(22.9, 100.0), sight(23.1, 100.0)]
    assert broken(after, limits, down, 5.0) == [(after[1], 50.0)]
    assert broken([sight(8.0, 101.0)], limits, down, 5.0), "a reading above every limit"
